#include "services/worker/artifact_transfer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/rpc/client_call.h"
#include "libs/status/status.h"
#include "slipstream/artifact/v1/artifact.grpc.pb.h"

namespace slipstream::worker {

namespace {

namespace av = slipstream::artifact::v1;

constexpr char kUploadMethod[] = "/slipstream.artifact.v1.ArtifactService/UploadArtifact";
constexpr char kDownloadMethod[] = "/slipstream.artifact.v1.ArtifactService/DownloadArtifact";

using UploadCall = rpc::BidiCall<av::UploadArtifactRequest, av::Artifact>;
using DownloadCall = rpc::BidiCall<av::DownloadArtifactRequest, google::api::HttpBody>;

task_queue::v1::ArtifactRef RefOf(const av::Artifact& artifact) {
  task_queue::v1::ArtifactRef ref;
  ref.set_artifact_id(artifact.artifact_id());
  ref.set_name(artifact.name());
  ref.set_content_type(artifact.content_type());
  ref.set_size_bytes(artifact.size_bytes());
  return ref;
}

absl::Status TooLarge(size_t max_bytes) {
  return status::FieldError("args.artifact_id", absl::StrCat("is larger than ", max_bytes,
                                                             " bytes; take a smaller file"));
}

}  // namespace

Async<absl::StatusOr<task_queue::v1::ArtifactRef>> SendArtifact(
    std::shared_ptr<grpc::Channel> channel, rpc::CallOptions options, std::string task_id,
    ArtifactFile file, std::stop_token cancel) {
  auto call = UploadCall::Start(std::move(channel), kUploadMethod, options);
  std::stop_callback on_cancel(cancel, [call] { call->Cancel(); });
  av::UploadArtifactRequest request;
  request.set_name(file.name);
  request.set_task_id(task_id);
  request.mutable_body()->set_content_type(file.content_type);
  size_t sent = 0;
  // One message at least: an empty file has a name too. A refused write ends the loop; the status
  // below says why.
  do {
    const size_t count = std::min(kArtifactChunkBytes, file.bytes.size() - sent);
    request.mutable_body()->set_data(file.bytes.substr(sent, count));
    sent += count;
    if (!co_await call->Write(std::exchange(request, {}))) break;
  } while (sent < file.bytes.size());
  call->SendsDone();
  auto artifact = co_await call->Read();
  if (artifact) {
    // To its end, which is when the status is there.
    while (co_await call->Read()) continue;
  }
  if (absl::Status status = call->status(); !status.ok()) co_return status;
  if (!artifact) {
    co_return absl::InternalError("the artifact service ended an upload without an answer");
  }
  co_return RefOf(*artifact);
}

Async<absl::StatusOr<ArtifactFile>> FetchArtifact(std::shared_ptr<grpc::Channel> channel,
                                                  rpc::CallOptions options, std::string artifact_id,
                                                  size_t max_bytes, std::stop_token cancel) {
  const auto stub = av::ArtifactService::NewStub(channel);
  av::GetArtifactRequest about;
  about.set_artifact_id(artifact_id);
  auto artifact =
      co_await rpc::CallUnary<av::Artifact>(options, [&](auto* c, auto* out, auto done) {
        stub->async()->GetArtifact(c, &about, out, std::move(done));
      });
  if (!artifact.ok()) co_return artifact.status();
  if (artifact->size_bytes() > static_cast<int64_t>(max_bytes)) co_return TooLarge(max_bytes);

  auto call = DownloadCall::Start(std::move(channel), kDownloadMethod, options);
  std::stop_callback on_cancel(cancel, [call] { call->Cancel(); });
  av::DownloadArtifactRequest request;
  request.set_artifact_id(artifact_id);
  call->Send(std::move(request));
  call->SendsDone();
  ArtifactFile file{artifact->name(), artifact->content_type(), ""};
  bool too_large = false;
  while (auto body = co_await call->Read()) {
    too_large = too_large || file.bytes.size() + body->data().size() > max_bytes;
    // Read on to the end all the same: that is when the call may go.
    if (too_large) {
      call->Cancel();
    } else {
      file.bytes += body->data();
    }
  }
  if (too_large) co_return TooLarge(max_bytes);
  if (absl::Status status = call->status(); !status.ok()) co_return status;
  co_return file;
}

}  // namespace slipstream::worker
