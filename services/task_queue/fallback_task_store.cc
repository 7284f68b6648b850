#include "services/task_queue/fallback_task_store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::task_queue {

namespace {

constexpr absl::Duration kAwayRetryDelay = absl::Milliseconds(500);
// The first characters of a page's position: which store goes on.
constexpr std::string_view kHerePage = "m:";
constexpr std::string_view kTherePage = "d:";

MemoryTaskStoreOptions WithSubmits(MemoryTaskStoreOptions options) {
  options.keeps_submits = true;
  return options;
}

void AddStats(StoreStats& to, const StoreStats& from) {
  for (size_t i = 0; i < to.by_status.size(); ++i) to.by_status[i] += from.by_status[i];
  for (const StoreStats::Depth& depth : from.depths) {
    auto same = std::find_if(to.depths.begin(), to.depths.end(), [&](const auto& have) {
      return have.task_type == depth.task_type && have.priority == depth.priority;
    });
    if (same == to.depths.end()) {
      to.depths.push_back(depth);
      continue;
    }
    same->pending_count += depth.pending_count;
    same->scheduled_count += depth.scheduled_count;
    same->oldest_ready_at = std::min(same->oldest_ready_at, depth.oldest_ready_at);
  }
  to.outbox_count += from.outbox_count;
  to.outbox_dropped_count += from.outbox_dropped_count;
  to.held_bytes += from.held_bytes;
}

}  // namespace

absl::Status StoreAway() {
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, "STORE_AWAY",
                    "the durable store of tasks is away; try again after the delay given"),
      kAwayRetryDelay);
}

FallbackTaskStore::FallbackTaskStore(std::shared_ptr<TaskStore> durable,
                                     MemoryTaskStoreOptions memory, FallbackOptions options)
    : options_(std::move(options)),
      memory_(WithSubmits(std::move(memory))),
      durable_(std::move(durable)) {}

void FallbackTaskStore::Note(const absl::Status& status) {
  if (!options_.says_away(status)) {
    answered_.store(true, std::memory_order_release);
    return;
  }
  failed_.store(true, std::memory_order_release);
}

FallbackTaskStore::Place FallbackTaskStore::PlaceOf(std::string_view task_id) const {
  sync::MutexLock lock(mu_);
  if (memory_.Has(task_id)) return Place::kHere;
  return moving_.contains(task_id) ? Place::kMoving : Place::kThere;
}

// --- reads

Async<absl::StatusOr<TaskRecord>> FallbackTaskStore::Get(std::string_view task_id) {
  auto here = co_await memory_.Get(task_id);
  if (here.ok()) co_return here;
  bool back = false;  // it was moving, and is here again
  {
    sync::MutexLock lock(mu_);
    auto moving = moving_.find(task_id);
    if (moving != moving_.end()) co_return moving->second.task;
    back = memory_.Has(task_id);
  }
  if (back) co_return co_await memory_.Get(task_id);
  if (Blind()) co_return StoreAway();
  if (!options_.connected()) co_return here;
  co_return Noted(co_await durable_->Get(task_id));
}

Async<absl::StatusOr<std::vector<std::optional<TaskRecord>>>> FallbackTaskStore::BulkGet(
    std::span<const std::string> task_ids) {
  auto found = co_await memory_.BulkGet(task_ids);
  if (!found.ok()) co_return found;
  std::vector<std::string> rest;
  std::vector<size_t> places, back;  // back: it was moving, and is here again
  {
    sync::MutexLock lock(mu_);
    for (size_t i = 0; i < task_ids.size(); ++i) {
      if ((*found)[i]) continue;
      if (auto moving = moving_.find(task_ids[i]); moving != moving_.end()) {
        (*found)[i] = moving->second.task;
      } else if (memory_.Has(task_ids[i])) {
        back.push_back(i);
      } else {
        rest.push_back(task_ids[i]);
        places.push_back(i);
      }
    }
  }
  for (const size_t i : back) {
    auto one = co_await memory_.Get(task_ids[i]);
    if (one.ok()) (*found)[i] = *std::move(one);
  }
  if (rest.empty() || (!options_.connected() && NothingThere())) co_return found;
  if (!options_.connected()) co_return StoreAway();
  auto there = Noted(co_await durable_->BulkGet(rest));
  if (!there.ok()) co_return there.status();
  for (size_t k = 0; k < rest.size(); ++k) (*found)[places[k]] = std::move((*there)[k]);
  co_return found;
}

