#include "services/task_queue/simulation/faulty_store.h"

#include "libs/status/status.h"

namespace slipstream::task_queue::simulation {

namespace {

// Of one call, in a world with the highest rate.
constexpr double kLossScale = 0.03;

absl::Status StoreUnavailable() {
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, "STORE_UNAVAILABLE", "the store is away"),
      absl::Milliseconds(100));
}

constexpr auto kUnseen = [](const auto&) {};

}  // namespace

Async<void> FaultyStore::Travel() {
  // Two in three calls are over before anything else happens; the others leave room for it.
  Scheduler& scheduler = deps_.scheduler;
  if (scheduler.Chance(0.66)) co_return;
  const bool slow = scheduler.Chance(0.1);
  co_await scheduler.Sleep(
      owner_,
      scheduler.Between(absl::Microseconds(50), slow ? kMaxTravelTime : absl::Milliseconds(4)));
}

template <class R, class Call, class Observe>
Async<R> FaultyStore::Over(Call call, Observe observe) {
  co_await Travel();
  if (deps_.faults.store_away() || deps_.faults.Strikes(Fault::kLostRequest, kLossScale)) {
    ++failed_count_;
    co_return StoreUnavailable();
  }
  deps_.scheduler.EnterOutside();
  R result = co_await call();
  deps_.scheduler.LeaveOutside();
  observe(result);
  co_await Travel();
  if (deps_.faults.store_away() || deps_.faults.Strikes(Fault::kLostReply, kLossScale)) {
    ++failed_count_;
    co_return StoreUnavailable();
  }
  co_return result;
}

Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> FaultyStore::SubmitBatch(
    std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) {
  using R = absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>;
  co_return co_await Over<R>(
      [&] { return deps_.store.SubmitBatch(tasks, all_or_nothing, now); },
      [&](const R& result) { deps_.oracle.OnSubmit(tasks, all_or_nothing, result, now); });
}

Async<absl::Status> FaultyStore::OpenSession(SessionLease session, absl::Time now) {
  co_return co_await Over<absl::Status>(
      [&] { return deps_.store.OpenSession(session, now); },
      [&](const absl::Status& result) { deps_.oracle.OnOpenSession(session, result); });
}

Async<absl::StatusOr<std::vector<bool>>> FaultyStore::RenewSessions(
    std::span<const SessionLease> sessions, absl::Time now) {
  using R = absl::StatusOr<std::vector<bool>>;
  co_return co_await Over<R>(
      [&] { return deps_.store.RenewSessions(sessions, now); },
      [&](const R& result) { deps_.oracle.OnRenewSessions(sessions, result, now); });
}

Async<absl::StatusOr<StoredSession>> FaultyStore::FindSession(std::string_view session_id,
                                                              absl::Time now) {
  using R = absl::StatusOr<StoredSession>;
  co_return co_await Over<R>(
      [&] { return deps_.store.FindSession(session_id, now); },
      [&](const R& result) { deps_.oracle.OnFindSession(session_id, result, now); });
}

Async<absl::StatusOr<std::vector<TaskRecord>>> FaultyStore::LeaseBatch(
    std::string_view session_id, std::span<const LeaseType> types, int max_count, absl::Time now) {
  using R = absl::StatusOr<std::vector<TaskRecord>>;
  co_return co_await Over<R>(
      [&] { return deps_.store.LeaseBatch(session_id, types, max_count, now); },
      [&](const R& result) { deps_.oracle.OnLease(session_id, types, max_count, result, now); });
}

Async<absl::StatusOr<std::vector<Reported>>> FaultyStore::FinishBatch(
    std::span<const FinishRequest> requests, absl::Time now) {
  using R = absl::StatusOr<std::vector<Reported>>;
  co_return co_await Over<R>(
      [&] { return deps_.store.FinishBatch(requests, now); },
      [&](const R& result) { deps_.oracle.OnFinish(requests, result, now); });
}

Async<absl::StatusOr<std::vector<Reported>>> FaultyStore::ProgressBatch(
    std::span<const ProgressRequest> requests, absl::Time now) {
  using R = absl::StatusOr<std::vector<Reported>>;
  co_return co_await Over<R>([&] { return deps_.store.ProgressBatch(requests, now); },
                             [&](const R& result) { deps_.oracle.OnProgress(requests, result); });
}

Async<absl::StatusOr<std::vector<Reported>>> FaultyStore::ReleaseBatch(
    std::span<const LeaseKey> leases, absl::Time now) {
  using R = absl::StatusOr<std::vector<Reported>>;
  co_return co_await Over<R>([&] { return deps_.store.ReleaseBatch(leases, now); },
                             [&](const R& result) { deps_.oracle.OnRelease(leases, result); });
}

