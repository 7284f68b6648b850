#include "tests/bench/closed_loop.h"

#include <thread>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "tests/bench/bench_load.h"

ABSL_FLAG(int, inflight, 256, "calls at any time");
ABSL_FLAG(double, seconds, 5, "measured time");
ABSL_FLAG(double, warmup_s, 1, "time before the measurement");
ABSL_FLAG(bool, starter, false, "calls are begun by a thread of their own, not by callbacks");

namespace slipstream::bench {

namespace {

// One call in so many is timed: enough for percentiles, too few to be felt.
constexpr int64_t kTimedEvery = 16;

double Jain(const std::vector<int64_t>& before, const std::vector<int64_t>& after) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    const auto count = static_cast<double>(after[i] - before[i]);
    sum += count;
    squares += count * count;
  }
  return squares == 0 ? 0 : sum * sum / (static_cast<double>(before.size()) * squares);
}

void Sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

}  // namespace

ClosedLoop::ClosedLoop()
    : slots_(static_cast<size_t>(absl::GetFlag(FLAGS_inflight))),
      has_starter_(absl::GetFlag(FLAGS_starter)) {}

void ClosedLoop::Run(Start start, nlohmann::json* out) {
  start_ = std::move(start);
  running_.store(slots_count());
  std::thread starter;
  if (has_starter_) starter = std::thread([this] { BeginHandedOver(); });
  for (int slot = 0; slot < slots_count(); ++slot) Next(slot);
  Sleep(absl::GetFlag(FLAGS_warmup_s));
  measuring_.store(true);
  const int64_t begin_ns = NowNs();
  const int64_t begin = ended_.load();
  const std::vector<int64_t> counts = EndedCounts();
  const double cpu = CpuSeconds();
  Sleep(absl::GetFlag(FLAGS_seconds));
  const int64_t calls = ended_.load() - begin;
  const double seconds = static_cast<double>(NowNs() - begin_ns) / 1e9;
  (*out)["jain"] = Jain(counts, EndedCounts());
  measuring_.store(false);
  (*out)["calls"] = calls;
  (*out)["seconds"] = seconds;
  (*out)["calls_per_second"] = static_cast<double>(calls) / seconds;
  (*out)["cpu_s"] = CpuSeconds() - cpu;
  stopping_.store(true);
  while (running_.load() > 0) Sleep(0.001);
  if (starter.joinable()) starter.join();
  (*out)["errors"] = errors_.load();
  sync::MutexLock lock(mutex_);
  (*out)["latency"] = Percentiles(std::move(latencies_));
}

std::vector<int64_t> ClosedLoop::EndedCounts() const {
  std::vector<int64_t> out;
  for (const Slot& slot : slots_) out.push_back(slot.ended_count.load(std::memory_order_relaxed));
  return out;
}

void ClosedLoop::Next(int slot) {
  if (stopping_.load(std::memory_order_relaxed)) {
    running_.fetch_sub(1);
    return;
  }
  const int64_t number = next_.fetch_add(1, std::memory_order_relaxed);
  slots_[static_cast<size_t>(slot)].begun_ns = number % kTimedEvery == 0 ? NowNs() : 0;
  start_(slot, number);
}

void ClosedLoop::Ended(int slot, bool ok) {
  ended_.fetch_add(1, std::memory_order_relaxed);
  slots_[static_cast<size_t>(slot)].ended_count.fetch_add(1, std::memory_order_relaxed);
  if (!ok) errors_.fetch_add(1, std::memory_order_relaxed);
  const int64_t begun_ns = slots_[static_cast<size_t>(slot)].begun_ns;
  if (begun_ns != 0 && measuring_.load(std::memory_order_relaxed)) {
    sync::MutexLock lock(mutex_);
    latencies_.push_back(NowNs() - begun_ns);
  }
  if (has_starter_) {
    HandOver(slot);
  } else {
    Next(slot);
  }
}

void ClosedLoop::HandOver(int slot) {
  sync::MutexLock lock(handed_over_mutex_);
  if (handed_over_.empty()) handed_over_changed_.Signal();
  handed_over_.push_back(slot);
}

void ClosedLoop::BeginHandedOver() {
  std::vector<int> slots;
  while (running_.load() > 0) {
    {
      sync::MutexLock lock(handed_over_mutex_);
      while (handed_over_.empty()) handed_over_changed_.Wait(handed_over_mutex_);
      slots.swap(handed_over_);
    }
    for (const int slot : slots) Next(slot);
    slots.clear();
  }
}

}  // namespace slipstream::bench
