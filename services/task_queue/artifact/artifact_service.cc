#include "services/task_queue/artifact/artifact_service.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/artifact/artifact_proto.h"
#include "services/task_queue/artifact/byte_range.h"
#include "services/task_queue/rpc_caller.h"

namespace slipstream::artifact {

namespace {

constexpr int64_t kChunkBytes = 64 << 10;
constexpr size_t kMaxMessageBytes = 256 << 10;
constexpr int kDefaultPageSize = 20;
constexpr int kMaxPageSize = 100;

// RFC 6266: an ASCII name for all, the exact one (RFC 8187) for those who read it. Always an
// attachment, so that no uploaded page runs in the application's origin.
std::string Disposition(const std::string& name) {
  std::string ascii, encoded;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = absl::ascii_isalnum(byte) || c == '.' || c == '_' || c == '-';
    ascii += plain || c == ' ' ? c : '_';
    absl::StrAppend(
        &encoded, plain ? std::string(1, c) : absl::StrCat("%", absl::Hex(byte, absl::kZeroPad2)));
  }
  return absl::StrCat("attachment; filename=\"", ascii, "\"; filename*=UTF-8''", encoded);
}

std::string FilterOf(const Caller& caller, const v1::ListArtifactsRequest& request) {
  return absl::StrCat("ListArtifacts\n", caller.user, "\n", caller.tenant, "\n", request.owner(),
                      "\n", request.task_id());
}

}  // namespace

Caller ArtifactService::CallerOf(const rpc::CallContext& call) const {
  return task_queue::CallerOf(call, deps_.permissions);
}

// --- upload

Async<absl::Status> ArtifactService::Upload(rpc::CallContext& call,
                                            rpc::UploadReceiver<v1::UploadArtifactRequest>& in,
                                            v1::Artifact* response) {
  auto request = co_await in.Read();
  if (!request) co_return status::FieldError("body", "is missing: the stream had no message");
  UploadSpec spec;
  spec.name = request->name();
  spec.content_type = request->body().content_type();
  spec.task_id = request->task_id();
  spec.ttl_ms = request->ttl_ms();
  spec.sha256 = request->sha256();
  spec.by_service =
      !call.principal().acting_service.empty() || call.principal().HasRole(auth::kRoleService);
  auto intake = co_await deps_.engine.Begin(CallerOf(call), std::move(spec));
  if (!intake.ok()) co_return intake.status();
  for (; request; request = co_await in.Read()) {
    if (request->body().data().size() > kMaxMessageBytes) {
      co_return status::FieldError("body.data", "may have at most 256 KiB a message");
    }
    if (request->body().data().empty()) continue;
    absl::Status added =
        co_await (*intake)->Append(std::move(*request->mutable_body()->mutable_data()));
    if (!added.ok()) co_return added;
  }
  // A stream that broke looks like one that ended; half a file must not be kept.
  if (!co_await in.ClientWaits()) co_return absl::CancelledError("the upload was broken off");
  auto kept = co_await (*intake)->Finish();
  if (!kept.ok()) co_return kept.status();
  ToProto(*kept, response);
  co_return absl::OkStatus();
}

grpc::ServerReadReactor<v1::UploadArtifactRequest>* ArtifactService::UploadArtifact(
    grpc::CallbackServerContext* context, v1::Artifact* response) {
  return rpc_.ClientStream<v1::UploadArtifactRequest>(
      "UploadArtifact", context, response,
      [this](rpc::CallContext& call, rpc::UploadReceiver<v1::UploadArtifactRequest>& in,
             v1::Artifact* p) { return Upload(call, in, p); });
}

// --- download

Async<absl::Status> ArtifactService::Download(rpc::CallContext& call,
                                              grpc::CallbackServerContext* context,
                                              const v1::DownloadArtifactRequest& request,
                                              rpc::Sender<google::api::HttpBody>& out) {
  auto opened = co_await deps_.engine.Open(CallerOf(call), request.artifact_id());
  if (!opened.ok()) co_return opened.status();
  const ArtifactRecord& record = opened->first;
  const std::string etag = absl::StrCat("\"", record.sha256, "\"");
  std::optional<ByteRange> range;
  if (request.if_range().empty() || request.if_range() == etag) {
    auto parsed = ParseRange(request.range(), record.size_bytes);
    if (!parsed.ok()) {
      call.AddTrailer("x-http-code", "416");
      call.AddTrailer("x-http-content-range", absl::StrCat("bytes */", record.size_bytes));
      co_return parsed.status();
    }
    range = *parsed;
  }
  const int64_t first = range ? range->first : 0;
  const int64_t size = range ? range->size_bytes : record.size_bytes;
  context->AddInitialMetadata("x-http-content-disposition", Disposition(record.name));
  context->AddInitialMetadata("x-http-content-length", absl::StrCat(size));
  context->AddInitialMetadata("x-http-etag", etag);
  context->AddInitialMetadata("x-http-accept-ranges", "bytes");
  if (range) {
    context->AddInitialMetadata("x-http-code", "206");
    context->AddInitialMetadata(
        "x-http-content-range",
        absl::StrCat("bytes ", first, "-", first + size - 1, "/", record.size_bytes));
  }
  int64_t done = 0;
  do {  // an empty file is one empty chunk, which carries its content type
    auto bytes = co_await opened->second->Read(first + done, std::min(kChunkBytes, size - done));
    if (!bytes.ok()) co_return bytes.status();
    if (bytes->empty() && done < size) {
      co_return status::Error(absl::StatusCode::kDataLoss, "ARTIFACT_CUT_SHORT",
                              "the file is shorter than its record says; upload it again");
    }
    google::api::HttpBody chunk;
    chunk.set_content_type(record.content_type);
    done += static_cast<int64_t>(bytes->size());
    deps_.engine.series().bytes_out.Increment(bytes->size());
    chunk.set_data(*std::move(bytes));
    if (!co_await out.Write(std::move(chunk))) co_return absl::CancelledError("the reader is gone");
  } while (done < size);
  co_return absl::OkStatus();
}

