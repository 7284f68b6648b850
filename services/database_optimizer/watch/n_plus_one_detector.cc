#include "services/database_optimizer/watch/n_plus_one_detector.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"
#include "services/database_optimizer/watch/statement_text.h"

namespace slipstream::database_optimizer {

namespace {

constexpr size_t kMaxTraceIdBytes = 64;
constexpr size_t kMaxCallerBytes = 255;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

NPlusOneDetector::NPlusOneDetector(const clock::Clock& clock, int threshold_count)
    : clock_(clock), threshold_count_(std::max(threshold_count, 2)) {}

NPlusOneDetector::Trace& NPlusOneDetector::FindTrace(std::string_view trace_id) {
  const std::string_view id = trace_id.substr(0, kMaxTraceIdBytes);
  if (const auto found = by_id_.find(id); found != by_id_.end()) {
    traces_.splice(traces_.begin(), traces_, found->second);
    return traces_.front();
  }
  ++traces_count_;
  if (traces_.size() < kMaxTracesCount) {
    traces_.emplace_front();
  } else {
    // The oldest one's memory, so that a new trace, as most calls have, allocates nothing.
    by_id_.erase(traces_.back().id);
    traces_.splice(traces_.begin(), traces_, std::prev(traces_.end()));
  }
  Trace& trace = traces_.front();
  trace.id = id;
  trace.runs.clear();
  by_id_.emplace(trace.id, traces_.begin());
  return trace;
}

NPlusOneDetector::Runs* NPlusOneDetector::FindRuns(Trace& trace, uint64_t shape) {
  for (Runs& runs : trace.runs) {
    if (runs.shape == shape) return &runs;
  }
  if (trace.runs.size() >= kMaxShapesPerTrace) return nullptr;
  return &trace.runs.emplace_back(Runs{.shape = shape});
}

v1::NPlusOnePattern& NPlusOneDetector::FindPattern(uint64_t shape) {
  if (const auto found = by_shape_.find(shape); found != by_shape_.end()) {
    patterns_.splice(patterns_.begin(), patterns_, found->second);
    return patterns_.front();
  }
  if (patterns_.size() >= kMaxPatternsCount) {
    uint64_t oldest = 0;
    if (absl::SimpleHexAtoi(patterns_.back().fingerprint(), &oldest)) by_shape_.erase(oldest);
    patterns_.pop_back();
  }
  patterns_.emplace_front();
  by_shape_.emplace(shape, patterns_.begin());
  return patterns_.front();
}

void NPlusOneDetector::Observe(std::string_view trace_id, std::string_view fingerprint,
                               std::string_view statement, absl::Duration duration,
                               std::string_view caller) {
  uint64_t shape = 0;
  if (trace_id.empty() || !absl::SimpleHexAtoi(View(fingerprint), &shape)) return;
  sync::MutexLock lock(mutex_);
  Trace& trace = FindTrace(trace_id);
  Runs* const found = FindRuns(trace, shape);
  if (found == nullptr) return;
  Runs& runs = *found;
  ++runs.count;
  runs.total += duration;
  if (runs.count < threshold_count_) return;
  v1::NPlusOnePattern& pattern = FindPattern(shape);
  if (pattern.fingerprint().empty()) {
    pattern.set_fingerprint(absl::StrCat(absl::Hex(shape, absl::kZeroPad16)));
    pattern.set_statement(RedactConstants(statement));
  }
  if (runs.count == threshold_count_) pattern.set_traces_count(pattern.traces_count() + 1);
  *pattern.mutable_last_seen_at() = timestamp::FromTime(clock_.Now());
  if (runs.count <= pattern.repetitions_count()) return;
  pattern.set_repetitions_count(runs.count);
  pattern.set_example_trace_id(trace.id);
  pattern.set_caller(status::BoundedText(View(caller), kMaxCallerBytes));
  pattern.set_total_ms(absl::ToDoubleMilliseconds(runs.total));
}

std::vector<v1::NPlusOnePattern> NPlusOneDetector::Patterns(size_t limit_count) const {
  std::vector<v1::NPlusOnePattern> out;
  {
    sync::MutexLock lock(mutex_);
    out.assign(patterns_.begin(), patterns_.end());
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::pair(b.repetitions_count(), a.fingerprint()) <
           std::pair(a.repetitions_count(), b.fingerprint());
  });
  if (out.size() > limit_count) out.resize(limit_count);
  return out;
}

int64_t NPlusOneDetector::traces_count() const {
  sync::MutexLock lock(mutex_);
  return traces_count_;
}

}  // namespace slipstream::database_optimizer
