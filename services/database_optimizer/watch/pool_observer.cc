#include "services/database_optimizer/watch/pool_observer.h"

#include <utility>

#include "services/database_optimizer/watch/statement_parse.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::database_optimizer {

PoolObserver::PoolObserver(const clock::Clock& clock, const config::v1::DatabaseWatchConfig& config)
    : observed_(clock, config.n_plus_one_count(), absl::Milliseconds(config.slow_warning_ms())),
      thread_([this] { Learn(); }) {}

PoolObserver::~PoolObserver() { Stop(); }

void PoolObserver::Stop() {
  {
    sync::MutexLock lock(mutex_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

void PoolObserver::OnStatement(const postgres::StatementEvent& event) {
  const Text& text = event.statement.sql;
  if (text == nullptr) return;
  Text fingerprint;
  {
    sync::MutexLock lock(mutex_);
    const auto known = known_.find(text.get());
    if (known == known_.end()) {
      if (unknown_.size() >= kMaxUnknownCount) {
        ++left_out_count_;
        return;
      }
      unknown_.push_back({text, event.caller.trace_id, event.caller.holder, event.ran});
      changed_.Signal();
      return;
    }
    fingerprint = known->second.fingerprint;
  }
  observed_.Observe(event.caller.trace_id, *fingerprint, *text, event.ran, event.caller.holder);
}

void PoolObserver::Learn() {
  for (;;) {
    Unknown next;
    Text fingerprint;
    {
      sync::MutexLock lock(mutex_);
      while (unknown_.empty() && !stopping_) changed_.Wait(mutex_);
      if (stopping_) return;
      next = std::move(unknown_.front());
      unknown_.pop_front();
      const auto known = known_.find(next.text.get());
      if (known != known_.end()) fingerprint = known->second.fingerprint;
    }
    if (fingerprint == nullptr) {
      fingerprint = std::make_shared<const std::string>(Fingerprint(*next.text));
      sync::MutexLock lock(mutex_);
      if (known_.size() >= kMaxKnownCount || known_bytes_ >= kMaxKnownBytes) {
        known_.clear();
        known_bytes_ = 0;
      }
      if (known_.emplace(next.text.get(), Known{next.text, fingerprint}).second) {
        known_bytes_ += next.text->size();
      }
    }
    observed_.Observe(next.trace_id, *fingerprint, *next.text, next.ran, next.holder);
  }
}

int64_t PoolObserver::left_out_count() const {
  sync::MutexLock lock(mutex_);
  return left_out_count_;
}

}  // namespace slipstream::database_optimizer
