// Who asks, as the engines see it: taken from the verified token by the RPC adapters.
#ifndef SERVICES_TASK_QUEUE_CALLER_H_
#define SERVICES_TASK_QUEUE_CALLER_H_

#include <string>
#include <string_view>

namespace slipstream::task_queue {

struct Caller {
  std::string user;
  std::string tenant;
  bool admin = false;  // holds the permission tasks.admin
  std::string correlation_id;
  std::string traceparent;
};

// The one ownership check, of tasks and of artifacts. Who fails it is told NOT_FOUND, so that the
// existence of another's property is not revealed.
inline bool MayAccess(const Caller& caller, std::string_view owner, std::string_view tenant) {
  return caller.admin || (caller.user == owner && caller.tenant == tenant);
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CALLER_H_