// First those in memory, which are the newest as long as they are there.
Async<absl::StatusOr<TaskPage>> FallbackTaskStore::ListByOwner(const ListQuery& query) {
  TaskPage page;
  ListQuery rest = query;
  if (query.after.starts_with(kTherePage)) {
    rest.after = query.after.substr(kTherePage.size());
  } else {
    ListQuery here = query;
    if (query.after.starts_with(kHerePage)) {
      here.after = query.after.substr(kHerePage.size());
    } else if (!query.after.empty()) {
      co_return status::FieldError("page_token", "is not a token of this listing");
    }
    auto listed = co_await memory_.ListByOwner(here);
    if (!listed.ok()) co_return listed.status();
    page = *std::move(listed);
    if (!page.next.empty()) {
      page.next.insert(0, kHerePage);
      co_return page;
    }
    if (!options_.connected() && NothingThere()) co_return page;
    rest.after.clear();
    rest.limit -= static_cast<int>(page.tasks.size());
  }
  // What is known is shown; that it is not all is said by the next page.
  const bool some = !page.tasks.empty();
  if (some && (rest.limit <= 0 || !options_.connected())) {
    page.next = kTherePage;
    co_return page;
  }
  if (!options_.connected()) co_return StoreAway();
  auto there = Noted(co_await durable_->ListByOwner(rest));
  if (!there.ok() && !some) co_return there.status();
  if (!there.ok()) {
    page.next = kTherePage;
    co_return page;
  }
  std::move(there->tasks.begin(), there->tasks.end(), std::back_inserter(page.tasks));
  if (!there->next.empty()) page.next = absl::StrCat("d:", there->next);
  co_return page;
}

// --- changes by people

Async<absl::StatusOr<Cancelled>> FallbackTaskStore::Cancel(std::string_view task_id,
                                                           std::string message, absl::Time now) {
  const Place place = PlaceOf(task_id);
  if (place == Place::kMoving) co_return TaskMoving(task_id);
  if (place == Place::kThere && Blind()) co_return StoreAway();
  if (place == Place::kHere || !options_.connected()) {
    auto cancelled = co_await memory_.Cancel(task_id, std::move(message), now);
    // Taken for a move in between.
    if (place == Place::kHere && absl::IsNotFound(cancelled.status()))
      co_return TaskMoving(task_id);
    co_return cancelled;
  }
  co_return Noted(co_await durable_->Cancel(task_id, std::move(message), now));
}

Async<absl::StatusOr<TaskRecord>> FallbackTaskStore::Restart(std::string_view task_id,
                                                             absl::Time now) {
  const Place place = PlaceOf(task_id);
  if (place == Place::kMoving) co_return TaskMoving(task_id);
  if (place == Place::kThere && Blind()) co_return StoreAway();
  if (place == Place::kHere || !options_.connected()) {
    co_return co_await memory_.Restart(task_id, now);
  }
  co_return Noted(co_await durable_->Restart(task_id, now));
}

// --- time and administration

Async<SweepResult> FallbackTaskStore::SweepHere(absl::Time now, int max_count, double jitter) {
  auto swept = co_await memory_.Sweep(now, max_count, jitter);
  co_return swept.ok() ? *std::move(swept) : SweepResult{};
}

Async<absl::StatusOr<SweepResult>> FallbackTaskStore::Sweep(absl::Time now, int max_count,
                                                            double jitter) {
  if (!options_.connected()) co_return StoreAway();
  auto swept = Noted(co_await durable_->Sweep(now, max_count, jitter));
  if (!swept.ok()) co_return swept;
  failed_.store(false, std::memory_order_release);
  co_await TellUntold();
  const bool moved = co_await MoveSome(now);
  swept->more = swept->more || moved;
  co_return swept;
}

Async<void> FallbackTaskStore::TellUntold() {
  decltype(untold_documents_) documents;
  decltype(untold_pauses_) pauses;
  {
    sync::MutexLock lock(mu_);
    documents = std::exchange(untold_documents_, {});
    pauses = std::exchange(untold_pauses_, {});
  }
  absl::Status told;
  for (auto it = pauses.begin(); it != pauses.end() && told.ok();) {
    told = (co_await durable_->SetPaused(it->first, it->second)).status();
    if (told.ok()) it = pauses.erase(it);
  }
  for (auto it = documents.begin(); it != documents.end() && told.ok();) {
    told = co_await durable_->SaveShared(it->first.first, it->first.second, it->second.text,
                                         it->second.ttl);
    if (told.ok()) it = documents.erase(it);
  }
  if (told.ok()) co_return;
  Note(told);
  sync::MutexLock lock(mu_);
  untold_documents_.merge(documents);  // what was saved since is newer
  untold_pauses_.insert(untold_pauses_.begin(), pauses.begin(), pauses.end());
}

