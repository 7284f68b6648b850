#include "services/database_optimizer/watch/slow_log.h"

#include <algorithm>

namespace slipstream::database_optimizer {

namespace {

constexpr SlowLog::RunKey kNeverSeenRunning = {0, 0};

}  // namespace

void SlowLog::Rate(v1::SlowQuery& entry, bool is_new) {
  const bool was_critical = !is_new && entry.severity() == v1::SlowQuery::CRITICAL;
  const bool critical = absl::Milliseconds(entry.duration_ms()) > critical_;
  entry.set_severity(critical ? v1::SlowQuery::CRITICAL : v1::SlowQuery::WARNING);
  if (is_new) ++slow_count_;
  if (critical && !was_critical) ++critical_count_;
}

void SlowLog::Push(Entry entry) {
  Rate(entry.query, true);
  entries_.push_front(std::move(entry));
  if (entries_.size() > kMaxEntriesCount) entries_.pop_back();
}

bool SlowLog::Knows(const RunKey& run) const {
  sync::MutexLock lock(mutex_);
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return entry.run == run; });
}

void SlowLog::Begin(const RunKey& run, v1::SlowQuery entry, int64_t look, absl::Time now) {
  sync::MutexLock lock(mutex_);
  Push({run, std::move(entry), look, now});
}

void SlowLog::Continue(const RunKey& run, absl::Duration so_far, int64_t look) {
  sync::MutexLock lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.run != run) continue;
    entry.query.set_duration_ms(
        std::max(entry.query.duration_ms(), absl::ToDoubleMilliseconds(so_far)));
    entry.seen_look = look;
    Rate(entry.query, false);
  }
}

bool SlowLog::End(const std::string& fingerprint, absl::Duration duration, int64_t earliest_look) {
  sync::MutexLock lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.run == kNeverSeenRunning || entry.query.fingerprint() != fingerprint || entry.ended ||
        entry.seen_look < earliest_look) {
      continue;
    }
    entry.query.set_duration_ms(
        std::max(entry.query.duration_ms(), absl::ToDoubleMilliseconds(duration)));
    entry.ended = true;  // a later run of the shape is another one
    Rate(entry.query, false);
    return true;
  }
  return false;
}

void SlowLog::AddEnded(v1::SlowQuery entry, absl::Time now) {
  sync::MutexLock lock(mutex_);
  Push({kNeverSeenRunning, std::move(entry), 0, now});
}

std::vector<std::pair<SlowLog::RunKey, v1::SlowQuery>> SlowLog::EndedWithoutPlan(
    int64_t look) const {
  sync::MutexLock lock(mutex_);
  std::vector<std::pair<RunKey, v1::SlowQuery>> out;
  for (const Entry& entry : entries_) {
    if (entry.run != kNeverSeenRunning && entry.seen_look == look - 1 &&
        entry.query.plan_json().empty()) {
      out.emplace_back(entry.run, entry.query);
    }
  }
  return out;
}

void SlowLog::AddPlan(const RunKey& run, std::string plan_json) {
  sync::MutexLock lock(mutex_);
  for (Entry& entry : entries_) {
    if (entry.run != run) continue;
    entry.query.set_plan_json(std::move(plan_json));
    entry.query.clear_plan_missing();
    return;
  }
}

std::string SlowLog::RecentPlan(const std::string& fingerprint, absl::Time earliest) const {
  sync::MutexLock lock(mutex_);
  for (const Entry& entry : entries_) {
    if (entry.query.fingerprint() == fingerprint && !entry.query.plan_json().empty() &&
        entry.noted_at >= earliest) {
      return entry.query.plan_json();
    }
  }
  return "";
}

std::vector<v1::SlowQuery> SlowLog::Latest(size_t limit_count) const {
  sync::MutexLock lock(mutex_);
  std::vector<v1::SlowQuery> out;
  size_t plan_bytes = 0;
  for (const Entry& entry : entries_) {
    if (out.size() >= limit_count) break;
    v1::SlowQuery& query = out.emplace_back(entry.query);
    plan_bytes += query.plan_json().size();
    if (plan_bytes <= kMaxListedPlanBytes) continue;
    plan_bytes -= query.plan_json().size();
    query.clear_plan_json();
    query.set_plan_missing("the answer would be too large; ask for fewer entries (limit_count)");
  }
  return out;
}

int64_t SlowLog::slow_count() const {
  sync::MutexLock lock(mutex_);
  return slow_count_;
}

int64_t SlowLog::critical_count() const {
  sync::MutexLock lock(mutex_);
  return critical_count_;
}

}  // namespace slipstream::database_optimizer
