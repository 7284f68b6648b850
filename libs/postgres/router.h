// Which server answers: the primary's pool, the replicas' pools, and what is known of each.
//
// A replica that is away, silent for ServerWatch::kMaxSilence or too far behind is left, and taken
// again when it has answered well. What ran or waited there is refused with UNAVAILABLE, which a
// read survives by going to the primary. While the primary itself is away a replica stays that has
// all that the primary was last seen to have.
//
// Thread safety: the loop's thread only, but for Start, Stop and figures.
#ifndef LIBS_POSTGRES_ROUTER_H_
#define LIBS_POSTGRES_ROUTER_H_

#include <memory>
#include <string>
#include <vector>

#include "libs/postgres/event_loop.h"
#include "libs/postgres/pool.h"
#include "libs/postgres/replica_lag.h"
#include "libs/postgres/server_pool.h"
#include "libs/postgres/server_watch.h"
#include "libs/sync/mutex.h"

namespace slipstream::postgres {

class Router {
 public:
  using TimePoint = EventLoop::TimePoint;

  // `loop` and `options` outlive it. REQUIRES: the URLs can be read.
  Router(EventLoop& loop, const PoolOptions& options);
  ~Router();

  void Start();
  void Stop();
  void Tick(TimePoint now);
  void Close(const absl::Status& status);

  ServerPool& primary() { return primary_; }
  // The replica with the least to do of those that may answer, or the primary.
  ServerPool& Choose(const Route& route);

  // primary's, with what the replicas add to it.
  PoolFigures figures() const;

 private:
  struct Replica {
    Replica(EventLoop& loop, const PoolOptions& options, const ConnInfo& info,
            ServerWatch::OnState on_state)
        : pool(loop, options, info), watch(loop, options, info, std::move(on_state)) {}
    ServerPool pool;
    ServerWatch watch;
    bool in_use = false;
    WalPosition position;
  };

  void OnPrimary(const absl::StatusOr<ServerState>& state);
  void OnReplica(size_t index, const absl::StatusOr<ServerState>& state);
  void NoteLag(size_t index, const ReplicaLag::Lag& lag);
  void LeaveReplica(size_t index, const std::string& why, bool cut);

  const EventLoop& loop_;
  const PoolOptions& options_;
  const PoolOptions replica_options_;
  ServerPool primary_;
  std::unique_ptr<ServerWatch> primary_watch_;  // null: there is nothing to choose
  std::vector<std::unique_ptr<Replica>> replicas_;
  ReplicaLag lag_;
  bool primary_silent_ = false;

  mutable sync::Mutex mutex_;
  std::vector<ReplicaFigures> figures_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_ROUTER_H_
