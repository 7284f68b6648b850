// What the suite knows of an RPC from its descriptor: name, kind and the policy option.
//
// Thread safety: MethodTable is immutable after construction.
#ifndef LIBS_RPC_METHOD_H_
#define LIBS_RPC_METHOD_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace slipstream::rpc {

struct Method {
  std::string service;     // "slipstream.task_queue.v1.TaskQueueService"
  std::string name;        // "SubmitTask"
  std::string type;        // "unary", "client_stream", "server_stream" or "bidi_stream"
  std::string permission;  // empty only when `open`
  bool open = false;       // no token is needed
  bool audited = false;
  absl::Duration default_deadline = absl::InfiniteDuration();

  std::string FullName() const { return service + "/" + name; }
  bool streams() const { return type != "unary"; }
};

// The methods of one service, read from the generated descriptor pool.
class MethodTable {
 public:
  // NOT_FOUND when the service is not linked in; FAILED_PRECONDITION when a method has neither a
  // permission nor `open`: nothing is served by forgetting an option.
  static absl::StatusOr<MethodTable> ForService(std::string_view full_service_name);

  // Dies (a programming error) when the service has no such method.
  const Method& operator[](std::string_view name) const;
  std::vector<const Method*> All() const;

 private:
  std::map<std::string, std::unique_ptr<Method>, std::less<>> methods_;
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_METHOD_H_