Async<absl::StatusOr<CleanupResult>> FallbackTaskStore::Cleanup(const CleanupQuery& query,
                                                                absl::Time now) {
  CleanupResult result;
  CleanupQuery here = query;
  if (options_.connected() || !NothingThere()) {
    if (!options_.connected()) co_return StoreAway();
    auto there = Noted(co_await durable_->Cleanup(query, now));
    if (!there.ok()) co_return there;
    result = *there;
    here.max_count -= static_cast<int>(std::min<int64_t>(result.removed_count, query.max_count));
  }
  auto removed = co_await memory_.Cleanup(here, now);
  if (!removed.ok()) co_return removed;
  result.removed_count += removed->removed_count;
  result.more = result.more || removed->more;
  co_return result;
}

Async<absl::StatusOr<PurgeResult>> FallbackTaskStore::Purge(const PurgeQuery& query,
                                                            absl::Time now) {
  PurgeResult result;
  PurgeQuery here = query;
  if (options_.connected() || !NothingThere()) {
    if (!options_.connected()) co_return StoreAway();
    auto there = Noted(co_await durable_->Purge(query, now));
    if (!there.ok()) co_return there;
    result = *std::move(there);
    here.max_count -= static_cast<int>(std::min<int64_t>(result.purged_count, query.max_count));
  }
  auto purged = co_await memory_.Purge(here, now);
  if (!purged.ok()) co_return purged;
  result.purged_count += purged->purged_count;
  std::move(purged->purged.begin(), purged->purged.end(), std::back_inserter(result.purged));
  result.more = result.more || purged->more;
  co_return result;
}

Async<absl::StatusOr<std::vector<std::string>>> FallbackTaskStore::SetPaused(
    std::string_view task_type, bool paused) {
  if (options_.connected()) {
    auto all = Noted(co_await durable_->SetPaused(task_type, paused));
    if (all.ok()) memory_.MirrorPaused(*all);
    co_return all;
  }
  {
    sync::MutexLock lock(mu_);
    if (untold_pauses_.size() >= kMaxUntoldCount) co_return StoreAway();
    untold_pauses_.emplace_back(task_type, paused);
  }
  co_return co_await memory_.SetPaused(task_type, paused);
}

Async<absl::StatusOr<StoreStats>> FallbackTaskStore::Stats() {
  auto here = co_await memory_.Stats();
  if (!here.ok()) co_return here;
  here->not_durable_count = memory_.unfinished_count();
  {
    sync::MutexLock lock(mu_);
    here->not_durable_count += static_cast<int64_t>(moving_.size());
  }
  if (!options_.connected()) co_return here;
  auto there = Noted(co_await durable_->Stats());
  if (absl::IsUnavailable(there.status())) co_return here;
  if (!there.ok()) co_return there;
  bool told = false;
  {
    sync::MutexLock lock(mu_);
    told = untold_pauses_.empty();
  }
  if (told) memory_.MirrorPaused(there->paused_task_types);
  AddStats(*there, *here);
  there->not_durable_count = here->not_durable_count;
  co_return there;
}

// --- events and what servers share

Async<absl::StatusOr<std::vector<OutboxEntry>>> FallbackTaskStore::ReadOutbox(
    int part, int64_t after_sequence, int max_count) {
  if (part == durable_->outbox_part_count()) {
    co_return co_await memory_.ReadOutbox(0, after_sequence, max_count);
  }
  if (Blind()) co_return StoreAway();
  if (!options_.connected()) co_return std::vector<OutboxEntry>();
  co_return Noted(co_await durable_->ReadOutbox(part, after_sequence, max_count));
}

Async<absl::Status> FallbackTaskStore::AckOutbox(int part, int64_t up_to_sequence) {
  if (part == durable_->outbox_part_count()) {
    co_return co_await memory_.AckOutbox(0, up_to_sequence);
  }
  if (!options_.connected()) co_return StoreAway();
  absl::Status done = co_await durable_->AckOutbox(part, up_to_sequence);
  Note(done);
  co_return done;
}

Async<absl::Status> FallbackTaskStore::SaveShared(std::string_view kind, std::string_view name,
                                                  std::string document, absl::Duration ttl) {
  if (!Away()) {
    absl::Status saved = co_await durable_->SaveShared(kind, name, document, ttl);
    Note(saved);
    co_return saved;
  }
  sync::MutexLock lock(mu_);
  if (untold_documents_.size() >= kMaxUntoldCount) co_return StoreAway();
  untold_documents_[{std::string(kind), std::string(name)}] = {std::move(document), ttl};
  co_return absl::OkStatus();
}

Async<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>>
FallbackTaskStore::LoadShared(std::string_view kind) {
  if (options_.connected()) co_return Noted(co_await durable_->LoadShared(kind));
  if (!NothingThere()) co_return StoreAway();
  std::vector<std::pair<std::string, std::string>> documents;
  sync::MutexLock lock(mu_);
  for (const auto& [key, document] : untold_documents_) {
    if (key.first == kind) documents.emplace_back(key.second, document.text);
  }
  co_return documents;
}

}  // namespace slipstream::task_queue
