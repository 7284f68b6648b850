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
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/client/cache/key_batch.h"
#include "libs/rpc/call_options.h"
#include "slipstream/cache/v1/cache.pb.h"

namespace grpc {
class Channel;
}

namespace slipstream::cache_client {

struct CachedValue {
  std::string value;
  uint64_t version = 0;
  bool stale = false;       // past its soft lifetime
  bool negative = false;    // states that there is no value
  absl::Duration ttl_left;  // until its hard end
  absl::Duration age;       // since it was stored
};

// What GetOrLease says to do next.
struct LeaseAnswer {
  enum Result {
    kHit,     // use `value`
    kStale,   // use `value`; another caller renews it
    kLeased,  // compute and Fill, or Abandon; a stale value comes along for use on errors
    kBusy,    // another caller still computes: compute for yourself and do not store
  };
  Result result = kBusy;
  std::optional<CachedValue> value;
  std::string lease_token;
  absl::Duration lease;  // how long it holds
};

struct LeaseRequest {
  absl::Duration wait;   // for another caller's value, 0-30 s
  absl::Duration lease;  // of a lease given now, 100 ms - 5 min; 0: the service's own 10 s
  bool accept_stale = false;
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

  // Up to 256 keys; the answers in their order, nullopt for no value.
  Async<absl::StatusOr<std::vector<std::optional<CachedValue>>>> GetMany(
      rpc::CallOptions call, std::vector<cache::v1::CacheKey> keys);

  // The same for keys of one namespace, type and scope, at a fraction of the cost for each.
  Async<absl::StatusOr<ValueBatch>> GetMany(rpc::CallOptions call, const KeyBatch& keys);

  // Up to 256 entries, each for itself: its new version, or why it was refused (FAILED_PRECONDITION
  // with the service's reason).
  Async<absl::StatusOr<std::vector<absl::StatusOr<uint64_t>>>> SetMany(
      rpc::CallOptions call, std::vector<cache::v1::SetRequest> entries);

  // `call.timeout` has to be longer than `request.wait`.
  Async<absl::StatusOr<LeaseAnswer>> GetOrLease(rpc::CallOptions call, cache::v1::CacheKey key,
                                                LeaseRequest request);

  // Whether it was stored: not when the lease had ended or was killed.
  Async<absl::StatusOr<bool>> Fill(rpc::CallOptions call, cache::v1::CacheKey key,
                                   std::string lease_token, std::string value,
                                   cache::v1::EntryOptions options = {});

  // Gives the lease up, so that the next caller computes at once.
  Async<absl::Status> Abandon(rpc::CallOptions call, cache::v1::CacheKey key,
                              std::string lease_token);

  // By key, tag, namespace or glob. When it is OK, no node serves an old value.
  Async<absl::StatusOr<cache::v1::InvalidateResponse>> Invalidate(
      rpc::CallOptions call, cache::v1::InvalidateRequest request);

 private:
  struct Stub;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace slipstream::cache_client

#endif  // LIBS_CLIENT_CACHE_CACHE_CLIENT_H_
