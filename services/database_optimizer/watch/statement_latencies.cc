#include "services/database_optimizer/watch/statement_latencies.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace slipstream::database_optimizer {

namespace {

constexpr double kFirstEdgeUs = 50;
constexpr double kGrowth = 1.25;
constexpr size_t kMaxFingerprintBytes = 32;
constexpr size_t kMaxTraceIdBytes = 64;

}  // namespace

size_t StatementLatencies::BucketOf(absl::Duration duration) {
  const double us = absl::ToDoubleMicroseconds(duration);
  if (!(us > kFirstEdgeUs)) return 0;
  const double bucket = std::ceil(std::log(us / kFirstEdgeUs) / std::log(kGrowth));
  return std::min(static_cast<size_t>(std::min(bucket, 1e6)), kBucketsCount - 1);
}

absl::Duration StatementLatencies::UpperEdge(size_t bucket) {
  return absl::Microseconds(kFirstEdgeUs * std::pow(kGrowth, static_cast<double>(bucket)));
}

void StatementLatencies::Observe(std::string_view fingerprint, absl::Duration duration,
                                 std::string_view trace_id) {
  if (fingerprint.empty()) return;
  const size_t bucket = BucketOf(duration);
  const std::string_view key = fingerprint.substr(0, kMaxFingerprintBytes);
  sync::MutexLock lock(mutex_);
  ++observed_count_;
  auto found = by_fingerprint_.find(key);
  if (found == by_fingerprint_.end()) {
    if (shapes_.size() >= kMaxShapesCount) {
      by_fingerprint_.erase(shapes_.back().fingerprint);
      shapes_.pop_back();
    }
    shapes_.push_front({.fingerprint = std::string(key)});
    found = by_fingerprint_.emplace(shapes_.front().fingerprint, shapes_.begin()).first;
  } else {
    shapes_.splice(shapes_.begin(), shapes_, found->second);
  }
  uint32_t& count = found->second->buckets[bucket];
  if (count < std::numeric_limits<uint32_t>::max()) ++count;
  if (duration >= slow_ && !trace_id.empty()) {
    found->second->slow_trace = trace_id.substr(0, kMaxTraceIdBytes);
    found->second->slow_duration = duration;
  }
}

std::string StatementLatencies::TraceOf(std::string_view fingerprint,
                                        absl::Duration duration) const {
  sync::MutexLock lock(mutex_);
  const auto found = by_fingerprint_.find(fingerprint.substr(0, kMaxFingerprintBytes));
  if (found == by_fingerprint_.end()) return "";
  // The server measures a little less than the pool.
  const absl::Duration difference = absl::AbsDuration(found->second->slow_duration - duration);
  return difference <= duration / 10 + absl::Milliseconds(5) ? found->second->slow_trace : "";
}

absl::Duration StatementLatencies::P95(std::string_view fingerprint) const {
  sync::MutexLock lock(mutex_);
  const auto found = by_fingerprint_.find(fingerprint.substr(0, kMaxFingerprintBytes));
  if (found == by_fingerprint_.end()) return absl::ZeroDuration();
  const auto& buckets = found->second->buckets;
  uint64_t total = 0;
  for (const uint32_t count : buckets) total += count;
  const uint64_t wanted = total - total / 20;  // ceil(0.95 * total)
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    seen += buckets[i];
    if (seen >= wanted) return UpperEdge(i);
  }
  return absl::ZeroDuration();
}

int64_t StatementLatencies::observed_count() const {
  sync::MutexLock lock(mutex_);
  return observed_count_;
}

}  // namespace slipstream::database_optimizer
