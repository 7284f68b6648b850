#include "services/worker/handlers/task_type_data.h"

#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace slipstream::worker {
namespace {

void ParseOrDie(std::string_view json, google::protobuf::Struct* out) {
  if (!google::protobuf::util::JsonStringToMessage(std::string(json), out).ok()) {
    std::fprintf(stderr, "not a JSON object: %.60s\n", std::string(json).c_str());
    std::abort();
  }
}

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

}  // namespace

task_queue::v1::TaskType BuildTaskType(const TaskTypeData& data) {
  task_queue::v1::TaskType type;
  type.set_name(std::string(data.name));
  if (!data.alias.empty()) type.add_aliases(std::string(data.alias));
  type.set_description(std::string(data.description));
  ParseOrDie(data.schema_json, type.mutable_args_schema());
  ParseOrDie(data.example_json, type.mutable_example_args());
  type.set_expected_min_ms(Milliseconds(data.expected_min));
  type.set_expected_max_ms(Milliseconds(data.expected_max));
  type.set_deadline_ms(Milliseconds(data.deadline));
  type.set_max_attempts(data.max_attempts);
  return type;
}

}  // namespace slipstream::worker
