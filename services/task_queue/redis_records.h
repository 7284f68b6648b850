// A task's record as fields: the card, which never changes, and the state.
//
// Thread safety: pure functions. Errors: DATA_LOSS, STORED_TASK_BROKEN.
#ifndef SERVICES_TASK_QUEUE_REDIS_RECORDS_H_
#define SERVICES_TASK_QUEUE_REDIS_RECORDS_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "services/task_queue/redis_codec.h"

namespace slipstream::task_queue::redis_codec {

// 'L' epoch(8) at(6) limited(1) length(1), before the session's name.
inline constexpr size_t kLeaseHeaderBytes = kFenceBytes + 8;

absl::Status Broken(std::string_view what);
void WriteCard(const TaskRecord& task, std::string& out);
absl::Status ReadCard(std::string_view card, TaskRecord& task);
void WriteState(const Stored& stored, bool with_result, std::string& out);
absl::Status ReadState(std::string_view state, Stored& stored);

}  // namespace slipstream::task_queue::redis_codec

#endif  // SERVICES_TASK_QUEUE_REDIS_RECORDS_H_