Async<absl::StatusOr<TaskRecord>> FaultyStore::Get(std::string_view task_id) {
  co_return co_await Over<absl::StatusOr<TaskRecord>>([&] { return deps_.store.Get(task_id); },
                                                      kUnseen);
}

Async<absl::StatusOr<std::vector<std::optional<TaskRecord>>>> FaultyStore::BulkGet(
    std::span<const std::string> task_ids) {
  co_return co_await Over<absl::StatusOr<std::vector<std::optional<TaskRecord>>>>(
      [&] { return deps_.store.BulkGet(task_ids); }, kUnseen);
}

Async<absl::StatusOr<TaskPage>> FaultyStore::ListByOwner(const ListQuery& query) {
  co_return co_await Over<absl::StatusOr<TaskPage>>([&] { return deps_.store.ListByOwner(query); },
                                                    kUnseen);
}

Async<absl::StatusOr<Cancelled>> FaultyStore::Cancel(std::string_view task_id, std::string message,
                                                     absl::Time now) {
  using R = absl::StatusOr<Cancelled>;
  R result = co_await Over<R>([&] { return deps_.store.Cancel(task_id, std::move(message), now); },
                              [&](const R& done) { deps_.oracle.OnCancel(task_id, done, now); });
  if (result.ok()) deps_.oracle.OnCancelAnswered(owner_, *result);
  co_return result;
}

Async<absl::StatusOr<TaskRecord>> FaultyStore::Restart(std::string_view task_id, absl::Time now) {
  using R = absl::StatusOr<TaskRecord>;
  co_return co_await Over<R>(
      [&] { return deps_.store.Restart(task_id, now); },
      [&](const R& result) { deps_.oracle.OnRestart(task_id, result, now); });
}

Async<absl::StatusOr<SweepResult>> FaultyStore::Sweep(absl::Time now, int max_count,
                                                      double jitter) {
  using R = absl::StatusOr<SweepResult>;
  co_return co_await Over<R>([&] { return deps_.store.Sweep(now, max_count, jitter); },
                             [&](const R& result) { deps_.oracle.OnSweep(result, now); });
}

Async<absl::StatusOr<CleanupResult>> FaultyStore::Cleanup(const CleanupQuery& query,
                                                          absl::Time now) {
  using R = absl::StatusOr<CleanupResult>;
  co_return co_await Over<R>([&] { return deps_.store.Cleanup(query, now); },
                             [&](const R& result) { deps_.oracle.OnCleanup(query, result, now); });
}

Async<absl::StatusOr<PurgeResult>> FaultyStore::Purge(const PurgeQuery& query, absl::Time now) {
  using R = absl::StatusOr<PurgeResult>;
  co_return co_await Over<R>([&] { return deps_.store.Purge(query, now); },
                             [&](const R& result) { deps_.oracle.OnPurge(query, result, now); });
}

Async<absl::StatusOr<std::vector<std::string>>> FaultyStore::SetPaused(std::string_view task_type,
                                                                       bool paused) {
  using R = absl::StatusOr<std::vector<std::string>>;
  co_return co_await Over<R>(
      [&] { return deps_.store.SetPaused(task_type, paused); },
      [&](const R& result) { deps_.oracle.OnPaused(task_type, paused, result); });
}

Async<absl::StatusOr<StoreStats>> FaultyStore::Stats() {
  co_return co_await Over<absl::StatusOr<StoreStats>>([&] { return deps_.store.Stats(); }, kUnseen);
}

Async<absl::StatusOr<std::vector<OutboxEntry>>> FaultyStore::ReadOutbox(int part,
                                                                        int64_t after_sequence,
                                                                        int max_count) {
  co_return co_await Over<absl::StatusOr<std::vector<OutboxEntry>>>(
      [&] { return deps_.store.ReadOutbox(part, after_sequence, max_count); }, kUnseen);
}

Async<absl::Status> FaultyStore::AckOutbox(int part, int64_t up_to_sequence) {
  co_return co_await Over<absl::Status>([&] { return deps_.store.AckOutbox(part, up_to_sequence); },
                                        kUnseen);
}

void FaultyStore::SetListener(StoreListener* listener) { deps_.news.SetListener(owner_, listener); }

void FaultyStore::AnnounceEndedLease(const EndedLease& ended) {
  deps_.news.EndedLease(owner_, ended);
}

Async<absl::Status> FaultyStore::SaveShared(std::string_view kind, std::string_view name,
                                            std::string document, absl::Duration ttl) {
  co_return co_await Over<absl::Status>(
      [&] { return deps_.store.SaveShared(kind, name, std::move(document), ttl); }, kUnseen);
}

Async<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>> FaultyStore::LoadShared(
    std::string_view kind) {
  co_return co_await Over<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>>(
      [&] { return deps_.store.LoadShared(kind); }, kUnseen);
}

}  // namespace slipstream::task_queue::simulation
