// How a handler's status becomes the failure that the queue stores.
//
// Tried again: UNAVAILABLE, RESOURCE_EXHAUSTED, ABORTED, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN and
// CANCELLED (of something that the handler called). Final: everything else, such as
// INVALID_ARGUMENT, FAILED_PRECONDITION, NOT_FOUND and PERMISSION_DENIED, which would only fail
// again.
//
// The reason is that of the status's ErrorInfo, else the code's name; a RetryInfo becomes the least
// wait before the next attempt. Thread safety: free functions without state. Nothing here fails.
#ifndef LIBS_CLIENT_WORKER_FAILURE_H_
#define LIBS_CLIENT_WORKER_FAILURE_H_

#include "absl/status/status.h"
#include "slipstream/task_queue/v1/worker.pb.h"

namespace slipstream::worker_client {

bool IsRetryable(const absl::Status& status);

// The same status, but final whatever its code: for a failure that every attempt would repeat.
absl::Status Final(absl::Status status);

// Task id and epoch are the caller's to add. REQUIRES: not OK.
task_queue::v1::WorkRequest::Failure ToFailure(const absl::Status& status);

}  // namespace slipstream::worker_client

#endif  // LIBS_CLIENT_WORKER_FAILURE_H_
