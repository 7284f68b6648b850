// What the load drivers share: the server they load, the tasks they make, and what they print.
//
// Each driver is a process of its own that tools/bench starts, and prints one JSON object a line.
// Thread safety: free functions; Channels is immutable.
#ifndef TESTS_BENCH_BENCH_LOAD_H_
#define TESTS_BENCH_BENCH_LOAD_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "libs/client/task_queue/task_queue_client.h"
#include "libs/clock/clock.h"
#include "libs/rpc/call_options.h"
#include "nlohmann/json.hpp"
#include "slipstream/task_queue/v1/task_queue.pb.h"

ABSL_DECLARE_FLAG(std::string, address);
ABSL_DECLARE_FLAG(std::string, token);

namespace slipstream::bench {

// The type of all tasks of the benches.
inline constexpr char kTaskType[] = "bench";

void ParseFlags(int argc, char** argv);
// With the token of --token.
rpc::CallOptions Call();

// One client for each of --channels connections, in turn.
class Clients {
 public:
  Clients();
  task_queue_client::TaskQueueClient& Next() {
    return *clients_[next_.fetch_add(1, std::memory_order_relaxed) % clients_.size()];
  }

 private:
  const clock::SystemClock clock_;
  std::vector<std::unique_ptr<task_queue_client::TaskQueueClient>> clients_;
  std::atomic<size_t> next_{0};
};

// Nanoseconds of the machine's monotonic clock, the same in all processes.
int64_t NowNs();
// The processor time of this process so far.
double CpuSeconds();

// Task `number`: priorities in turn, arguments of 100 bytes as JSON. `at_ns`, when not 0, is from
// where the worker measures how long the task waited.
void MakeTask(int64_t number, int64_t at_ns, task_queue::v1::SubmitTaskRequest* out);
// Makes another task of one from MakeTask, of nearly the same size.
void Renumber(int64_t number, task_queue::v1::SubmitTaskRequest* task);
// Which of the four priorities task `number` has, from 0.
inline int PriorityOf(int64_t number) { return static_cast<int>(number % 4); }
// Whether this is what the worker's handler made of task `number`.
bool IsResultOf(int64_t number, const task_queue::v1::Task& task);

// {"count", "p50_ms", "p99_ms", "p999_ms", "max_ms"}
nlohmann::json Percentiles(std::vector<int64_t> ns);

void Print(const nlohmann::json& line);

// A number that another process reads: one of the worker's, in a file of 8 bytes mapped by both.
class SharedCounter {
 public:
  explicit SharedCounter(const std::string& path);
  std::atomic<int64_t>& operator*() const { return *value_; }

 private:
  std::atomic<int64_t>* value_;
};

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_BENCH_LOAD_H_
