// TaskTypeRegistry: the task types that workers have announced, here or (shared_task_types.h) at
// other servers, kept for the life of the process.
//
// A type stays known when its last worker has gone, so that a submit between two workers' lives is
// accepted and waits. What a worker announces last holds.
//
// Thread safety: all methods from any thread. A KnownType is immutable and stays valid.
#ifndef SERVICES_TASK_QUEUE_TASK_TYPE_REGISTRY_H_
#define SERVICES_TASK_QUEUE_TASK_TYPE_REGISTRY_H_

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/sync/mutex.h"
#include "services/task_queue/json_schema.h"
#include "slipstream/task_queue/v1/task_type.pb.h"

namespace slipstream::task_queue {

inline constexpr size_t kMaxKnownTypesCount = 1'000;
inline constexpr char kUnknownTaskType[] = "UNKNOWN_TASK_TYPE";

struct KnownType {
  v1::TaskType type;  // as announced
  JsonSchema schema;
  bool sensitive = false;  // some arguments are
};

class TaskTypeRegistry {
 public:
  // Adds or replaces the types, all or none. INVALID_ARGUMENT with the field for names, bounds and
  // schemas that are wrong, an example that its own schema refuses, or an alias that is another
  // type's name or alias; RESOURCE_EXHAUSTED beyond kMaxKnownTypesCount.
  absl::Status Announce(const std::vector<v1::TaskType>& types);

  // By name or alias. INVALID_ARGUMENT, reason UNKNOWN_TASK_TYPE, listing the known ones;
  // UNAVAILABLE with a retry delay while no worker has announced any.
  absl::StatusOr<std::shared_ptr<const KnownType>> Find(std::string_view name_or_alias) const;

  // Grows with every change of what is known.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

  // By name.
  std::vector<std::shared_ptr<const KnownType>> All() const;

 private:
  std::atomic<uint64_t> version_{1};
  mutable sync::Mutex mu_;
  std::map<std::string, std::shared_ptr<const KnownType>, std::less<>> types_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::string, std::less<>> aliases_ ABSL_GUARDED_BY(mu_);  // alias -> name
};

// 1-64 characters of [a-z0-9_.-].
bool IsTaskTypeName(std::string_view name);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_TASK_TYPE_REGISTRY_H_
