// The producers of the queue benches.
//   --mode=lifecycle   --tasks tasks in bulks of --batch, results read back; prints their rate
//   --mode=open_loop   the same at --rate, each task stamped with when it was due
//   --mode=hold        keeps --waiting tasks waiting: prints {"event": "filled"} when they are
//                      there, then replaces what the worker finishes (its --counter) until
//                      standard input ends
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "absl/flags/flag.h"
#include "tests/bench/bench_load.h"
#include "tests/bench/lifecycle_load.h"

ABSL_FLAG(std::string, mode, "lifecycle", "lifecycle, open_loop or hold");
ABSL_FLAG(int64_t, tasks, 100000, "how many in all");
ABSL_FLAG(int, batch, 100, "tasks of a bulk");
ABSL_FLAG(int, submits, 8, "bulk submits in flight");
ABSL_FLAG(int, reads, 4, "bulk reads in flight, one for each priority");
ABSL_FLAG(int64_t, window, 20000, "tasks submitted and not yet read back");
ABSL_FLAG(double, rate, 1000, "tasks a second of open_loop");
ABSL_FLAG(bool, read_back, true, "whether open_loop reads results");
ABSL_FLAG(int64_t, waiting, 1000, "of hold");
ABSL_FLAG(std::string, counter, "", "file in which the worker counts finished tasks, for hold");

namespace slipstream::bench {
namespace {

LifecycleOptions Options() {
  LifecycleOptions options;
  options.tasks = absl::GetFlag(FLAGS_tasks);
  options.batch = std::clamp(absl::GetFlag(FLAGS_batch), 1, task_queue_client::kMaxBulkCount);
  options.submits = absl::GetFlag(FLAGS_submits);
  options.reads = absl::GetFlag(FLAGS_reads);
  options.window = absl::GetFlag(FLAGS_window);
  return options;
}

bool InputEnded() {
  pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  char byte;
  return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

// A bulk of submits that is not read back, as often as the backlog needs it.
int Hold(Clients& clients) {
  const SharedCounter finished(absl::GetFlag(FLAGS_counter));
  LifecycleOptions options = Options();
  options.read_back = false;
  options.tasks = absl::GetFlag(FLAGS_waiting);
  options.window = options.tasks + options.batch;
  nlohmann::json filled = LifecycleLoad(options, clients).Run();
  filled["event"] = "filled";
  Print(filled);
  if (filled["errors"] != 0) return 1;
  int64_t submitted = options.tasks;
  while (!InputEnded()) {
    const int64_t missing = options.tasks + (*finished).load() - submitted;
    if (missing < options.batch && missing < options.tasks / 10) {
      usleep(500);
      continue;
    }
    LifecycleOptions more = options;
    more.tasks = std::min<int64_t>(missing, 4096);
    const nlohmann::json refilled = LifecycleLoad(more, clients).Run();
    if (refilled["errors"] != 0) {
      Print(refilled);
      return 1;
    }
    submitted += more.tasks;
  }
  Print({{"submitted", submitted}, {"cpu_s", CpuSeconds()}});
  return 0;
}

int Main() {
  Clients clients;
  const std::string mode = absl::GetFlag(FLAGS_mode);
  if (mode == "hold") return Hold(clients);
  LifecycleOptions options = Options();
  if (mode == "open_loop") {
    options.rate = absl::GetFlag(FLAGS_rate);
    options.read_back = absl::GetFlag(FLAGS_read_back);
    options.stamped = true;
    options.submits = 100000;  // the schedule alone decides
    options.window = int64_t{1} << 40;
  }
  const nlohmann::json result = LifecycleLoad(options, clients).Run();
  Print(result);
  return result["errors"] == 0 && result["wrong"] == 0 && result["done"] == options.tasks ? 0 : 1;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  return slipstream::bench::Main();
}
