// ArtifactService over gRPC: from messages to the engine and back.
//
// Thread safety: as gRPC calls it, from many threads at once.
#ifndef SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_SERVICE_H_
#define SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_SERVICE_H_

#include "libs/auth/permissions.h"
#include "libs/page_token/page_token.h"
#include "libs/rpc/handler.h"
#include "services/task_queue/artifact/artifact_engine.h"
#include "slipstream/artifact/v1/artifact.grpc.pb.h"

namespace slipstream::artifact {

class ArtifactService final : public v1::ArtifactService::CallbackService {
 public:
  struct Deps {
    const rpc::Dispatcher& dispatcher;
    const auth::PermissionMap& permissions;
    ArtifactEngine& engine;
    page_token::PageTokens page_tokens;
  };
  ArtifactService(Deps deps, rpc::MethodTable methods)
      : deps_(std::move(deps)), rpc_(deps_.dispatcher, std::move(methods)) {}

  grpc::ServerReadReactor<v1::UploadArtifactRequest>* UploadArtifact(grpc::CallbackServerContext*,
                                                                     v1::Artifact*) override;
  grpc::ServerWriteReactor<google::api::HttpBody>* DownloadArtifact(
      grpc::CallbackServerContext*, const v1::DownloadArtifactRequest*) override;
  grpc::ServerUnaryReactor* GetArtifact(grpc::CallbackServerContext*, const v1::GetArtifactRequest*,
                                        v1::Artifact*) override;
  grpc::ServerUnaryReactor* ListArtifacts(grpc::CallbackServerContext*,
                                          const v1::ListArtifactsRequest*,
                                          v1::ListArtifactsResponse*) override;
  grpc::ServerUnaryReactor* DeleteArtifact(grpc::CallbackServerContext*,
                                           const v1::DeleteArtifactRequest*,
                                           v1::DeleteArtifactResponse*) override;
  grpc::ServerUnaryReactor* CleanupArtifacts(grpc::CallbackServerContext*,
                                             const v1::CleanupArtifactsRequest*,
                                             v1::CleanupArtifactsResponse*) override;

 private:
  Caller CallerOf(const rpc::CallContext& call) const;
  Async<absl::Status> Upload(rpc::CallContext& call,
                             rpc::UploadReceiver<v1::UploadArtifactRequest>& in,
                             v1::Artifact* response);
  Async<absl::Status> Download(rpc::CallContext& call, grpc::CallbackServerContext* context,
                               const v1::DownloadArtifactRequest& request,
                               rpc::Sender<google::api::HttpBody>& out);
  Async<absl::Status> List(rpc::CallContext& call, const v1::ListArtifactsRequest& request,
                           v1::ListArtifactsResponse* response);

  const Deps deps_;
  rpc::Endpoint rpc_;
};

}  // namespace slipstream::artifact

#endif  // SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_SERVICE_H_
