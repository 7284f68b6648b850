// From what a user asks for to a task that may be queued: every check of a submit, and no state.
//
// Thread safety: pure functions.
// Errors: INVALID_ARGUMENT naming the field, or the task type's; UNIMPLEMENTED (NOT_BUILT_YET) for
// features of the design that this build does not have.
#ifndef SERVICES_TASK_QUEUE_SUBMIT_CHECK_H_
#define SERVICES_TASK_QUEUE_SUBMIT_CHECK_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/struct.pb.h"
#include "services/task_queue/caller.h"
#include "services/task_queue/task.h"
#include "services/task_queue/task_type_registry.h"

namespace slipstream::task_queue {

class ArgsCipher;

// A submit as asked for. 0, empty and absent mean the default.
struct SubmitSpec {
  std::string task_type;
  google::protobuf::Struct args;
  // Instead of `args`, when they are somewhere that outlives the submit: not worth a copy.
  const google::protobuf::Struct* borrowed_args = nullptr;
  const google::protobuf::Struct& Args() const { return borrowed_args ? *borrowed_args : args; }
  int priority = 0;
  std::string request_id;
  std::string fingerprint;  // of the whole content but the request id
  std::optional<int64_t> delay_ms;
  std::optional<absl::Time> run_at;
  int64_t expires_in_ms = 0;
  int max_attempts = 0;
  int deadline_ms = 0;
  int64_t result_ttl_ms = 0;
  std::map<std::string, std::string> labels;
  std::string unique_key;
  int unique_policy = 0;
  std::string concurrency_key;
  std::vector<std::string> depends_on;  // ids, or "#n" for entry n of the same bulk submit
  std::string not_built_feature;        // the name of an option used that this build does not have
};

struct SubmitLimits {
  int64_t max_args_bytes = 256 << 10;
  int default_max_attempts = 3;
  absl::Duration default_attempt_deadline = absl::Minutes(10);
  absl::Duration default_result_ttl = absl::Hours(1);
};

// The task without its id and what it depends on, which the engine gives. Without a cipher types
// with sensitive arguments are refused: FAILED_PRECONDITION, SENSITIVE_KEY_MISSING.
absl::StatusOr<NewTask> CheckSubmit(const Caller& caller, const SubmitSpec& spec,
                                    const TaskTypeRegistry& registry, const SubmitLimits& limits,
                                    const ArgsCipher* cipher, absl::Time now);

// The same bytes for the same value, whatever the order of its fields.
std::string SerializeDeterministically(const google::protobuf::MessageLite& message);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_SUBMIT_CHECK_H_
