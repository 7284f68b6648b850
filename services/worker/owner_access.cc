#include "services/worker/owner_access.h"

#include <string>
#include <utility>

#include "services/worker/artifact_transfer.h"
#include "services/worker/worker_metrics.h"

namespace slipstream::worker {

namespace {

// A cache that is slower than this helps nobody.
constexpr absl::Duration kCacheTimeout = absl::Seconds(2);
// Of a whole file of at most 100 MiB.
constexpr absl::Duration kTransferTimeout = absl::Seconds(60);

cache::v1::CacheKey DraftKey(std::string key) {
  cache::v1::CacheKey out;
  out.set_namespace_("slipstream.worker");
  out.set_type(cache::v1::CacheKey::LLM_RESPONSE);
  out.set_scope(cache::v1::CacheKey::USER);
  out.set_key(std::move(key));
  return out;
}

}  // namespace

OwnerAccess::OwnerAccess(const service::Peers& peers, std::shared_ptr<grpc::Channel> cache,
                         std::shared_ptr<grpc::Channel> artifacts, metrics::Registry& metrics)
    : peers_(peers),
      artifacts_(std::move(artifacts)),
      cache_(std::move(cache)),
      hits_(metrics.Add(kDraftCache).With({"hit"})),
      misses_(metrics.Add(kDraftCache).With({"miss"})),
      errors_(metrics.Add(kDraftCache).With({"error"})) {}

rpc::CallOptions OwnerAccess::CallFor(const worker_client::TaskContext& context,
                                      absl::Duration timeout) const {
  rpc::CallOptions call = peers_.CallFor(context.owner(), context.tenant());
  call.timeout = timeout;
  call.traceparent = context.traceparent();
  call.correlation_id = context.correlation_id();
  return call;
}

CacheGet OwnerAccess::Get(const worker_client::TaskContext& context) {
  return [this, &context](std::string key) -> Async<absl::StatusOr<std::optional<std::string>>> {
    auto found = co_await cache_.Get(CallFor(context, kCacheTimeout), DraftKey(std::move(key)));
    if (!found.ok()) {
      errors_.Increment();
      co_return found.status();
    }
    if (!found->has_value() || (*found)->negative) {
      misses_.Increment();
      co_return std::nullopt;
    }
    hits_.Increment();
    co_return std::move((*found)->value);
  };
}

CacheSet OwnerAccess::Set(const worker_client::TaskContext& context) {
  return [this, &context](std::string key, std::string value) -> Async<absl::Status> {
    auto stored = co_await cache_.Set(CallFor(context, kCacheTimeout), DraftKey(std::move(key)),
                                      std::move(value));
    co_return stored.status();
  };
}

UploadArtifact OwnerAccess::Upload(const worker_client::TaskContext& context) {
  return [this, &context](ArtifactFile file) {
    return SendArtifact(artifacts_, CallFor(context, kTransferTimeout), context.task_id(),
                        std::move(file), context.cancel_token());
  };
}

DownloadArtifact OwnerAccess::Download(const worker_client::TaskContext& context) {
  return [this, &context](std::string artifact_id, size_t max_bytes) {
    return FetchArtifact(artifacts_, CallFor(context, kTransferTimeout), std::move(artifact_id),
                         max_bytes, context.cancel_token());
  };
}

}  // namespace slipstream::worker
