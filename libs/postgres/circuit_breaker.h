// A circuit breaker over attempts to connect: after so many failures in a row nobody tries for a
// while, then one attempt decides.
//
// Pure: time is given. Thread safety: one thread at a time.
#ifndef LIBS_POSTGRES_CIRCUIT_BREAKER_H_
#define LIBS_POSTGRES_CIRCUIT_BREAKER_H_

#include <chrono>

#include "libs/postgres/pool.h"

namespace slipstream::postgres {

class CircuitBreaker {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  using Duration = std::chrono::steady_clock::duration;

  CircuitBreaker(int failures_count, Duration open) : limit_(failures_count), open_for_(open) {}

  // Whether an attempt may begin now. In half-open state one may, and its end must be told.
  bool Allow(TimePoint now) {
    if (state_ == CircuitState::kOpen && now >= open_until_) {
      state_ = CircuitState::kHalfOpen;
      probing_ = false;
    }
    if (state_ == CircuitState::kOpen) return false;
    if (state_ == CircuitState::kHalfOpen) {
      if (probing_) return false;
      probing_ = true;
    }
    return true;
  }

  void OnSuccess() {
    state_ = CircuitState::kClosed;
    failures_ = 0;
    probing_ = false;
  }

  void OnFailure(TimePoint now) {
    ++failures_;
    if (state_ != CircuitState::kHalfOpen && failures_ < limit_) return;
    // Attempts that had begun before it opened do not keep it open for longer.
    if (state_ == CircuitState::kOpen) return;
    state_ = CircuitState::kOpen;
    open_until_ = now + open_for_;
    probing_ = false;
  }

  CircuitState state() const { return state_; }
  // While open: until when.
  TimePoint open_until() const { return open_until_; }

 private:
  const int limit_;
  const Duration open_for_;
  CircuitState state_ = CircuitState::kClosed;
  int failures_ = 0;
  bool probing_ = false;
  TimePoint open_until_;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_CIRCUIT_BREAKER_H_
