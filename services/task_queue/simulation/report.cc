#include "services/task_queue/simulation/report.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "libs/clock/clock.h"

namespace slipstream::task_queue::simulation {

namespace {

using Member = int64_t Oracle::Counts::*;
constexpr std::pair<const char*, Member> kCounts[] = {
    {"submitted", &Oracle::Counts::submitted},
    {"leased", &Oracle::Counts::leased},
    {"succeeded", &Oracle::Counts::succeeded},
    {"failed", &Oracle::Counts::failed},
    {"cancelled", &Oracle::Counts::cancelled},
    {"expired", &Oracle::Counts::expired},
    {"retried", &Oracle::Counts::retried},
    {"leases lost", &Oracle::Counts::lost_leases},
    {"stale reports refused", &Oracle::Counts::stale_refused},
    {"reports repeated", &Oracle::Counts::repeated},
    {"submits repeated", &Oracle::Counts::duplicates},
    {"joined", &Oracle::Counts::joined},
    {"restarted", &Oracle::Counts::restarted},
    {"purged", &Oracle::Counts::purged},
    {"debounced", &Oracle::Counts::debounced},
    {"replaced", &Oracle::Counts::replaced},
    {"unique keys taken", &Oracle::Counts::unique_taken},
    {"sessions resumed", &Oracle::Counts::resumed},
    {"cancels told", &Oracle::Counts::told},
    {"events", &Oracle::Counts::events},
    {"events repeated", &Oracle::Counts::repeated_events},
};

double NowSeconds() { return absl::ToDoubleSeconds(clock::SystemClock().Monotonic()); }

}  // namespace

std::string ViolationText(uint64_t seed, const Outcome& outcome) {
  return absl::StrCat("VIOLATION with seed ", seed, "\n  invariant: ", outcome.invariant,
                      "\n  what: ", outcome.violation, "\n  the last steps:\n  ",
                      absl::StrJoin(outcome.last_steps, "\n  "), "\n  replay: simulate --seed ",
                      seed, " --verbose\n\n");
}

Summary::Summary() : started_at_s_(NowSeconds()) {}

double Summary::seconds() const { return NowSeconds() - started_at_s_; }

void Summary::Add(const Outcome& outcome) {
  ++seeds_count_;
  passed_count_ += outcome.passed;
  step_count_ += outcome.step_count;
  op_count_ += outcome.op_count;
  simulated_ += outcome.simulated;
  for (size_t i = 0; i < kFaultCount; ++i) faults_[i] += outcome.faults[i];
  for (const auto& [name, member] : kCounts) counts_.*member += outcome.counts.*member;
}

std::string Summary::Text() const {
  std::string text = absl::StrFormat(
      "%d seeds, %d passed, %d steps, %d operations, %.0f hours simulated, %.1f s\n"
      "what happened:\n",
      seeds_count_, passed_count_, step_count_, op_count_, absl::ToDoubleHours(simulated_),
      seconds());
  for (const auto& [name, member] : kCounts) {
    absl::StrAppendFormat(&text, "  %-22s %10d\n", name, counts_.*member);
  }
  text += "faults that struck:\n";
  for (size_t i = 0; i < kFaultCount; ++i) {
    absl::StrAppendFormat(&text, "  %-22s %10d\n", std::string(FaultName(static_cast<Fault>(i))),
                          faults_[i]);
  }
  return text;
}

}  // namespace slipstream::task_queue::simulation
