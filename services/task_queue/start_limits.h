// How many tasks of a type may start now: its running ones against max_running_count, and a token
// bucket of max_starts_per_minute that refills evenly and is full at first.
//
// Thread safety: none of its own; the store's mutex guards it.
#ifndef SERVICES_TASK_QUEUE_START_LIMITS_H_
#define SERVICES_TASK_QUEUE_START_LIMITS_H_

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue {

class StartLimits {
 public:
  void Started(std::string_view type) { ++Of(type).running_count; }
  void Stopped(std::string_view type) { --Of(type).running_count; }

  bool MayStart(const LeaseType& type, absl::Time now) {
    if (type.max_running_count <= 0 && type.max_starts_per_minute <= 0) return true;
    State& state = Of(type.name);
    if (type.max_running_count > 0 && state.running_count >= type.max_running_count) return false;
    if (type.max_starts_per_minute <= 0) return true;
    Refill(state, type.max_starts_per_minute, now);
    return state.tokens >= 1 - kRounding;
  }
  // A start takes a token, whoever asked and whatever becomes of the task.
  void TakeToken(const LeaseType& type) {
    if (type.max_starts_per_minute > 0) Of(type.name).tokens -= 1;
  }

 private:
  static constexpr double kRounding = 1e-6;

  struct State {
    int running_count = 0;
    double tokens = 0;
    bool used = false;  // before the first start the bucket is full
    absl::Time refilled_at;
  };

  State& Of(std::string_view type) {
    auto it = types_.find(type);
    return it != types_.end() ? it->second : types_[std::string(type)];
  }
  static void Refill(State& state, int per_minute, absl::Time now) {
    if (!state.used) state.tokens = per_minute;
    state.used = true;
    if (now > state.refilled_at) {
      state.tokens += absl::ToDoubleSeconds(now - state.refilled_at) * per_minute / 60;
    }
    state.tokens = std::min<double>(state.tokens, per_minute);
    state.refilled_at = std::max(state.refilled_at, now);
  }

  std::map<std::string, State, std::less<>> types_;  // bounded by the types that ever had a task
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_START_LIMITS_H_
