// The gRPC services behind the edge, by the generic stub: bytes in, bytes out, no generated code.
//
// Thread safety: from any coroutine.
#ifndef SERVICES_EDGE_UPSTREAMS_H_
#define SERVICES_EDGE_UPSTREAMS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "libs/async/async.h"
#include "libs/rpc/call_options.h"
#include "libs/service/context.h"

namespace slipstream::edge {

// A stream with an upstream. Read until nullopt, then status(). Must be read to its end (Cancel
// makes that soon) before it is dropped.
class UpstreamStream {
 public:
  virtual ~UpstreamStream() = default;
  // False: the upstream has ended the call; Read tells how.
  virtual Async<bool> Write(const google::protobuf::Message& message) = 0;
  virtual void WritesDone() = 0;
  // Parses the next message into `message`. False at the end.
  virtual Async<bool> Read(google::protobuf::Message* message) = 0;
  virtual void Cancel() = 0;
  // After Read answered false.
  virtual absl::Status status() const = 0;
  // Headers that the upstream set by initial metadata (valid after the first Read) or trailers
  // (after the last).
  virtual std::optional<std::string> metadata(const std::string& key) const = 0;
  virtual std::vector<std::pair<std::string, std::string>> metadata_with_prefix(
      const std::string& prefix) const = 0;
};

class Upstreams {
 public:
  explicit Upstreams(service::Peers& peers) : peers_(peers) {}

  // `service` is a full protobuf service name; `grpc_path` "/package.Service/Method".
  // An unreachable upstream is UNAVAILABLE with reason UPSTREAM_UNAVAILABLE and a retry delay.
  Async<absl::Status> Call(std::string_view service, const std::string& grpc_path,
                           const rpc::CallOptions& options,
                           const google::protobuf::Message& request,
                           google::protobuf::Message* response);

  std::shared_ptr<UpstreamStream> Open(std::string_view service, const std::string& grpc_path,
                                       const rpc::CallOptions& options);

 private:
  service::Peers& peers_;
};

// "slipstream.artifact.v1.ArtifactService" is served by the peer "task_queue".
std::string_view PeerOf(std::string_view service);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_UPSTREAMS_H_
