// FaultyStore: how one server sees the store that all share: over a network that takes time, loses
// requests and replies, and breaks.
//
// What the store really did is told to the oracle at the moment it did it, whether or not the
// server learns of it.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_FAULTY_STORE_H_
#define SERVICES_TASK_QUEUE_SIMULATION_FAULTY_STORE_H_

#include <string>
#include <utility>
#include <vector>

#include "services/task_queue/simulation/faults.h"
#include "services/task_queue/simulation/news.h"
#include "services/task_queue/simulation/oracle.h"
#include "services/task_queue/simulation/scheduler.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue::simulation {

class FaultyStore final : public TaskStore {
 public:
  struct Deps {
    TaskStore& store;
    Scheduler& scheduler;
    Faults& faults;
    Oracle& oracle;
    News& news;
  };
  // Calls of a killed owner end where they are.
  FaultyStore(Deps deps, Owner owner) : deps_(deps), owner_(owner) {}
  ~FaultyStore() override { deps_.news.Leave(owner_); }

  // Calls that failed or whose reply was lost; who compares it before and after knows whether
  // what came between went through.
  int64_t failed_count() const { return failed_count_; }

  std::string_view name() const override { return deps_.store.name(); }
  bool durable() const override { return deps_.store.durable(); }
  std::string MakeTaskId(std::string uuid, std::string_view owner,
                         std::string_view tenant) const override {
    return deps_.store.MakeTaskId(std::move(uuid), owner, tenant);
  }
  Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> SubmitBatch(
      std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) override;
  Async<absl::Status> OpenSession(SessionLease session, absl::Time now) override;
  Async<absl::StatusOr<std::vector<bool>>> RenewSessions(std::span<const SessionLease> sessions,
                                                         absl::Time now) override;
  Async<absl::StatusOr<StoredSession>> FindSession(std::string_view session_id,
                                                   absl::Time now) override;
  Async<absl::StatusOr<std::vector<TaskRecord>>> LeaseBatch(std::string_view session_id,
                                                            std::span<const LeaseType> types,
                                                            int max_count, absl::Time now) override;
  Async<absl::StatusOr<std::vector<Reported>>> FinishBatch(std::span<const FinishRequest> requests,
                                                           absl::Time now) override;
  Async<absl::StatusOr<std::vector<Reported>>> ProgressBatch(
      std::span<const ProgressRequest> requests, absl::Time now) override;
  Async<absl::StatusOr<std::vector<Reported>>> ReleaseBatch(std::span<const LeaseKey> leases,
                                                            absl::Time now) override;
  Async<absl::StatusOr<TaskRecord>> Get(std::string_view task_id) override;
  Async<absl::StatusOr<std::vector<std::optional<TaskRecord>>>> BulkGet(
      std::span<const std::string> task_ids) override;
  Async<absl::StatusOr<TaskPage>> ListByOwner(const ListQuery& query) override;
  Async<absl::StatusOr<Cancelled>> Cancel(std::string_view task_id, std::string message,
                                          absl::Time now) override;
  Async<absl::StatusOr<TaskRecord>> Restart(std::string_view task_id, absl::Time now) override;
  Async<absl::StatusOr<SweepResult>> Sweep(absl::Time now, int max_count, double jitter) override;
  Async<absl::StatusOr<CleanupResult>> Cleanup(const CleanupQuery& query, absl::Time now) override;
  Async<absl::StatusOr<PurgeResult>> Purge(const PurgeQuery& query, absl::Time now) override;
  Async<absl::StatusOr<std::vector<std::string>>> SetPaused(std::string_view task_type,
                                                            bool paused) override;
  Async<absl::StatusOr<StoreStats>> Stats() override;
  int outbox_part_count() const override { return deps_.store.outbox_part_count(); }
  Async<absl::StatusOr<std::vector<OutboxEntry>>> ReadOutbox(int part, int64_t after_sequence,
                                                             int max_count) override;
  Async<absl::Status> AckOutbox(int part, int64_t up_to_sequence) override;
  void SetListener(StoreListener* listener) override;
  void AnnounceEndedLease(const EndedLease& ended) override;
  Async<absl::Status> SaveShared(std::string_view kind, std::string_view name, std::string document,
                                 absl::Duration ttl) override;
  Async<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>> LoadShared(
      std::string_view kind) override;

 private:
  // The way to the store and back. `call` makes the call, `observe` is told its result.
  template <class R, class Call, class Observe>
  Async<R> Over(Call call, Observe observe);
  Async<void> Travel();

  const Deps deps_;
  const Owner owner_;
  int64_t failed_count_ = 0;
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_FAULTY_STORE_H_
