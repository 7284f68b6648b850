// ServerTaskStore: the view that one of several servers has of a common store, for tests. Its link
// can be cut (every call answers UNAVAILABLE and does nothing) or lose replies (the call is done,
// the answer is UNAVAILABLE). What a server announces reaches the listeners of the others.
//
// Thread safety: as TaskStore, except that the link's state is changed by one thread.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_SERVER_STORE_H_
#define SERVICES_TASK_QUEUE_CONTRACT_SERVER_STORE_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/status/status.h"
#include "libs/sync/mutex.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue {

// The common store and its servers.
struct CommonStore {
  std::unique_ptr<TaskStore> store;
  std::vector<StoreListener*> listeners;
};

class ServerTaskStore final : public TaskStore {
 public:
  explicit ServerTaskStore(std::shared_ptr<CommonStore> common) : common_(std::move(common)) {}
  ~ServerTaskStore() override { SetListener(nullptr); }

  std::atomic<bool> away{false};
  std::atomic<bool> loses_replies{false};
  std::atomic<bool> loses_replies_of_submits{false};

  int calls_while_away() const {
    sync::MutexLock lock(mu_);
    return calls_while_away_;
  }
  // Waits until there have been so many.
  bool AwaitCallsWhileAway(int count, absl::Duration at_most) {
    sync::MutexLock lock(mu_);
    while (calls_while_away_ < count) {
      if (!called_.WaitFor(mu_, at_most)) return false;
    }
    return true;
  }

  std::string_view name() const override { return store().name(); }
  bool durable() const override { return store().durable(); }
  std::string MakeTaskId(std::string uuid, std::string_view owner,
                         std::string_view tenant) const override {
    return store().MakeTaskId(std::move(uuid), owner, tenant);
  }
  int outbox_part_count() const override { return store().outbox_part_count(); }

  Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> SubmitBatch(
      std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) override {
    auto stored =
        co_await Call([=, this] { return store().SubmitBatch(tasks, all_or_nothing, now); });
    if (loses_replies_of_submits) co_return Away();
    co_return stored;
  }
  Async<absl::Status> OpenSession(SessionLease session, absl::Time now) override {
    return Call([=, this] { return store().OpenSession(session, now); });
  }
  Async<absl::StatusOr<std::vector<bool>>> RenewSessions(std::span<const SessionLease> sessions,
                                                         absl::Time now) override {
    return Call([=, this] { return store().RenewSessions(sessions, now); });
  }
  Async<absl::StatusOr<StoredSession>> FindSession(std::string_view session_id,
                                                   absl::Time now) override {
    return Call([=, this] { return store().FindSession(session_id, now); });
  }
  Async<absl::StatusOr<std::vector<TaskRecord>>> LeaseBatch(std::string_view session_id,
                                                            std::span<const LeaseType> types,
                                                            int max_count,
                                                            absl::Time now) override {
    return Call([=, this] { return store().LeaseBatch(session_id, types, max_count, now); });
  }
  Async<absl::StatusOr<std::vector<Reported>>> FinishBatch(std::span<const FinishRequest> requests,
                                                           absl::Time now) override {
    return Call([=, this] { return store().FinishBatch(requests, now); });
  }
  Async<absl::StatusOr<std::vector<Reported>>> ProgressBatch(
      std::span<const ProgressRequest> requests, absl::Time now) override {
    return Call([=, this] { return store().ProgressBatch(requests, now); });
  }
  Async<absl::StatusOr<std::vector<Reported>>> ReleaseBatch(std::span<const LeaseKey> leases,
                                                            absl::Time now) override {
    return Call([=, this] { return store().ReleaseBatch(leases, now); });
  }
  Async<absl::StatusOr<TaskRecord>> Get(std::string_view task_id) override {
    return Call([=, this] { return store().Get(task_id); });
  }
  Async<absl::StatusOr<std::vector<std::optional<TaskRecord>>>> BulkGet(
      std::span<const std::string> task_ids) override {
    return Call([=, this] { return store().BulkGet(task_ids); });
  }
  Async<absl::StatusOr<TaskPage>> ListByOwner(const ListQuery& query) override {
    return Call([&query, this] { return store().ListByOwner(query); });
  }
  Async<absl::StatusOr<Cancelled>> Cancel(std::string_view task_id, std::string message,
                                          absl::Time now) override {
    return Call([=, this] { return store().Cancel(task_id, message, now); });
  }
  Async<absl::StatusOr<TaskRecord>> Restart(std::string_view task_id, absl::Time now) override {
    return Call([=, this] { return store().Restart(task_id, now); });
  }
  Async<absl::StatusOr<SweepResult>> Sweep(absl::Time now, int max_count, double jitter) override {
    return Call([=, this] { return store().Sweep(now, max_count, jitter); });
  }
  Async<absl::StatusOr<CleanupResult>> Cleanup(const CleanupQuery& query, absl::Time now) override {
    return Call([&query, now, this] { return store().Cleanup(query, now); });
  }
  Async<absl::StatusOr<PurgeResult>> Purge(const PurgeQuery& query, absl::Time now) override {
    return Call([&query, now, this] { return store().Purge(query, now); });
  }
  Async<absl::StatusOr<std::vector<std::string>>> SetPaused(std::string_view task_type,
                                                            bool paused) override {
    return Call([=, this] { return store().SetPaused(task_type, paused); });
  }
  Async<absl::StatusOr<StoreStats>> Stats() override {
    return Call([this] { return store().Stats(); });
  }
  Async<absl::StatusOr<std::vector<OutboxEntry>>> ReadOutbox(int part, int64_t after_sequence,
                                                             int max_count) override {
    return Call([=, this] { return store().ReadOutbox(part, after_sequence, max_count); });
  }
  Async<absl::Status> AckOutbox(int part, int64_t up_to_sequence) override {
    return Call([=, this] { return store().AckOutbox(part, up_to_sequence); });
  }
  Async<absl::Status> SaveShared(std::string_view kind, std::string_view name, std::string document,
                                 absl::Duration ttl) override {
    return Call([=, this] { return store().SaveShared(kind, name, document, ttl); });
  }
  Async<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>> LoadShared(
      std::string_view kind) override {
    return Call([=, this] { return store().LoadShared(kind); });
  }

  void SetListener(StoreListener* listener) override {
    std::erase(common_->listeners, listener_);
    listener_ = listener;
    if (listener != nullptr) common_->listeners.push_back(listener);
  }
  void AnnounceEndedLease(const EndedLease& ended) override {
    if (away) return;
    for (StoreListener* other : common_->listeners) {
      if (other != listener_) other->OnEndedLease(ended);
    }
  }

 private:
  TaskStore& store() const { return *common_->store; }

  template <class F>
  std::invoke_result_t<F> Call(F call) {
    if (away) {
      NoteCall();
      co_return Away();
    }
    auto result = co_await call();
    if (loses_replies) co_return Away();
    co_return result;
  }
  void NoteCall() {
    sync::MutexLock lock(mu_);
    ++calls_while_away_;
    called_.SignalAll();
  }
  static absl::Status Away() {
    return status::WithRetryAfter(
        status::Error(absl::StatusCode::kUnavailable, "STORE_AWAY",
                      "the store of tasks can't be reached; try again after the delay given"),
        absl::Seconds(1));
  }

  const std::shared_ptr<CommonStore> common_;
  StoreListener* listener_ = nullptr;
  mutable sync::Mutex mu_;
  sync::CondVar called_;
  int calls_while_away_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CONTRACT_SERVER_STORE_H_
