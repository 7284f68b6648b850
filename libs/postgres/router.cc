#include "libs/postgres/router.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/postgres/pq_errors.h"

namespace slipstream::postgres {

namespace {

// A replica's pool opens connections only while it is used, so a far one costs little.
PoolOptions ReplicaOptions(PoolOptions options) {
  options.min_connections_count = 0;
  return options;
}

double PercentileOf(std::vector<float> values, double share) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<ptrdiff_t>(share * (values.size() - 1) + 0.5);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

Router::Router(EventLoop& loop, const PoolOptions& options)
    : loop_(loop),
      options_(options),
      replica_options_(ReplicaOptions(options)),
      primary_(loop, options, *ParseConnInfo(options.primary_url, options.application_name)) {
  for (const std::string& url : options.replica_urls) {
    const ConnInfo info = *ParseConnInfo(url, options.application_name);
    const size_t index = replicas_.size();
    replicas_.push_back(
        std::make_unique<Replica>(loop, replica_options_, info,
                                  [this, index](const auto& state) { OnReplica(index, state); }));
    sync::MutexLock lock(mutex_);
    figures_.push_back({.name = NameOf(info.hosts[0]), .why_left = "not looked at yet"});
  }
  if (!replicas_.empty() || primary_.info().hosts.size() > 1) {
    primary_watch_ = std::make_unique<ServerWatch>(loop, options_, primary_.info(),
                                                   [this](const auto& state) { OnPrimary(state); });
  }
}

Router::~Router() = default;

void Router::Start() {
  primary_.Start();
  if (primary_watch_ != nullptr) primary_watch_->Start();
  for (auto& replica : replicas_) {
    replica->pool.Start();
    replica->watch.Start();
  }
}

void Router::Stop() {
  primary_.Stop();
  if (primary_watch_ != nullptr) primary_watch_->Stop();
  for (auto& replica : replicas_) {
    replica->pool.Stop();
    replica->watch.Stop();
  }
}

void Router::Tick(TimePoint now) {
  primary_.Tick(now);
  if (primary_watch_ != nullptr) primary_watch_->Tick(now);
  for (auto& replica : replicas_) {
    replica->pool.Tick(now);
    replica->watch.Tick(now);
  }
}

void Router::Close(const absl::Status& status) {
  if (primary_watch_ != nullptr) primary_watch_->Close();
  for (auto& replica : replicas_) {
    replica->watch.Close();
    replica->pool.Close(status);
  }
  primary_.Close(status);
}

ServerPool& Router::Choose(const Route& route) {
  Replica* best = nullptr;
  if (route.allow_replica) {
    for (auto& replica : replicas_) {
      if (!replica->in_use || replica->position < route.after) continue;
      if (best == nullptr || replica->pool.load() < best->pool.load()) best = replica.get();
    }
  }
  return best == nullptr ? primary_ : best->pool;
}

void Router::OnPrimary(const absl::StatusOr<ServerState>& state) {
  const bool has_others = primary_.info().hosts.size() > 1;
  if (!state.ok()) {
    // Once: what was cut looks for another host by itself.
    if (has_others && !std::exchange(primary_silent_, true)) {
      primary_watch_->Leave();
      primary_.Cut(state.status().message());
    }
    return;
  }
  primary_silent_ = false;
  if (has_others && Lacks(primary_.info().wanted, state->in_recovery, state->read_only)) {
    primary_watch_->Leave();
    primary_.Leave();
    return;
  }
  lag_.OnPrimary(state->asked_at, state->position);
  // Of those that do not answer nobody else says how far behind they are.
  for (size_t i = 0; i < replicas_.size(); ++i) {
    if (replicas_[i]->in_use || replicas_[i]->position == WalPosition{}) continue;
    NoteLag(i, lag_.Of(replicas_[i]->position, loop_.Now()));
  }
}

void Router::NoteLag(size_t index, const ReplicaLag::Lag& lag) {
  sync::MutexLock lock(mutex_);
  figures_[index].lag_bytes = lag.bytes;
  figures_[index].lag = absl::FromChrono(lag.time);
}

void Router::OnReplica(size_t index, const absl::StatusOr<ServerState>& state) {
  Replica& replica = *replicas_[index];
  if (!state.ok()) return LeaveReplica(index, std::string(state.status().message()), true);
  if (!state->in_recovery) {
    return LeaveReplica(index, "it is no replica: it is not in recovery", true);
  }
  replica.position = state->position;
  const ReplicaLag::Lag lag = lag_.Of(state->position, loop_.Now());
  const absl::Duration behind = absl::FromChrono(lag.time);
  NoteLag(index, lag);
  {
    sync::MutexLock lock(mutex_);
    figures_[index].streams_as = state->streams_as;
  }
  if (behind > options_.max_replica_lag) {
    return LeaveReplica(
        index, absl::StrCat("it is ", absl::ToInt64Milliseconds(behind), " ms behind"), false);
  }
  replica.in_use = true;
  sync::MutexLock lock(mutex_);
  figures_[index].in_use = true;
  figures_[index].why_left.clear();
}

void Router::LeaveReplica(size_t index, const std::string& why, bool cut) {
  Replica& replica = *replicas_[index];
  {
    sync::MutexLock lock(mutex_);
    figures_[index].in_use = false;
    figures_[index].why_left = why;
  }
  if (!std::exchange(replica.in_use, false)) return;
  if (cut) replica.pool.Cut(why);
  replica.pool.RefuseAll(Unreachable(why));
}

PoolFigures Router::figures() const {
  const ServerPool::Figures primary = primary_.figures();
  PoolFigures out;
  out.open_connections_count = primary.open_count;
  out.busy_connections_count = primary.busy_count;
  out.waiters_count = primary.waiters_count;
  out.circuit_state = primary.circuit_state;
  out.busy_time = primary.busy_time;
  out.p95_wait = absl::Milliseconds(PercentileOf(primary.waits_ms, 0.95));
  const auto add = [&out](const ServerPool::Figures& server) {
    out.acquired_count += server.acquired_count;
    out.acquire_timeouts_count += server.acquire_timeouts_count;
    out.recycled_count += server.recycled_count;
    out.broken_count += server.broken_count;
    out.leaks.insert(out.leaks.end(), server.leaks.begin(), server.leaks.end());
  };
  add(primary);
  for (const auto& replica : replicas_) add(replica->pool.figures());
  std::sort(out.leaks.begin(), out.leaks.end(),
            [](const Leak& a, const Leak& b) { return a.held > b.held; });
  if (out.leaks.size() > 20) out.leaks.resize(20);
  sync::MutexLock lock(mutex_);
  out.replicas = figures_;
  return out;
}

}  // namespace slipstream::postgres
