// Between the wire and the queue's own structs. No decisions here.
//
// Thread safety: pure functions.
#ifndef SERVICES_TASK_QUEUE_TASK_PROTO_H_
#define SERVICES_TASK_QUEUE_TASK_PROTO_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "services/task_queue/submit_check.h"
#include "services/task_queue/task.h"
#include "services/task_queue/task_queue_engine.h"
#include "slipstream/task_queue/v1/queue_stats.pb.h"
#include "slipstream/task_queue/v1/task.pb.h"
#include "slipstream/task_queue/v1/task_queue.pb.h"
#include "slipstream/task_queue/v1/worker.pb.h"

namespace slipstream::task_queue {

// Without arguments.
void ToProto(const TaskRecord& task, v1::Task* out);
v1::TaskError ToTaskError(const absl::Status& status);
void ToProto(const TaskRecord& task, v1::WorkResponse::Assignment* out);
// Workers and example ids for administrators only. `task_type` empty: all.
void ToProto(const QueueReport& report, absl::Time now, const std::string& task_type, bool admin,
             v1::QueueStats* out);

// Its arguments stay in the request, which outlives the spec.
SubmitSpec FromProto(const v1::SubmitTaskRequest& request);
Hello FromProto(const v1::WorkRequest::Hello& hello, std::string user);
TaskUsage FromProto(const v1::TaskUsage& usage);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_TASK_PROTO_H_
