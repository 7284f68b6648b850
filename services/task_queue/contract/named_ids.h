// NamedIds: a store under test whose task ids may be short names. The contract speaks of "t1"; a
// store that needs real UUIDs gets one made from the name, marked for the owner by MakeTaskId, and
// gives the name back.
//
// Thread safety: one thread at a time.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_NAMED_IDS_H_
#define SERVICES_TASK_QUEUE_CONTRACT_NAMED_IDS_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/status/status.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue {

class NamedIds final : public TaskStore {
 public:
  // `owned`: what the store lives in, kept as long as this.
  explicit NamedIds(TaskStore& store, std::shared_ptr<void> owned = nullptr)
      : owned_(std::move(owned)), store_(store) {}

  std::string_view name() const override { return store_.name(); }
  bool durable() const override { return store_.durable(); }
  Async<absl::StatusOr<std::vector<absl::StatusOr<Submitted>>>> SubmitBatch(
      std::span<const NewTask> tasks, bool all_or_nothing, absl::Time now) override {
    std::vector<NewTask> named(tasks.begin(), tasks.end());
    for (NewTask& task : named) {
      task.task_id = Register(task.task_id, task.owner, task.tenant);
    }
    for (NewTask& task : named) {
      for (std::string& id : task.depends_on) id = In(id);
    }
    auto results = co_await store_.SubmitBatch(named, all_or_nothing, now);
    if (!results.ok()) co_return results.status();
    for (auto& one : *results) {
      if (!one.ok()) one = Out(one.status());
      if (!one.ok()) continue;
      Out(one->task);
      if (one->replaced) Out(*one->replaced);
    }
    co_return results;
  }
  Async<absl::Status> OpenSession(SessionLease session, absl::Time now) override {
    return store_.OpenSession(std::move(session), now);
  }
  Async<absl::StatusOr<std::vector<bool>>> RenewSessions(std::span<const SessionLease> sessions,
                                                         absl::Time now) override {
    return store_.RenewSessions(sessions, now);
  }
  Async<absl::StatusOr<StoredSession>> FindSession(std::string_view session_id,
                                                   absl::Time now) override {
    auto found = co_await store_.FindSession(session_id, now);
    if (found.ok()) Out(found->held);
    co_return found;
  }
  Async<absl::StatusOr<std::vector<TaskRecord>>> LeaseBatch(std::string_view session_id,
                                                            std::span<const LeaseType> types,
                                                            int max_count,
                                                            absl::Time now) override {
    auto leased = co_await store_.LeaseBatch(session_id, types, max_count, now);
    if (leased.ok()) Out(*leased);
    co_return leased;
  }
  Async<absl::StatusOr<std::vector<Reported>>> FinishBatch(std::span<const FinishRequest> requests,
                                                           absl::Time now) override {
    std::vector<FinishRequest> named(requests.begin(), requests.end());
    for (FinishRequest& request : named) request.lease.task_id = In(request.lease.task_id);
    auto reported = co_await store_.FinishBatch(named, now);
    if (reported.ok()) Out(*reported);
    co_return reported;
  }
  Async<absl::StatusOr<std::vector<Reported>>> ProgressBatch(
      std::span<const ProgressRequest> requests, absl::Time now) override {
    std::vector<ProgressRequest> named(requests.begin(), requests.end());
    for (ProgressRequest& request : named) request.lease.task_id = In(request.lease.task_id);
    auto reported = co_await store_.ProgressBatch(named, now);
    if (reported.ok()) Out(*reported);
    co_return reported;
  }
  Async<absl::StatusOr<std::vector<Reported>>> ReleaseBatch(std::span<const LeaseKey> leases,
                                                            absl::Time now) override {
    std::vector<LeaseKey> named(leases.begin(), leases.end());
    for (LeaseKey& lease : named) lease.task_id = In(lease.task_id);
    auto reported = co_await store_.ReleaseBatch(named, now);
    if (reported.ok()) Out(*reported);
    co_return reported;
  }
  Async<absl::StatusOr<TaskRecord>> Get(std::string_view task_id) override {
    const std::string id = In(task_id);
    auto task = co_await store_.Get(id);
    if (task.ok()) Out(*task);
    co_return task;
  }
  Async<absl::StatusOr<std::vector<std::optional<TaskRecord>>>> BulkGet(
      std::span<const std::string> task_ids) override {
    std::vector<std::string> named;
    for (const std::string& id : task_ids) named.push_back(In(id));
    auto found = co_await store_.BulkGet(named);
    if (!found.ok()) co_return found.status();
    for (auto& one : *found) {
      if (one) Out(*one);
    }
    co_return found;
  }
  Async<absl::StatusOr<TaskPage>> ListByOwner(const ListQuery& query) override {
    auto page = co_await store_.ListByOwner(query);
    if (page.ok()) Out(page->tasks);
    co_return page;
  }
  Async<absl::StatusOr<Cancelled>> Cancel(std::string_view task_id, std::string message,
                                          absl::Time now) override {
    const std::string id = In(task_id);
    auto cancelled = co_await store_.Cancel(id, std::move(message), now);
    if (cancelled.ok()) Out(cancelled->task);
    co_return cancelled;
  }
  Async<absl::StatusOr<TaskRecord>> Restart(std::string_view task_id, absl::Time now) override {
    const std::string id = In(task_id);
    auto task = co_await store_.Restart(id, now);
    if (!task.ok()) co_return Out(task.status());
    Out(*task);
    co_return task;
  }
  Async<absl::StatusOr<SweepResult>> Sweep(absl::Time now, int max_count, double jitter) override {
    auto swept = co_await store_.Sweep(now, max_count, jitter);
    if (!swept.ok()) co_return swept;
    Out(swept->changed);
    for (EndedLease& ended : swept->ended_leases) ended.lease.task_id = Name(ended.lease.task_id);
    co_return swept;
  }
  Async<absl::StatusOr<CleanupResult>> Cleanup(const CleanupQuery& query, absl::Time now) override {
    return store_.Cleanup(query, now);
  }
  Async<absl::StatusOr<PurgeResult>> Purge(const PurgeQuery& query, absl::Time now) override {
    auto purged = co_await store_.Purge(query, now);
    if (purged.ok()) Out(purged->purged);
    co_return purged;
  }
  Async<absl::StatusOr<std::vector<std::string>>> SetPaused(std::string_view task_type,
                                                            bool paused) override {
    return store_.SetPaused(task_type, paused);
  }
  Async<absl::StatusOr<StoreStats>> Stats() override { return store_.Stats(); }
  int outbox_part_count() const override { return store_.outbox_part_count(); }
  Async<absl::StatusOr<std::vector<OutboxEntry>>> ReadOutbox(int part, int64_t after_sequence,
                                                             int max_count) override {
    auto entries = co_await store_.ReadOutbox(part, after_sequence, max_count);
    if (!entries.ok()) co_return entries;
    for (OutboxEntry& entry : *entries) {
      const std::string uuid = entry.task.task_id;
      Out(entry.task);
      if (entry.idempotency_key.starts_with(uuid)) {
        entry.idempotency_key.replace(0, uuid.size(), entry.task.task_id);
      }
    }
    co_return entries;
  }
  Async<absl::Status> AckOutbox(int part, int64_t up_to_sequence) override {
    return store_.AckOutbox(part, up_to_sequence);
  }
  void SetListener(StoreListener* listener) override { store_.SetListener(listener); }
  void AnnounceEndedLease(const EndedLease& ended) override { store_.AnnounceEndedLease(ended); }
  Async<absl::Status> SaveShared(std::string_view kind, std::string_view name, std::string document,
                                 absl::Duration ttl) override {
    return store_.SaveShared(kind, name, std::move(document), ttl);
  }
  Async<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>> LoadShared(
      std::string_view kind) override {
    return store_.LoadShared(kind);
  }

