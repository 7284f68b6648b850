// Which alerts are told, so that each is told once: when it begins, again after `repeat` for as
// long as it holds, at once when it becomes worse, and when it is over. An alert that comes back
// within `repeat` is not told again, and neither is its end.
//
// Bounded: kMaxEntriesCount alerts are remembered; the one told the longest ago makes room.
// Thread safety: all methods from any thread.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_ALERT_LEDGER_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_ALERT_LEDGER_H_

#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "libs/sync/mutex.h"
#include "slipstream/database_optimizer/v1/database_optimizer.pb.h"

namespace slipstream::database_optimizer {

// Something to tell.
struct AlertChange {
  enum class State { kRaised, kRepeated, kResolved };
  State state = State::kRaised;
  v1::DatabaseAlert alert;
  absl::Time at;
};

// As events and series have it: "raised".
inline const char* StateName(AlertChange::State state) {
  switch (state) {
    case AlertChange::State::kRaised:
      break;
    case AlertChange::State::kRepeated:
      return "repeated";
    case AlertChange::State::kResolved:
      return "resolved";
  }
  return "raised";
}

class AlertLedger {
 public:
  static constexpr size_t kMaxEntriesCount = 1000;

  explicit AlertLedger(absl::Duration repeat) : repeat_(repeat) {}

  // `holding`: all that holds at `now`, one for each kind and object. What to tell, in order.
  std::vector<AlertChange> Update(std::vector<v1::DatabaseAlert> holding, absl::Time now);

  // What holds, with raised_at; the latest first.
  std::vector<v1::DatabaseAlert> Holding() const;

 private:
  using Key = std::pair<int, std::string>;  // kind, object
  struct Entry {
    v1::DatabaseAlert alert;
    bool holds = false;
    bool told = false;  // that it holds
    absl::Time told_at = absl::InfinitePast();
    int told_severity = 0;
  };
  void MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const absl::Duration repeat_;
  mutable sync::Mutex mutex_;
  std::map<Key, Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_ALERT_LEDGER_H_
