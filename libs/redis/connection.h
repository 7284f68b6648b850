// One connection to one server: the group commit, the order of replies, timeouts, reconnecting.
//
// Callers on any thread put requests into `incoming_` and wake the strand once; whatever has come
// in when a write may begin goes out as one write. Everything else lives on the strand:
//
//   Submit -> incoming_ -> queue_ -> [encoded, written] -> pending_ -> done
//                            ^ retries_ (NOSCRIPT, in front), later_ (TRYAGAIN, after a pause)
//
// With wait_replicas_count a write that has commits ends with a WAIT, and their replies are kept in
// `committed_` until it is answered. Redis takes nothing from this connection meanwhile, so nothing
// is sent: the next write is the larger.
//
// Replies come in the order of `pending_`. One timer watches the oldest deadline: a request that
// was not sent is answered alone; one that was sent and not answered costs the connection, since
// no later reply could be matched.
//
// Thread safety: Submit, up and Start from any thread; Close and Retire too, once;
// RerouteWaiting.
#ifndef LIBS_REDIS_CONNECTION_H_
#define LIBS_REDIS_CONNECTION_H_

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/redis/counters.h"
#include "libs/redis/dial.h"
#include "libs/redis/errors.h"
#include "libs/redis/request.h"
#include "libs/redis/resp.h"
#include "libs/redis/stream.h"
#include "libs/sync/mutex.h"

namespace slipstream::redis {

struct ConnectionConfig {
  Executor executor;  // the strand is made on it
  random::Random* random = nullptr;
  logging::Logger logger;
  std::shared_ptr<Counters> counters;
  Options options;
  DialSettings dial;
  // Where to connect now; asked on the strand before each attempt.
  std::function<Async<absl::StatusOr<Endpoint>>(Executor strand)> locate;
  // A cluster's router; empty for a single server. Called on the strand: takes over a request that
  // belongs to another node (`redirect` null: this node is retired).
  std::function<void(Request request, const Redirect* redirect)> reroute;
  // The cluster's slots may have changed.
  std::function<void()> on_doubt;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(ConnectionConfig config);

  void Start();
  void Submit(Request request);
  bool up() const { return up_.load(std::memory_order_acquire); }

  std::string address() const;  // where it last was connected to; empty before

  // Answers everything UNAVAILABLE, closes, then calls `closed` on the strand.
  void Close(std::function<void()> closed);
  // Takes no more: what was not sent goes to reroute, what was sent may still be answered.
  void Retire();
  // While it is not connected: hands what waits to reroute, which may now know better.
  void RerouteWaiting();

 private:
  using Strand = boost::asio::strand<Executor>;
  // Lives until the handlers of its last read and write have run.
  struct Link {
    std::shared_ptr<Stream> stream;
    Endpoint endpoint;
    ReplyReader reader;
    std::string read_buffer;
    std::string write_buffer;
    TimePoint since;
  };
  using LinkPtr = std::shared_ptr<Link>;

  // connection.cc: the way of a request.
  void Wake();
  void TakeIncoming();
  void Flush();
  bool Encode(std::deque<Request>& from, size_t* commands_count);
  bool Commits(const Request& request) const;
  void OnWritten(const LinkPtr& link, boost::system::error_code error);
  void StartRead(const LinkPtr& link);
  void OnRead(const LinkPtr& link, boost::system::error_code error, size_t bytes_count);
  void OnReply(Value value, TimePoint now);
  bool TakesMore(const Value& value);
  void OnWaited(const Value& value, TimePoint now);
  void AppendWait();
  bool Retry(Request& request, const std::string& error_text);
  void RetryScript(Request request);
  void RetryLater(Request request);
  void Finish(Request request, absl::StatusOr<Value> result);
  void Refuse(Request request, absl::Status status);

  // connection_life.cc: the way of the connection.
  Async<void> ConnectLoop(std::shared_ptr<Connection> self);
  void Connected(std::shared_ptr<Stream> stream, const Endpoint& endpoint);
  void ConnectFailed(const absl::Status& status);
  absl::Duration Backoff();
  void Lose(const std::string& why);
  void EnsureTimer(TimePoint deadline);
  void OnTimer();
  void ExpireUnsent(std::deque<Request>& queue, TimePoint now);
  void FailUnsent(const absl::Status& status);
  void RerouteUnsent();
  void FinishRetirement();

  const ConnectionConfig config_;
  const Strand strand_;
  std::atomic<bool> up_ = false;

  mutable sync::Mutex mutex_;
  std::vector<Request> incoming_ ABSL_GUARDED_BY(mutex_);
  bool wake_posted_ ABSL_GUARDED_BY(mutex_) = false;
  bool refusing_ ABSL_GUARDED_BY(mutex_) = false;  // closed
  std::string address_ ABSL_GUARDED_BY(mutex_);
  // Everything that was taken in and not finished.
  std::atomic<int> held_count_ = 0;
  std::atomic<size_t> held_bytes_count_ = 0;

  // Below: on the strand only.
  std::vector<Request> taken_;  // TakeIncoming's, kept for its capacity
  std::deque<Request> retries_;
  std::deque<Request> queue_;
  std::deque<Request> later_;
  std::deque<Request> pending_;
  struct Committed {
    Request request;
    Value value;
  };
  std::vector<Committed> committed_;       // not empty only while waiting_
  std::set<std::string> loading_scripts_;  // SHA-1s whose SCRIPT LOAD is under way
  LinkPtr link_;
  bool writing_ = false;
  bool waiting_ = false;  // a WAIT is among pending_
  bool connecting_ = false;
  bool draining_ = false;  // sends nothing more on this link: it is no primary
  bool retired_ = false;
  bool closed_ = false;
  bool connected_before_ = false;
  int failures_count_ = 0;  // attempts in a row, and links that did not last
  absl::Status last_error_;

  boost::asio::steady_timer timer_;
  TimePoint timer_at_ = TimePoint::max();
  uint64_t timer_generation_ = 0;
  bool grace_given_ = false;
  boost::asio::steady_timer backoff_timer_;
  boost::asio::steady_timer later_timer_;
};

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_CONNECTION_H_
