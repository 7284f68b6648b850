// Every annotated RPC of a set of descriptors: what the edge serves, read and not written by hand.
//
// The catalog owns a DescriptorPool and a message factory of its own, built from a
// FileDescriptorSet (with source info, so that OpenAPI has descriptions), so any team's services
// can be mounted; messages are dynamic.
//
// Thread safety: immutable after Create; all const methods may run from any thread.
#ifndef SERVICES_EDGE_TRANSCODER_METHOD_CATALOG_H_
#define SERVICES_EDGE_TRANSCODER_METHOD_CATALOG_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/message.h"
#include "services/edge/transcoder/http_rule.h"
#include "services/edge/transcoder/request_binder.h"
#include "services/edge/transcoder/route_table.h"

namespace slipstream::edge {

enum class StreamingKind { kUnary, kServer, kClient, kBidi };

struct CatalogMethod {
  const google::protobuf::MethodDescriptor* descriptor = nullptr;
  std::string service;  // "slipstream.task_queue.v1.TaskQueueService": which upstream serves it
  std::string name;     // "slipstream.task_queue.v1.TaskQueueService.SubmitTask"
  std::string
      grpc_path;  // "/slipstream.task_queue.v1.TaskQueueService/SubmitTask", for the generic stub
  StreamingKind streaming = StreamingKind::kUnary;
  std::string permission;             // of the policy option; empty when `open`
  bool open = false;                  // no token needed
  int success_status = 200;           // HTTP status of success
  int64_t default_deadline_ms = 0;    // 0: the edge's own default
  std::vector<HttpBinding> bindings;  // empty: not on REST (still callable by gRPC and WebSocket)
};

// One (method, HTTP binding): what a route leads to. RouteMatch::target indexes
// MethodCatalog::endpoints().
struct Endpoint {
  size_t method = 0;   // index into methods()
  size_t binding = 0;  // index into that method's bindings
  RequestBinder binder;
};

class MethodCatalog {
 public:
  // INVALID_ARGUMENT with the file or method at fault: descriptors that do not link, a bad template
  // or rule. `service_prefixes` limits the services taken ("slipstream." ...); empty takes all.
  static absl::StatusOr<std::unique_ptr<MethodCatalog>> Create(
      const google::protobuf::FileDescriptorSet& files,
      const std::vector<std::string>& service_prefixes = {});

  const std::vector<CatalogMethod>& methods() const { return methods_; }
  const std::vector<Endpoint>& endpoints() const { return endpoints_; }

  // The routes of all endpoints; conflicts are refused with both names.
  absl::StatusOr<RouteTable> BuildRoutes() const;
  // The specs alone, to be merged with other catalogs' and hand-written routes (target = index of
  // the endpoint + `first_target`).
  std::vector<RouteSpec> RouteSpecs(size_t first_target = 0) const;

  // By "package.Service.Method" or "/package.Service/Method"; null when there is none.
  const CatalogMethod* Find(std::string_view name) const;

  // A fresh message of a type of this catalog (a method's input or output, a response's field). The
  // catalog outlives it.
  std::unique_ptr<google::protobuf::Message> NewMessage(
      const google::protobuf::Descriptor& type) const;
  // The same on an arena: cheaper for deep requests.
  google::protobuf::Message* NewMessage(const google::protobuf::Descriptor& type,
                                        google::protobuf::Arena* arena) const;

  const google::protobuf::DescriptorPool& pool() const { return *pool_; }

 private:
  MethodCatalog() = default;

  std::unique_ptr<google::protobuf::DescriptorPool> pool_;
  std::unique_ptr<google::protobuf::DynamicMessageFactory>
      factory_;  // after pool_: destroyed first
  std::vector<CatalogMethod> methods_;
  std::vector<Endpoint> endpoints_;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_METHOD_CATALOG_H_
