// slipstream.cache.v1.CacheService over a CacheEngine: turns the caller's token into scopes and
// messages into the engine's calls. What is in this process's memory is read inline; the rest are
// coroutines.
//
// Thread safety: handlers of different calls run at the same time.
#ifndef SERVICES_CACHE_CACHE_SERVICE_H_
#define SERVICES_CACHE_CACHE_SERVICE_H_

#include <memory>

#include "libs/async/async.h"
#include "libs/auth/permissions.h"
#include "libs/rpc/dispatcher.h"
#include "services/cache/cache_engine.h"

namespace grpc {
class Service;
}

namespace slipstream::cache {

struct CacheServiceOptions {
  // Values of one GetMany together; what is left of a message is for the rest of the answer.
  int64_t max_response_bytes = (int64_t{4} << 20) - (64 << 10);
  // Says who may write entries that others read; outlives the service. Null: nobody.
  const auth::PermissionMap* permissions = nullptr;
};

class CacheService {
 public:
  static constexpr int kMaxBatchCount = 256;
  static constexpr int64_t kMaxBatchBytes = int64_t{4} << 20;
  static constexpr int32_t kMaxWaitMs = 30'000;
  static constexpr int32_t kMinLeaseMs = 100;
  static constexpr int32_t kMaxLeaseMs = 300'000;

  // `engine` and `dispatcher` outlive it.
  CacheService(CacheEngine& engine, const rpc::Dispatcher& dispatcher, CacheServiceOptions options);
  ~CacheService();

  grpc::Service* grpc();

 private:
  class Adapter;
  const std::unique_ptr<Adapter> adapter_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_SERVICE_H_