 private:
  // The same name always gives the same id; the owner's part comes with the first submit.
  std::string Register(const std::string& name, const std::string& owner,
                       const std::string& tenant) {
    auto it = ids_.find(name);
    if (it != ids_.end()) return it->second;
    std::string hex = std::to_string(++count_);
    std::string uuid = "01900000-0000-7000-8000-000000000000";
    // Before the part that names a shard.
    uuid.replace(uuid.size() - 4 - hex.size(), hex.size(), hex);
    const std::string id = store_.MakeTaskId(uuid, owner, tenant);
    ids_[name] = id;
    names_[id] = name;
    return id;
  }
  std::string In(std::string_view name) const {
    auto it = ids_.find(std::string(name));
    return it == ids_.end() ? std::string(name) : it->second;
  }
  std::string Name(const std::string& id) const {
    auto it = names_.find(id);
    return it == names_.end() ? id : it->second;
  }
  void Out(TaskRecord& task) const {
    task.task_id = Name(task.task_id);
    for (std::string& id : task.depends_on) id = Name(id);
    for (std::string& id : task.waits_for) id = Name(id);
  }
  // The same error with the name in its metadata.
  absl::Status Out(const absl::Status& error) const {
    const auto id = status::Metadata(error, "task_id");
    if (!id) return error;
    return status::Error(error.code(), status::Reason(error), error.message(),
                         {{"task_id", Name(*id)}});
  }
  void Out(std::vector<TaskRecord>& tasks) const {
    for (TaskRecord& task : tasks) Out(task);
  }
  void Out(std::vector<Reported>& reports) const {
    for (Reported& report : reports) Out(report.task);
  }

  const std::shared_ptr<void> owned_;
  TaskStore& store_;
  std::map<std::string, std::string> ids_, names_;
  int count_ = 0;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CONTRACT_NAMED_IDS_H_
