#include "services/edge/upstreams.h"

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/proto_buffer_writer.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/rpc/client_call.h"
#include "libs/status/status.h"

namespace slipstream::edge {

namespace {

grpc::ByteBuffer Serialize(const google::protobuf::Message& message) {
  grpc::Slice slice(message.ByteSizeLong());
  // A fresh slice is ours alone, so writing into it is fine.
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

bool Parse(grpc::ByteBuffer& buffer, google::protobuf::Message* message) {
  grpc::ProtoBufferReader reader(&buffer);
  return reader.status().ok() && message->ParseFromZeroCopyStream(&reader);
}

// gRPC's own text names addresses inside; clients get a reason that they can act on instead.
absl::Status ForClients(absl::Status status, std::string_view peer) {
  if (status.code() != absl::StatusCode::kUnavailable || !status::Reason(status).empty()) {
    return status;
  }
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, "UPSTREAM_UNAVAILABLE",
                    absl::StrCat("the ", std::string(peer),
                                 " service cannot be reached; try again after the delay given")),
      absl::Seconds(1));
}

class GenericStream final : public UpstreamStream {
 public:
  using Call = rpc::BidiCall<grpc::ByteBuffer, grpc::ByteBuffer>;
  GenericStream(std::shared_ptr<Call> call, std::string_view peer)
      : call_(std::move(call)), peer_(peer) {}

  Async<bool> Write(const google::protobuf::Message& message) override {
    return call_->Write(Serialize(message));
  }
  void WritesDone() override { call_->SendsDone(); }
  Async<bool> Read(google::protobuf::Message* message) override {
    while (auto buffer = co_await call_->Read()) {
      if (malformed_) continue;  // to the end, as the call wants
      message->Clear();
      if (Parse(*buffer, message)) co_return true;
      malformed_ = true;
      call_->Cancel();
    }
    co_return false;
  }
  void Cancel() override { call_->Cancel(); }
  absl::Status status() const override {
    if (malformed_) {
      return status::Error(absl::StatusCode::kInternal, "UPSTREAM_MALFORMED",
                           "the service behind the edge sent a message of another type");
    }
    return ForClients(call_->status(), peer_);
  }
  std::optional<std::string> metadata(const std::string& key) const override {
    const auto find = [&key](const auto& map) -> std::optional<std::string> {
      const auto it = map.find(key);
      if (it == map.end()) return std::nullopt;
      return std::string(it->second.data(), it->second.size());
    };
    if (auto value = find(call_->context().GetServerInitialMetadata())) return value;
    // Until the end the trailers are gRPC's to fill, on a thread of its own.
    if (!call_->ended()) return std::nullopt;
    return find(call_->context().GetServerTrailingMetadata());
  }
  std::vector<std::pair<std::string, std::string>> metadata_with_prefix(
      const std::string& prefix) const override {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& [key, value] : call_->context().GetServerInitialMetadata()) {
      const std::string name(key.data(), key.size());
      if (name.rfind(prefix, 0) == 0) {
        out.emplace_back(name.substr(prefix.size()), std::string(value.data(), value.size()));
      }
    }
    return out;
  }

 private:
  const std::shared_ptr<Call> call_;
  const std::string_view peer_;
  bool malformed_ = false;
};

}  // namespace

std::string_view PeerOf(std::string_view service) {
  constexpr std::string_view kPrefix = "slipstream.";
  if (service.rfind(kPrefix, 0) == 0) service.remove_prefix(kPrefix.size());
  const std::string_view package = service.substr(0, service.find('.'));
  // The task queue serves these too.
  for (std::string_view name : {"budget", "schedule", "webhook", "artifact"}) {
    if (package == name) return "task_queue";
  }
  for (std::string_view name :
       {"cache", "task_queue", "notification", "database_optimizer", "monitoring"}) {
    if (package == name) return name;
  }
  return "";
}

Async<absl::Status> Upstreams::Call(std::string_view service, const std::string& grpc_path,
                                    const rpc::CallOptions& options,
                                    const google::protobuf::Message& request,
                                    google::protobuf::Message* response) {
  const std::string_view peer = PeerOf(service);
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(peers_.Channel(peer));
  const grpc::ByteBuffer bytes = Serialize(request);
  auto answer = co_await rpc::CallUnary<grpc::ByteBuffer>(
      options, [&](grpc::ClientContext* context, grpc::ByteBuffer* out, auto done) {
        stub.UnaryCall(context, grpc_path, {}, &bytes, out, std::move(done));
      });
  if (!answer.ok()) co_return ForClients(answer.status(), peer);
  if (!Parse(*answer, response)) {
    co_return status::Error(absl::StatusCode::kInternal, "UPSTREAM_MALFORMED",
                            "the service behind the edge answered with another type");
  }
  co_return absl::OkStatus();
}

std::shared_ptr<UpstreamStream> Upstreams::Open(std::string_view service,
                                                const std::string& grpc_path,
                                                const rpc::CallOptions& options) {
  const std::string_view peer = PeerOf(service);
  return std::make_shared<GenericStream>(
      GenericStream::Call::Start(peers_.Channel(peer), grpc_path, options), peer);
}

}  // namespace slipstream::edge
