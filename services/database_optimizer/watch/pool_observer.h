// Hears of every statement that the pool ran, and hands it to ObservedStatements under the
// fingerprint of its shape.
//
// Cost on the pool's loop thread: two hash look-ups and two short locks, about a microsecond. A
// text that is not known yet is parsed on a thread of this class's own; while more than
// kMaxUnknownCount wait for that, further ones are left out and counted. Texts are known by their
// address, since callers share them; at most kMaxKnownCount and kMaxKnownBytes are kept, then all
// are forgotten and learnt anew.
//
// Thread safety: all methods from any thread. Stop from the owner, after the pool's.
#ifndef SERVICES_DATABASE_OPTIMIZER_WATCH_POOL_OBSERVER_H_
#define SERVICES_DATABASE_OPTIMIZER_WATCH_POOL_OBSERVER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>

#include "libs/clock/clock.h"
#include "libs/postgres/statement.h"
#include "libs/sync/mutex.h"
#include "services/database_optimizer/watch/observed_statements.h"

namespace slipstream::config::v1 {
class DatabaseWatchConfig;
}

namespace slipstream::database_optimizer {

class PoolObserver final : public postgres::StatementObserver {
 public:
  static constexpr size_t kMaxUnknownCount = 1000;
  static constexpr size_t kMaxKnownCount = 2000;
  static constexpr size_t kMaxKnownBytes = 16 << 20;

  // The clock outlives this.
  PoolObserver(const clock::Clock& clock, const config::v1::DatabaseWatchConfig& config);
  ~PoolObserver() override;

  void OnStatement(const postgres::StatementEvent& event) override;
  void Stop();

  ObservedStatements& observed() { return observed_; }
  // Statements left out since start.
  int64_t left_out_count() const;

 private:
  using Text = std::shared_ptr<const std::string>;
  struct Known {
    Text text;         // kept, so that its address stays its own
    Text fingerprint;  // shared, so that it is not copied for each statement
  };
  struct Unknown {
    Text text;
    std::string trace_id;
    std::string holder;
    absl::Duration ran;
  };
  void Learn();

  ObservedStatements observed_;
  mutable sync::Mutex mutex_;
  sync::CondVar changed_;
  std::unordered_map<const std::string*, Known> known_ ABSL_GUARDED_BY(mutex_);
  size_t known_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Unknown> unknown_ ABSL_GUARDED_BY(mutex_);
  int64_t left_out_count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_WATCH_POOL_OBSERVER_H_
