#include "services/database_optimizer/query/pool_stats.h"

#include <algorithm>

namespace slipstream::database_optimizer {

void FillPoolStats(const postgres::PoolOptions& options, const postgres::PoolFigures& figures,
                   v1::PoolStats* out) {
  out->set_min_connections_count(options.min_connections_count);
  out->set_max_connections_count(options.max_connections_count);
  out->set_open_connections_count(figures.open_connections_count);
  out->set_busy_connections_count(figures.busy_connections_count);
  out->set_waiters_count(figures.waiters_count);
  out->set_acquired_count(figures.acquired_count);
  out->set_acquire_timeouts_count(figures.acquire_timeouts_count);
  out->set_recycled_count(figures.recycled_count);
  out->set_p95_wait_ms(absl::ToDoubleMilliseconds(figures.p95_wait));
  switch (figures.circuit_state) {
    case postgres::CircuitState::kClosed:
      out->set_circuit_state(v1::PoolStats::CLOSED);
      break;
    case postgres::CircuitState::kOpen:
      out->set_circuit_state(v1::PoolStats::OPEN);
      break;
    case postgres::CircuitState::kHalfOpen:
      out->set_circuit_state(v1::PoolStats::HALF_OPEN);
      break;
  }
  out->clear_leaks();
  for (const postgres::Leak& leak : figures.leaks) {
    auto* added = out->add_leaks();
    added->set_holder(leak.holder.substr(0, 255));
    added->set_held_ms(absl::ToInt64Milliseconds(leak.held));
    added->set_trace_id(leak.trace_id);
  }
}

void AddPoolReplicas(const std::vector<postgres::ReplicaFigures>& replicas,
                     v1::GetStatsResponse* out) {
  const int streaming_count = out->replicas_size();
  const auto streaming = [&](const std::string& name) -> v1::ReplicaStats* {
    v1::ReplicaStats* found = nullptr;
    for (int i = 0; i < streaming_count; ++i) {
      if (out->replicas(i).name() != name) continue;
      if (found != nullptr) return nullptr;
      found = out->mutable_replicas(i);
    }
    return found;
  };
  std::vector<v1::ReplicaStats*> entries;
  for (const postgres::ReplicaFigures& replica : replicas) {
    const auto named = std::count_if(replicas.begin(), replicas.end(), [&](const auto& other) {
      return other.streams_as == replica.streams_as;
    });
    const bool known = !replica.streams_as.empty() && named == 1;
    entries.push_back(known ? streaming(replica.streams_as) : nullptr);
  }
  for (size_t i = 0; i < replicas.size(); ++i) {
    v1::ReplicaStats* entry = entries[i] != nullptr ? entries[i] : out->add_replicas();
    entry->set_name(replicas[i].name);
    entry->set_lag_bytes(std::max(entry->lag_bytes(), replicas[i].lag_bytes));
    entry->set_lag_ms(std::max(entry->lag_ms(), absl::ToInt64Milliseconds(replicas[i].lag)));
    entry->set_in_use(replicas[i].in_use);
  }
  auto* examined = out->mutable_examined();
  examined->set_replicas_count(examined->replicas_count() + out->replicas_size() - streaming_count);
}

}  // namespace slipstream::database_optimizer
