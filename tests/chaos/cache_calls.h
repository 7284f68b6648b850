// CacheCalls: the cache's RPCs on any of several servers, each call blocking its thread for a
// bounded time. For load and fault tests alone.
//
// Thread safety: all methods, from any thread.
#ifndef TESTS_CHAOS_CACHE_CALLS_H_
#define TESTS_CHAOS_CACHE_CALLS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "slipstream/cache/v1/cache.grpc.pb.h"

namespace slipstream::chaos {

class CacheCalls {
 public:
  using Stub = cache::v1::CacheService::Stub;

  CacheCalls(const std::vector<std::string>& addresses, std::string token);

  size_t servers_count() const { return stubs_.size(); }
  Stub& At(size_t server) const { return *stubs_[server]; }

  template <class Request, class Response>
  grpc::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    size_t server, const Request& request, Response* response,
                    absl::Duration timeout) const {
    grpc::ClientContext context;
    Prepare(context, timeout);
    return (stubs_[server].get()->*method)(&context, request, response);
  }
  void Prepare(grpc::ClientContext& context, absl::Duration timeout) const;

  // Whether a server of the suite said so, not the connection to it.
  static bool IsAnswered(const grpc::Status& status);

 private:
  const std::string authorization_;
  std::vector<std::unique_ptr<Stub>> stubs_;
};

}  // namespace slipstream::chaos

#endif  // TESTS_CHAOS_CACHE_CALLS_H_
