// Builds a TaskType from JSON texts, so that schemas and examples are read as what they are.
#ifndef SERVICES_WORKER_HANDLERS_TASK_TYPE_DATA_H_
#define SERVICES_WORKER_HANDLERS_TASK_TYPE_DATA_H_

#include <string_view>

#include "absl/time/time.h"
#include "slipstream/task_queue/v1/task_type.pb.h"

namespace slipstream::worker {

struct TaskTypeData {
  std::string_view name;
  std::string_view alias;  // empty for none
  std::string_view description;
  std::string_view schema_json;
  std::string_view example_json;
  absl::Duration expected_min;
  absl::Duration expected_max;
  absl::Duration deadline;
  int max_attempts;
};

// The texts are constants of the program: one that is not JSON ends the process.
task_queue::v1::TaskType BuildTaskType(const TaskTypeData& data);

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_HANDLERS_TASK_TYPE_DATA_H_
