// FallbackTaskStore: sessions, which are open in both stores, and what is leased under them.
#include <algorithm>
#include <utility>

#include "services/task_queue/fallback_task_store.h"

namespace slipstream::task_queue {

namespace {

const LeaseKey& LeaseOf(const FinishRequest& request) { return request.lease; }
const LeaseKey& LeaseOf(const ProgressRequest& request) { return request.lease; }
const LeaseKey& LeaseOf(const LeaseKey& lease) { return lease; }

}  // namespace

// --- sessions

Async<absl::Status> FallbackTaskStore::OpenSession(SessionLease session, absl::Time now) {
  absl::Status here = co_await memory_.OpenSession(session, now);
  if (!here.ok()) co_return here;
  if (!options_.connected()) co_return absl::OkStatus();
  absl::Status there = co_await durable_->OpenSession(session, now);
  Note(there);
  // RenewSessions opens it there when that is back.
  co_return absl::IsUnavailable(there) ? absl::OkStatus() : there;
}

Async<absl::StatusOr<std::vector<bool>>> FallbackTaskStore::RenewSessions(
    std::span<const SessionLease> sessions, absl::Time now) {
  auto here = co_await memory_.RenewSessions(sessions, now);
  if (!here.ok() || (!options_.connected() && NothingThere())) co_return here;
  if (!options_.connected()) co_return StoreAway();
  auto there = Noted(co_await durable_->RenewSessions(sessions, now));
  if (!there.ok()) co_return there.status();
  failed_.store(false, std::memory_order_release);
  for (size_t i = 0; i < sessions.size(); ++i) {
    if ((*here)[i] == (*there)[i]) continue;
    SessionLease session = sessions[i];
    if ((*there)[i]) {
      // It came from another server.
      absl::Status opened = co_await memory_.OpenSession(std::move(session), now);
      if (!opened.ok()) co_return opened;
      continue;
    }
    // Opened while the durable store was away, or ended there for the time it was.
    auto known = co_await memory_.FindSession(session.session_id, now);
    if (!known.ok()) continue;
    session.user = known->user;
    absl::Status opened = co_await durable_->OpenSession(std::move(session), now);
    Note(opened);
    if (!opened.ok()) co_return opened;
    (*there)[i] = true;
  }
  co_return there;
}

Async<absl::StatusOr<StoredSession>> FallbackTaskStore::FindSession(std::string_view session_id,
                                                                    absl::Time now) {
  auto here = co_await memory_.FindSession(session_id, now);
  if (!options_.connected() && NothingThere()) co_return here;
  if (!options_.connected()) co_return StoreAway();
  auto there = Noted(co_await durable_->FindSession(session_id, now));
  if (absl::IsNotFound(there.status())) co_return here;
  if (there.ok() && here.ok()) {
    std::move(here->held.begin(), here->held.end(), std::back_inserter(there->held));
  }
  co_return there;
}

// --- leases

// The durable store is asked for what the memory leaves, so that neither starves the other.
Async<absl::StatusOr<std::vector<TaskRecord>>> FallbackTaskStore::LeaseBatch(
    std::string_view session_id, std::span<const LeaseType> types, int max_count, absl::Time now) {
  if (Away()) co_return co_await memory_.LeaseBatch(session_id, types, max_count, now);
  {
    // What it has leased unheard is looked for by the caller, who is told by this.
    sync::MutexLock lock(mu_);
    if (auto doubtful = doubtful_sessions_.find(session_id); doubtful != doubtful_sessions_.end()) {
      doubtful_sessions_.erase(doubtful);
      co_return StoreAway();
    }
  }
  std::vector<TaskRecord> leased;
  if (const int64_t waiting = memory_.waiting_count(); waiting > 0) {
    const int part = static_cast<int>(std::min<int64_t>(waiting, std::max(1, max_count / 2)));
    auto here = co_await memory_.LeaseBatch(session_id, types, part, now);
    // Not found: the session has not been renewed here yet.
    if (here.ok()) leased = *std::move(here);
  }
  const int room = max_count - static_cast<int>(leased.size());
  if (room <= 0) co_return leased;
  auto there = Noted(co_await durable_->LeaseBatch(session_id, types, room, now));
  if (!there.ok() && leased.empty()) co_return there.status();
  if (there.ok()) {
    std::move(there->begin(), there->end(), std::back_inserter(leased));
  } else if (absl::IsUnavailable(there.status())) {
    sync::MutexLock lock(mu_);
    doubtful_sessions_.emplace(session_id);
  }
  co_return leased;
}

// --- reports

template <class Request, class Call>
Async<absl::StatusOr<std::vector<Reported>>> FallbackTaskStore::Report(
    std::span<const Request> requests, Call call) {
  std::vector<Request> here, there;
  std::vector<size_t> here_places, there_places;
  if (!memory_.empty()) {
    for (size_t i = 0; i < requests.size(); ++i) {
      const bool is_here = memory_.Has(LeaseOf(requests[i]).task_id);
      (is_here ? here : there).push_back(requests[i]);
      (is_here ? here_places : there_places).push_back(i);
    }
  }
  if (here.empty()) {
    if (Blind()) co_return StoreAway();
    if (!options_.connected()) co_return co_await call(memory_, requests);
    co_return Noted(co_await call(*durable_, requests));
  }
  std::vector<Reported> results(requests.size());
  auto reported = co_await call(memory_, std::span<const Request>(here));
  if (!reported.ok()) co_return reported.status();
  for (size_t k = 0; k < here.size(); ++k) results[here_places[k]] = std::move((*reported)[k]);
  if (there.empty()) co_return results;
  // What is in memory has been taken, so the others fail one by one.
  absl::Status away = StoreAway();
  if (options_.connected()) {
    reported = Noted(co_await call(*durable_, std::span<const Request>(there)));
    away = reported.status();
  }
  for (size_t k = 0; k < there.size(); ++k) {
    Reported& result = results[there_places[k]];
    if (away.ok()) {
      result = std::move((*reported)[k]);
    } else {
      result.status = away;
    }
  }
  co_return results;
}

Async<absl::StatusOr<std::vector<Reported>>> FallbackTaskStore::FinishBatch(
    std::span<const FinishRequest> requests, absl::Time now) {
  return Report(requests, [now](TaskStore& store, std::span<const FinishRequest> some) {
    return store.FinishBatch(some, now);
  });
}

Async<absl::StatusOr<std::vector<Reported>>> FallbackTaskStore::ProgressBatch(
    std::span<const ProgressRequest> requests, absl::Time now) {
  return Report(requests, [now](TaskStore& store, std::span<const ProgressRequest> some) {
    return store.ProgressBatch(some, now);
  });
}

Async<absl::StatusOr<std::vector<Reported>>> FallbackTaskStore::ReleaseBatch(
    std::span<const LeaseKey> leases, absl::Time now) {
  return Report(leases, [now](TaskStore& store, std::span<const LeaseKey> some) {
    return store.ReleaseBatch(some, now);
  });
}

}  // namespace slipstream::task_queue
