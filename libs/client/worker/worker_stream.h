// The seam between the worker and its transport: one WorkerService.Work stream.
//
// grpc_worker_stream.h has the real one; tests script their own. Contract: the owner calls Read,
// one at a time, until it has answered nullopt, and keeps the stream until then; Write is called by
// one coroutine at a time, and false means that the message may be lost. Finish and Cancel from any
// thread.
#ifndef LIBS_CLIENT_WORKER_WORKER_STREAM_H_
#define LIBS_CLIENT_WORKER_WORKER_STREAM_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "slipstream/task_queue/v1/worker.pb.h"

namespace slipstream::worker_client {

class WorkerStream {
 public:
  virtual ~WorkerStream() = default;

  // A serialized WorkRequest. Waits for room. False: the stream is broken or finished.
  virtual Async<bool> Write(std::string request) = 0;
  // Null: the stream has ended, and status() says how.
  virtual Async<std::shared_ptr<task_queue::v1::WorkResponse>> Read() = 0;
  // No more messages from the worker; the server ends the stream.
  virtual void Finish() = 0;
  virtual void Cancel() = 0;
  virtual absl::Status status() const = 0;
};

// Opens a stream; an error (a token that cannot be read) counts as a stream that broke.
using StreamFactory = std::function<absl::StatusOr<std::shared_ptr<WorkerStream>>()>;

}  // namespace slipstream::worker_client

#endif  // LIBS_CLIENT_WORKER_WORKER_STREAM_H_