grpc::ServerWriteReactor<google::api::HttpBody>* ArtifactService::DownloadArtifact(
    grpc::CallbackServerContext* context, const v1::DownloadArtifactRequest* request) {
  return rpc_.ServerStream<google::api::HttpBody>(
      "DownloadArtifact", context, request,
      [this, context](rpc::CallContext& call, const v1::DownloadArtifactRequest& q,
                      rpc::Sender<google::api::HttpBody>& out) {
        return Download(call, context, q, out);
      });
}

// --- the rest

grpc::ServerUnaryReactor* ArtifactService::GetArtifact(grpc::CallbackServerContext* context,
                                                       const v1::GetArtifactRequest* request,
                                                       v1::Artifact* response) {
  return rpc_.Unary("GetArtifact", context, request, response,
                    [this](rpc::CallContext& call, const v1::GetArtifactRequest& q,
                           v1::Artifact* p) -> Async<absl::Status> {
                      auto record = co_await deps_.engine.Get(CallerOf(call), q.artifact_id());
                      if (record.ok()) ToProto(*record, p);
                      co_return record.status();
                    });
}

Async<absl::Status> ArtifactService::List(rpc::CallContext& call,
                                          const v1::ListArtifactsRequest& request,
                                          v1::ListArtifactsResponse* response) {
  if (request.page_size() < 0) co_return status::FieldError("page_size", "must be 0-100");
  const Caller caller = CallerOf(call);
  const std::string filter = FilterOf(caller, request);
  auto after = deps_.page_tokens.Decode(request.page_token(), filter);
  if (!after.ok()) co_return after.status();
  ArtifactQuery query;
  query.owner = request.owner();
  query.task_id = request.task_id();
  query.after = *std::move(after);
  query.limit =
      request.page_size() == 0 ? kDefaultPageSize : std::min(request.page_size(), kMaxPageSize);
  auto page = co_await deps_.engine.List(caller, std::move(query));
  if (!page.ok()) co_return page.status();
  for (const auto& record : page->artifacts) ToProto(record, response->add_artifacts());
  auto next = deps_.page_tokens.Encode(page->next, filter);
  if (!next.ok()) co_return next.status();
  response->set_next_page_token(*std::move(next));
  co_return absl::OkStatus();
}

grpc::ServerUnaryReactor* ArtifactService::ListArtifacts(grpc::CallbackServerContext* context,
                                                         const v1::ListArtifactsRequest* request,
                                                         v1::ListArtifactsResponse* response) {
  return rpc_.Unary("ListArtifacts", context, request, response,
                    [this](rpc::CallContext& call, const v1::ListArtifactsRequest& q,
                           v1::ListArtifactsResponse* p) { return List(call, q, p); });
}

grpc::ServerUnaryReactor* ArtifactService::DeleteArtifact(grpc::CallbackServerContext* context,
                                                          const v1::DeleteArtifactRequest* request,
                                                          v1::DeleteArtifactResponse* response) {
  return rpc_.Unary("DeleteArtifact", context, request, response,
                    [this](rpc::CallContext& call, const v1::DeleteArtifactRequest& q,
                           v1::DeleteArtifactResponse*) -> Async<absl::Status> {
                      co_return co_await deps_.engine.Remove(CallerOf(call), q.artifact_id());
                    });
}

grpc::ServerUnaryReactor* ArtifactService::CleanupArtifacts(
    grpc::CallbackServerContext* context, const v1::CleanupArtifactsRequest* request,
    v1::CleanupArtifactsResponse* response) {
  return rpc_.Unary("CleanupArtifacts", context, request, response,
                    [this](rpc::CallContext& call, const v1::CleanupArtifactsRequest& q,
                           v1::CleanupArtifactsResponse* p) -> Async<absl::Status> {
                      auto swept = co_await deps_.engine.Sweep(q.dry_run());
                      if (!swept.ok()) co_return swept.status();
                      p->set_expired_count(swept->expired_count);
                      p->set_orphans_count(swept->orphans_count);
                      p->set_freed_bytes(swept->freed_bytes);
                      p->set_more(swept->more);
                      call.set_audit("artifacts", "",
                                     absl::StrCat("removed ", swept->expired_count));
                      co_return absl::OkStatus();
                    });
}

}  // namespace slipstream::artifact
