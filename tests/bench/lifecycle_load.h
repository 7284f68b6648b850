// The producer's side of a lifecycle: submits tasks in bulk, then reads the results back in bulk
// and checks each.
//
// At most `window` tasks are submitted and not read back; at most so many calls of each kind are in
// flight. Results are read in the order in which the tasks of a priority were submitted; a read
// that found unfinished ones waits before the next of that priority. Thread safety: Run from one
// thread; the callbacks of the calls meet inside.
#ifndef TESTS_BENCH_LIFECYCLE_LOAD_H_
#define TESTS_BENCH_LIFECYCLE_LOAD_H_

#include <array>
#include <deque>
#include <string>
#include <vector>

#include "libs/sync/mutex.h"
#include "tests/bench/bench_load.h"

namespace slipstream::bench {

struct LifecycleOptions {
  int64_t tasks = 100000;
  int batch = 100;
  int submits = 8;  // in flight
  int reads = 4;
  int64_t window = 10000;
  double rate = 0;        // tasks a second; 0: as fast as it goes
  bool read_back = true;  // else a task is over once it is submitted
  bool stamped = false;   // the worker measures the wait from the intended time
};

class LifecycleLoad {
 public:
  LifecycleLoad(LifecycleOptions options, Clients& clients)
      : options_(options), clients_(clients), call_(Call()) {}

  // Until every result has been read, or nothing has moved for 30 s.
  nlohmann::json Run();

 private:
  struct Sent {
    std::string id;
    int64_t number;
  };
  struct Lane {
    std::deque<Sent> unread;
    int64_t not_before_ns = 0;
    int64_t backoff_ns = 0;
    // How many of the latest tasks are not asked for yet, because they are hardly done: learned, up
    // after a read in vain and down after a good one.
    size_t lag = 0;
    bool reading = false;  // one read at a time, so that the order stays
  };
  struct Read {
    int lane = 0;
    std::vector<Sent> asked;
  };

  void Pump();
  void Submit(int64_t first, int count, int64_t at_ns);
  void BulkGet(Read read);
  bool TakeSubmit(int64_t now_ns, int64_t* first, int* count, int64_t* at_ns)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool TakeRead(int64_t now_ns, Read* out) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void OnSubmitted(int64_t first, int count, const absl::Status& status,
                   const task_queue::v1::BulkSubmitTasksResponse& response);
  void OnRead(Read read, const absl::Status& status,
              const task_queue::v1::BulkGetTasksResponse& response);
  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const LifecycleOptions options_;
  Clients& clients_;
  const rpc::CallOptions call_;
  int64_t begin_ns_ = 0;

  sync::Mutex mu_;
  sync::CondVar changed_;
  int64_t next_ ABSL_GUARDED_BY(mu_) = 0;  // number of the next task
  int64_t accepted_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t done_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t wrong_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t errors_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t reads_total_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t read_ids_total_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t last_ns_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t late_max_ns_ ABSL_GUARDED_BY(mu_) = 0;
  std::string first_error_ ABSL_GUARDED_BY(mu_);
  int submitting_ ABSL_GUARDED_BY(mu_) = 0;
  int reading_ ABSL_GUARDED_BY(mu_) = 0;
  std::array<Lane, 4> lanes_ ABSL_GUARDED_BY(mu_);
};

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_LIFECYCLE_LOAD_H_
