// A C++ client of the cache service: values in and out, with the caller's or an acted-for user's
// scopes.
//
//   CacheClient cache(peers.Channel("cache"));
//   auto found = co_await cache.Get(peers.CallFor(user, tenant), key);
//   if (found.ok() && found->has_value()) use((*found)->value);
//
// A cache that is away must not stop its user: treat an error of Get as a miss, and one of Set as
// nothing.
//
// Thread safety: all methods, from any coroutine. Errors: those of the RPCs (see cache.proto), and
// UNAVAILABLE and DEADLINE_EXCEEDED of the call.
#ifndef LIBS_CLIENT_CACHE_CACHE_CLIENT_H_
#define LIBS_CLIENT_CACHE_CACHE_CLIENT_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/rpc/call_options.h"
#include "slipstream/cache/v1/cache.pb.h"

namespace grpc {
class Channel;
}

namespace slipstream::cache_client {

struct CachedValue {
  std::string value;
  uint64_t version = 0;
  bool stale = false;     // past its soft lifetime
  bool negative = false;  // states that there is no value
};

class CacheClient {
 public:
  explicit CacheClient(std::shared_ptr<grpc::Channel> channel);
  ~CacheClient();

  // nullopt: no value.
  Async<absl::StatusOr<std::optional<CachedValue>>> Get(rpc::CallOptions call,
                                                        cache::v1::CacheKey key);

  // The new version.
  Async<absl::StatusOr<uint64_t>> Set(rpc::CallOptions call, cache::v1::CacheKey key,
                                      std::string value, cache::v1::EntryOptions options = {});

  // Whether there was a value.
  Async<absl::StatusOr<bool>> Delete(rpc::CallOptions call, cache::v1::CacheKey key);

 private:
  struct Stub;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace slipstream::cache_client

#endif  // LIBS_CLIENT_CACHE_CACHE_CLIENT_H_
