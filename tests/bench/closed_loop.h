// A closed loop: so many calls in flight at any time, counted over a measured time.
//
//   ClosedLoop loop;
//   loop.Run([&](int slot, int64_t number) { ... loop.Ended(slot, ok); }, &out);
//
// What a slot needs for its call can be used again by its next one, so that the load costs little.
// A call is begun by who says that the one before it has ended, or, with --starter, by one thread
// of the loop's own. gRPC writes each call to its socket as it is begun; while another thread reads
// or writes there, several together.
//
// Thread safety: Ended from any thread, once for each call begun, and not from inside its start.
#ifndef TESTS_BENCH_CLOSED_LOOP_H_
#define TESTS_BENCH_CLOSED_LOOP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "libs/sync/mutex.h"
#include "nlohmann/json.hpp"

namespace slipstream::bench {

class ClosedLoop {
 public:
  // Begins call `number` in `slot`, which has none in flight.
  using Start = std::function<void(int slot, int64_t number)>;

  // With --inflight slots.
  ClosedLoop();
  int slots_count() const { return static_cast<int>(slots_.size()); }

  // For --warmup_s and then --seconds; waits for the last calls. Adds calls, seconds,
  // calls_per_second, cpu_s, errors, latency and jain: Jain's index of fairness over the calls that
  // each slot had ended, 1 when all had the same (R. Jain et al., DEC-TR-301, 1984).
  void Run(Start start, nlohmann::json* out);
  void Ended(int slot, bool ok);

 private:
  struct alignas(64) Slot {
    int64_t begun_ns = 0;  // 0: this call is not timed
    std::atomic<int64_t> ended_count{0};
  };

  void Next(int slot);
  void HandOver(int slot);
  // Of the starter's thread: begins what is handed over, until nothing runs any more.
  void BeginHandedOver();
  std::vector<int64_t> EndedCounts() const;

  std::vector<Slot> slots_;
  Start start_;
  std::atomic<int64_t> next_{0}, ended_{0}, errors_{0};
  std::atomic<int> running_{0};
  std::atomic<bool> stopping_{false}, measuring_{false};
  sync::Mutex mutex_;
  std::vector<int64_t> latencies_ ABSL_GUARDED_BY(mutex_);

  const bool has_starter_;
  sync::Mutex handed_over_mutex_;
  sync::CondVar handed_over_changed_;
  std::vector<int> handed_over_ ABSL_GUARDED_BY(handed_over_mutex_);  // slots
};

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_CLOSED_LOOP_H_
