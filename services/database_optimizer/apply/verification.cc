#include "services/database_optimizer/apply/verification.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_format.h"

namespace slipstream::database_optimizer {

namespace {

constexpr double kErrorsCount = 3;
// An entry in one index more is some three blocks and a record of the log.
constexpr double kSameWorkShare = 0.05;
constexpr double kSameWorkBlocks = 0.5;   // a run
constexpr double kSameWorkRecords = 0.2;  // a run
constexpr size_t kLeastOthersCount = 3;
constexpr double kMaxDrift = 3;

double Mean(const StatementCounters& c) { return c.total_ms / c.calls_count; }

// Of the mean, squared.
double ErrorSquared(const StatementCounters& c) {
  const double mean = Mean(c);
  const double variance = std::max(0.0, c.squares_ms2 / c.calls_count - mean * mean);
  return variance / c.calls_count;
}

bool Same(double before, double after, double least) {
  return std::abs(after - before) <= std::max(least, kSameWorkShare * before);
}

bool SameWork(const StatementCounters& before, const StatementCounters& after) {
  return Same(before.blocks_count / before.calls_count, after.blocks_count / after.calls_count,
              kSameWorkBlocks) &&
         Same(before.wal_records_count / before.calls_count,
              after.wal_records_count / after.calls_count, kSameWorkRecords);
}

struct Pair {
  const std::string* fingerprint;
  const StatementCounters* before;
  const StatementCounters* after;
};

std::vector<Pair> Comparable(const Counters& before, const Counters& after, int min_calls_count) {
  std::vector<Pair> out;
  for (const auto& [fingerprint, now] : after) {
    const auto then = before.find(fingerprint);
    if (then == before.end() || now.calls_count < min_calls_count ||
        then->second.calls_count < min_calls_count || then->second.total_ms <= 0) {
      continue;
    }
    out.push_back({&fingerprint, &then->second, &now});
  }
  return out;
}

// How much slower everything else became; 1 when it did not.
double Drift(const std::vector<Pair>& pairs, const std::set<std::string>& on_table) {
  std::vector<double> ratios;
  for (const auto& pair : pairs) {
    if (on_table.count(*pair.fingerprint) == 0) {
      ratios.push_back(Mean(*pair.after) / Mean(*pair.before));
    }
  }
  if (ratios.size() < kLeastOthersCount) return 1;
  std::sort(ratios.begin(), ratios.end());
  return std::clamp(ratios[ratios.size() / 2], 1.0, kMaxDrift);
}

}  // namespace

Counters Between(const Counters& from, const Counters& to) {
  Counters out;
  for (const auto& [fingerprint, end] : to) {
    StatementCounters c = end;
    const auto begin = from.find(fingerprint);
    // Fewer calls than before: the statement was evicted and came back.
    if (begin != from.end() && begin->second.calls_count <= end.calls_count) {
      c.calls_count -= begin->second.calls_count;
      c.total_ms -= begin->second.total_ms;
      c.squares_ms2 -= begin->second.squares_ms2;
      c.blocks_count -= begin->second.blocks_count;
      c.wal_records_count -= begin->second.wal_records_count;
    }
    if (c.calls_count >= 1) out[fingerprint] = c;
  }
  return out;
}

Verdict Verify(const Counters& before, const Counters& after, const std::set<std::string>& on_table,
               const VerificationOptions& options) {
  Verdict out;
  const auto pairs = Comparable(before, after, options.min_calls_count);
  const double drift = Drift(pairs, on_table);
  const double harm = options.max_harm_percent / 100;
  double sum_before = 0;  // of the times, as they were
  double sum_after = 0;
  double sum_expected = 0;  // what it would have been without the change
  double errors_squared = 0;
  double worst = 0;
  for (const auto& pair : pairs) {
    if (on_table.count(*pair.fingerprint) == 0) continue;
    const double calls = pair.after->calls_count;
    const double then = Mean(*pair.before);
    const double now = Mean(*pair.after);
    ++out.statements_count;
    out.calls_count += static_cast<int64_t>(calls);
    sum_before += calls * then;
    sum_after += calls * now;
    if (SameWork(*pair.before, *pair.after)) {
      sum_expected += calls * now;
      continue;
    }
    sum_expected += calls * then * drift;
    const double error_squared =
        ErrorSquared(*pair.after) + drift * drift * ErrorSquared(*pair.before);
    errors_squared += calls * calls * error_squared;
    const double slower = now - then * drift;
    if (slower >= kLeastHarmMs && slower > kErrorsCount * std::sqrt(error_squared) &&
        slower > 2 * harm * then * drift && slower / then > worst) {
      worst = slower / then;
      out.harmed = true;
      out.reason = absl::StrFormat(
          "the statement %s became slower: %.3f ms a run before, %.3f ms "
          "after",
          *pair.fingerprint, then, now);
    }
  }
  if (out.calls_count > 0) {
    out.mean_before_ms = sum_before / static_cast<double>(out.calls_count);
    out.mean_after_ms = sum_after / static_cast<double>(out.calls_count);
  }
  const double slower = sum_after - sum_expected;
  if (!out.harmed && slower > harm * sum_expected &&
      slower > kErrorsCount * std::sqrt(errors_squared)) {
    out.harmed = true;
    out.reason = absl::StrFormat(
        "the statements on the table together became slower: %.3f ms a run "
        "before, %.3f ms after",
        out.mean_before_ms, out.mean_after_ms);
  }
  return out;
}

}  // namespace slipstream::database_optimizer
