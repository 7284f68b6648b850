#include "libs/postgres/server_pool.h"

#include <libpq-fe.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/postgres/connection.h"
#include "libs/status/status.h"

namespace slipstream::postgres {

namespace {

using std::chrono::steady_clock;

steady_clock::duration Chrono(absl::Duration duration) {
  return absl::ToChronoNanoseconds(duration);
}

Link::Options LinkOptions(const PoolOptions& options) {
  return {options.statement_timeout, options.max_prepared_count, Chrono(options.abandon_grace)};
}

}  // namespace

ServerPool::ServerPool(EventLoop& loop, const PoolOptions& options, ConnInfo info)
    : loop_(loop),
      options_(options),
      connector_(std::move(info), options.connect_timeout, kMaxOpeningCount / 2),
      random_(std::random_device()()),
      breaker_(options.breaker_failures_count, Chrono(options.breaker_open)),
      waiting_(static_cast<size_t>(options.max_waiters_count)) {}

ServerPool::~ServerPool() = default;

void ServerPool::Enqueue(std::shared_ptr<Waiter> waiter) {
  if (!closed_.ok()) return waiter->OnRefused(closed_);
  const TimePoint now = loop_.Now();
  waiter->queued_at = now;
  waiter->deadline = std::min(waiter->deadline, now + Chrono(options_.acquire_timeout));
  if (!idle_.empty() && waiting_.empty()) {
    Link& link = *idle_.back();
    idle_.pop_back();
    return Grant(link, waiter, now);
  }
  if (links_.empty() && opening_count_ == 0 && breaker_.state() == CircuitState::kOpen &&
      now < breaker_.open_until()) {
    return Refuse(waiter, CircuitOpen(now));
  }
  if (!waiting_.Push(waiter)) return Refuse(waiter, Busy());
  Grow(now);
  NoteCounts();
}

void ServerPool::Grant(Link& link, const std::shared_ptr<Waiter>& waiter, TimePoint now) {
  link.pool.granted_at = now;
  link.pool.holder = waiter->caller();
  link.pool.leak_reported = false;
  {
    const auto wait = std::chrono::duration<float, std::milli>(now - waiter->queued_at);
    sync::MutexLock lock(mutex_);
    ++figures_.acquired_count;
    figures_.busy_count = static_cast<int>(links_.size() - idle_.size());
    figures_.waiters_count = static_cast<int>(waiting_.size());
    if (figures_.waits_ms.size() < kWaitsCount) figures_.waits_ms.resize(next_wait_ + 1);
    figures_.waits_ms[next_wait_] = wait.count();
    next_wait_ = (next_wait_ + 1) % kWaitsCount;
  }
  waiter->OnGranted(link);
}

void ServerPool::Offer(Link& link, TimePoint now) {
  if (waiting_.empty()) {
    link.pool.idle_since = now;
    idle_.push_back(&link);
    return NoteCounts();
  }
  Grant(link, waiting_.Pop(), now);
}

void ServerPool::Release(Link& link, bool discard) {
  const TimePoint now = loop_.Now();
  link.pool.holder = nullptr;
  const bool stays = !discard && link.clean() && link.pool.generation == generation_;
  const bool worn = stays && link.queries_count() >= link.pool.max_queries_count;
  {
    sync::MutexLock lock(mutex_);
    figures_.busy_time += absl::FromChrono(now - link.pool.granted_at);
    figures_.recycled_count += worn;
    figures_.broken_count += !stays;
  }
  if (stays && !worn) return Offer(link, now);
  Retire(link);
  Grow(now);
}

void ServerPool::Abandon(Link& link) { link.pool.holder = nullptr; }

void ServerPool::OnLeft(Link& link) {
  const auto at = std::find(idle_.begin(), idle_.end(), &link);
  if (at == idle_.end()) {
    // In use: whoever holds it finds it broken. An overdue statement has no holder any more.
    if (link.pool.holder == nullptr) Release(link);
    return;
  }
  idle_.erase(at);
  {
    sync::MutexLock lock(mutex_);
    ++figures_.broken_count;
  }
  Retire(link);
}

void ServerPool::Retire(Link& link) {
  const auto at = std::find_if(links_.begin(), links_.end(),
                               [&](const auto& entry) { return entry.get() == &link; });
  std::shared_ptr<Link> gone(at->release());
  links_.erase(at);
  gone->Close();
  // It may be the caller of this, or wait in this round's list of sockets.
  loop_.Post([gone] {});
  NoteCounts();
}

void ServerPool::Grow(TimePoint now) {
  const auto wanted = [this] {
    const size_t count = links_.size() + static_cast<size_t>(opening_count_);
    if (count >= static_cast<size_t>(options_.max_connections_count)) return false;
    return count < static_cast<size_t>(options_.min_connections_count) ||
           static_cast<size_t>(opening_count_) < waiting_.size();
  };
  while (closed_.ok() && opening_count_ < kMaxOpeningCount && wanted() && MayOpen(now)) {
    ++opening_count_;
    connector_.Connect([this, now](absl::StatusOr<pg_conn*> connection) {
      loop_.Post([this, now, connection = std::move(connection)] { OnConnected(connection, now); });
    });
  }
}

bool ServerPool::MayOpen(TimePoint now) {
  // After a failure those who have a connection to wait for do so, and the others may try at once.
  if (now < next_try_ && (!links_.empty() || waiting_.empty())) return false;
  return breaker_.Allow(now);
}

void ServerPool::OnConnected(absl::StatusOr<pg_conn*> connection, TimePoint begun_at) {
  --opening_count_;
  if (!connection.ok()) return OnConnectFailed(connection.status(), begun_at);
  if (!closed_.ok()) return PQfinish(*connection);
  breaker_.OnSuccess();
  failures_count_ = 0;
  auto link = std::make_unique<Link>(loop_, *connection, LinkOptions(options_),
                                     [this](Link& left) { OnLeft(left); });
  const double jitter = std::uniform_real_distribution<double>(0.9, 1.1)(random_);
  link->pool.max_queries_count = std::max<int64_t>(
      1, static_cast<int64_t>(jitter * static_cast<double>(options_.max_connection_queries_count)));
  link->pool.generation = generation_;
  links_.push_back(std::move(link));
  Offer(*links_.back(), loop_.Now());
  Grow(loop_.Now());
}

void ServerPool::OnConnectFailed(const absl::Status& status, TimePoint begun_at) {
  const TimePoint now = loop_.Now();
  breaker_.OnFailure(now);
  last_error_ = status;
  failures_count_ = std::min(failures_count_ + 1, 10);
  next_try_ = now + std::chrono::milliseconds(50 * failures_count_);
  // Who came before the attempt began has nothing else to wait for.
  if (links_.empty()) {
    for (const auto& waiter : waiting_.TakeQueuedUntil(begun_at)) Refuse(waiter, status);
  }
  Grow(now);
  NoteCounts();
}

void ServerPool::Tick(TimePoint now) {
  for (const auto& waiter : waiting_.TakeExpired(now)) Refuse(waiter, Busy());
  if (links_.empty() && opening_count_ == 0 && breaker_.state() == CircuitState::kOpen &&
      now < breaker_.open_until()) {
    for (const auto& waiter : waiting_.TakeQueuedUntil(now)) Refuse(waiter, CircuitOpen(now));
  }
  CheckHeld(now);
  CloseIdle(now);
  Grow(now);
  NoteCounts();
}

void ServerPool::CheckHeld(TimePoint now) {
  std::vector<Leak> leaks, found;
  // By index: an overdue statement's end takes its link out.
  for (size_t i = 0; i < links_.size(); ++i) {
    Link& link = *links_[i];
    link.CheckTime(now);
    if (link.pool.holder == nullptr || now - link.pool.granted_at < Chrono(options_.leak_report)) {
      continue;
    }
    leaks.push_back({link.pool.holder->holder, link.pool.holder->trace_id,
                     absl::FromChrono(now - link.pool.granted_at)});
    if (!std::exchange(link.pool.leak_reported, true)) found.push_back(leaks.back());
  }
  std::sort(leaks.begin(), leaks.end(),
            [](const Leak& a, const Leak& b) { return a.held > b.held; });
  if (leaks.size() > kMaxLeaksCount) leaks.resize(kMaxLeaksCount);
  {
    sync::MutexLock lock(mutex_);
    figures_.leaks.swap(leaks);
  }
  if (options_.on_leak == nullptr) return;
  for (const Leak& leak : found) options_.on_leak(leak);
}

void ServerPool::CloseIdle(TimePoint now) {
  // The one that has been idle for longest is the first.
  while (!idle_.empty() && links_.size() > static_cast<size_t>(options_.min_connections_count) &&
         now - idle_.front()->pool.idle_since >= Chrono(options_.idle_timeout)) {
    Link& link = *idle_.front();
    idle_.erase(idle_.begin());
    {
      sync::MutexLock lock(mutex_);
      ++figures_.recycled_count;
    }
    Retire(link);
  }
}

void ServerPool::Leave() {
  ++generation_;
  connector_.StartWithNextHost();
  const auto idle = std::exchange(idle_, {});
  for (Link* link : idle) Retire(*link);
  Grow(loop_.Now());
}

void ServerPool::Cut(absl::string_view why) {
  Leave();
  std::vector<Link*> links;
  for (const auto& link : links_) links.push_back(link.get());
  for (Link* link : links) link->Cut(why);
}

void ServerPool::RefuseAll(const absl::Status& status) {
  for (const auto& waiter : waiting_.TakeQueuedUntil(TimePoint::max())) waiter->OnRefused(status);
}

void ServerPool::Close(const absl::Status& status) {
  closed_ = status;
  RefuseAll(status);
  Cut(status.message());
}

absl::Status ServerPool::Busy() const {
  return status::Error(
      absl::StatusCode::kResourceExhausted, kBusy,
      absl::StrCat("all ", options_.max_connections_count,
                   " connections to PostgreSQL are busy and ", waiting_.size(),
                   " callers wait; try again later, look for slow statements, or raise "
                   "database_optimizer.pool.max_connections_count"));
}

absl::Status ServerPool::CircuitOpen(TimePoint now) const {
  return status::WithRetryAfter(
      status::Error(
          absl::StatusCode::kUnavailable, kCircuitOpen,
          absl::StrCat("PostgreSQL could not be reached ", options_.breaker_failures_count,
                       " times in a row and is left alone for a moment; the last time: ",
                       last_error_.message())),
      absl::FromChrono(breaker_.open_until() - now));
}

void ServerPool::Refuse(const std::shared_ptr<Waiter>& waiter, const absl::Status& status) {
  {
    sync::MutexLock lock(mutex_);
    ++figures_.acquire_timeouts_count;
  }
  waiter->OnRefused(status);
}

void ServerPool::NoteCounts() {
  sync::MutexLock lock(mutex_);
  figures_.open_count = static_cast<int>(links_.size());
  figures_.busy_count = static_cast<int>(links_.size() - idle_.size());
  figures_.waiters_count = static_cast<int>(waiting_.size());
  figures_.circuit_state = breaker_.state();
}

ServerPool::Figures ServerPool::figures() const {
  sync::MutexLock lock(mutex_);
  return figures_;
}

}  // namespace slipstream::postgres
