// Asks one server again and again, on a connection of its own, what it is and how far its log goes.
//
// Thread safety: the loop's thread only; Start before the loop does, Stop after Close.
#ifndef LIBS_POSTGRES_SERVER_WATCH_H_
#define LIBS_POSTGRES_SERVER_WATCH_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/postgres/connector.h"
#include "libs/postgres/event_loop.h"
#include "libs/postgres/link.h"
#include "libs/postgres/pool.h"

namespace slipstream::postgres {

struct ServerState {
  bool in_recovery = false;
  bool read_only = false;  // default_transaction_read_only, or in recovery
  WalPosition position;    // written, or replayed when in recovery
  // Of a replica: its application_name in its primary's pg_stat_replication. Empty: not known.
  std::string streams_as;
  EventLoop::TimePoint asked_at{};
};

class ServerWatch {
 public:
  using TimePoint = EventLoop::TimePoint;
  // At each answer; and when none came in time or the connection is gone.
  using OnState = std::function<void(const absl::StatusOr<ServerState>&)>;

  // A server that says nothing for so long is silent.
  static constexpr std::chrono::milliseconds kMaxSilence{500};

  ServerWatch(EventLoop& loop, const PoolOptions& options, ConnInfo info, OnState on_state);
  ~ServerWatch();

  void Start() { connector_.Start(); }
  void Stop() { connector_.Stop(); }

  void Tick(TimePoint now);
  // Its connection is closed and another host's is looked for.
  void Leave();
  // For good.
  void Close();

 private:
  class Question;

  void Connect();
  void Ask(TimePoint now);
  void OnAnswer(absl::StatusOr<Result> result, TimePoint asked_at);
  void Drop();

  EventLoop& loop_;
  const PoolOptions& options_;
  Connector connector_;
  const OnState on_state_;
  std::unique_ptr<Link> link_;
  bool connecting_ = false;
  bool closed_ = false;
  TimePoint next_{};
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_SERVER_WATCH_H_
