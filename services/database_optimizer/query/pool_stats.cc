#include "services/database_optimizer/query/pool_stats.h"

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

}  // namespace slipstream::database_optimizer
