// What a task's handler reaches outside, always on behalf of the task's owner: the draft cache and
// the artifact service. Everything a handler stores belongs to that user; what another user owns
// does not exist for it.
//
// Thread safety: all methods, from any coroutine. The returned functions refer to this object and
// to the task's context, and outlive neither.
#ifndef SERVICES_WORKER_OWNER_ACCESS_H_
#define SERVICES_WORKER_OWNER_ACCESS_H_

#include <memory>

#include "libs/client/cache/cache_client.h"
#include "libs/client/worker/task.h"
#include "libs/metrics/registry.h"
#include "libs/service/context.h"
#include "services/worker/handlers/seams.h"

namespace grpc {
class Channel;
}

namespace slipstream::worker {

class OwnerAccess {
 public:
  // `peers` and `metrics` outlive it. REQUIRES: Peers::Channel may be called (from Start() on).
  OwnerAccess(const service::Peers& peers, std::shared_ptr<grpc::Channel> cache,
              std::shared_ptr<grpc::Channel> artifacts, metrics::Registry& metrics);

  CacheGet Get(const worker_client::TaskContext& context);
  CacheSet Set(const worker_client::TaskContext& context);
  UploadArtifact Upload(const worker_client::TaskContext& context);
  DownloadArtifact Download(const worker_client::TaskContext& context);

 private:
  rpc::CallOptions CallFor(const worker_client::TaskContext& context, absl::Duration timeout) const;

  const service::Peers& peers_;
  const std::shared_ptr<grpc::Channel> artifacts_;
  cache_client::CacheClient cache_;
  const metrics::Counter hits_;
  const metrics::Counter misses_;
  const metrics::Counter errors_;
};

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_OWNER_ACCESS_H_
