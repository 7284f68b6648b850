#include "services/task_queue/shared_task_types.h"

#include <utility>

#include "services/task_queue/submit_check.h"

namespace slipstream::task_queue {

namespace {

constexpr char kTypesKind[] = "task_types";
constexpr size_t kMaxDocumentBytes = 64 << 10;

std::string DocumentOf(v1::TaskType type) {
  type.clear_worker_count();
  type.clear_paused();
  std::string document = SerializeDeterministically(type);
  if (document.size() <= kMaxDocumentBytes) return document;
  // The schema decides about submits; an example is for people.
  type.clear_example_args();
  return SerializeDeterministically(type);
}

}  // namespace

Async<absl::Status> SharedTaskTypes::Save(const std::vector<v1::TaskType>& types) {
  const absl::Time now = deps_.clock.Now();
  for (const v1::TaskType& type : types) {
    std::string document = DocumentOf(type);
    if (document.size() > kMaxDocumentBytes) {
      deps_.logger.Warning("a task type is too large to be known to other servers",
                           {{"task_type", type.name()}, {"bytes", document.size()}});
      continue;
    }
    {
      sync::MutexLock lock(mu_);
      auto known = saved_.find(type.name());
      if (known != saved_.end() && known->second.document == document &&
          now - known->second.at < kSavePeriod) {
        continue;
      }
    }
    absl::Status saved =
        co_await deps_.store.SaveShared(kTypesKind, type.name(), document, kTypeTtl);
    if (!saved.ok()) co_return saved;
    sync::MutexLock lock(mu_);
    saved_[type.name()] = {std::move(document), now};
  }
  co_return absl::OkStatus();
}

Async<absl::Status> SharedTaskTypes::Load() {
  const absl::Time now = deps_.clock.Now();
  {
    sync::MutexLock lock(mu_);
    loaded_at_ = now;
  }
  auto documents = co_await deps_.store.LoadShared(kTypesKind);
  if (!documents.ok()) co_return documents.status();
  std::vector<v1::TaskType> changed;
  {
    sync::MutexLock lock(mu_);
    for (auto& [name, document] : *documents) {
      Saved& saved = saved_[name];
      if (saved.document == document) continue;
      v1::TaskType type;
      if (!type.ParseFromString(document) || type.name() != name) continue;
      saved = {std::move(document), absl::InfinitePast()};
      changed.push_back(std::move(type));
    }
  }
  // One by one: a type that this server refuses must not hide the others.
  for (const v1::TaskType& type : changed) {
    const absl::Status known = deps_.registry.Announce({type});
    if (known.ok()) continue;
    deps_.logger.Warning("a task type of another server is not understood here",
                         {{"task_type", type.name()}, {"error", known}});
  }
  co_return absl::OkStatus();
}

Async<void> SharedTaskTypes::LoadForUnknown() {
  {
    sync::MutexLock lock(mu_);
    if (deps_.clock.Now() - loaded_at_ < kMinReloadInterval) co_return;
  }
  const absl::Status loaded = co_await Load();
  if (!loaded.ok()) deps_.logger.Warning("task types not read", {{"error", loaded}});
}

}  // namespace slipstream::task_queue
