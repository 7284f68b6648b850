// Opens connections on threads of its own: name look-up, TLS and sign-in block or cost time that
// the event loop does not have.
//
// Thread safety: Connect from any thread. Stop from the owner; requests not yet begun then end
// without an answer, and one under way within kStopPoll or a name look-up.
// Errors: UNAVAILABLE POSTGRES_UNREACHABLE or POSTGRES_OUT_OF_CONNECTIONS, of the last host tried;
// FAILED_PRECONDITION POSTGRES_TOO_OLD.
#ifndef LIBS_POSTGRES_CONNECTOR_H_
#define LIBS_POSTGRES_CONNECTOR_H_

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/postgres/conn_info.h"
#include "libs/sync/mutex.h"

struct pg_conn;

namespace slipstream::postgres {

class Connector {
 public:
  // On a connector's thread; the connection is non-blocking and the callback's to keep.
  using Done = std::function<void(absl::StatusOr<pg_conn*>)>;

  // `timeout` is for each host.
  Connector(ConnInfo info, absl::Duration timeout, int threads_count);
  ~Connector() { Stop(); }
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  const ConnInfo& info() const { return info_; }

  void Start();
  void Stop();
  void Connect(Done done);
  // The host that would be tried first is tried last from now on.
  void StartWithNextHost() { first_.fetch_add(1); }

  static constexpr std::chrono::milliseconds kStopPoll{100};

 private:
  void Work();
  absl::StatusOr<pg_conn*> Open() const;
  absl::StatusOr<pg_conn*> OpenHost(const Settings& host) const;
  // Ends when the server has signed us in, or refused, or the time is over.
  absl::Status Establish(pg_conn* connection) const;
  absl::Status Qualifies(const pg_conn* connection, const Settings& host) const;

  const ConnInfo info_;
  const absl::Duration timeout_;
  const int threads_count_;
  std::atomic<bool> stopping_{false};
  std::atomic<size_t> first_{0};  // modulo the number of hosts
  sync::Mutex mutex_;
  sync::CondVar changed_;
  std::deque<Done> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_CONNECTOR_H_
