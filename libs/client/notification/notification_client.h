// A user's events, for as long as it takes: connects, resumes with the cursor, takes a new token
// before the old one expires, and tries again with backoff and jitter.
//
//   NotificationClient client({channel, token, clock, random}, {});
//   scope.Spawn([&]() -> Async<void> { ended = co_await client.Run(handler); });
//   ... client.Stop();
//
// What the handler sees: OnStart, then each event once and in the order of its channel. After a
// lost connection it goes on where it stopped, and OnStart tells only of a first connection and of
// a resume that did not find everything (recovered = false: read the current state anew).
// task_progress may come once more after a resume, with the same event_id.
//
// Thread safety: all methods from any thread; one Run at a time. The handler is called by one
// thread at a time. The client outlives Run.
#ifndef LIBS_CLIENT_NOTIFICATION_NOTIFICATION_CLIENT_H_
#define LIBS_CLIENT_NOTIFICATION_NOTIFICATION_CLIENT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/async/event.h"
#include "libs/client/notification/notification_event.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "libs/sync/mutex.h"

namespace grpc {
class Channel;
}

namespace slipstream::notification_client {

struct Token {
  std::string text;
  absl::Time expires_at = absl::InfiniteFuture();
};
// Asked before every connection. An error counts as a failed attempt.
using TokenProvider = std::function<Async<absl::StatusOr<Token>>()>;

class Handler {
 public:
  virtual ~Handler() = default;
  virtual void OnStart(bool recovered) = 0;
  virtual void OnEvent(const Event& event) = 0;
};

struct Options {
  std::string cursor;              // where to begin; empty: with what comes from now on
  std::vector<std::string> types;  // only these, at most 8; empty: all
  // Between failed attempts, doubled each time; the wait is half to all of it.
  absl::Duration backoff_min = absl::Milliseconds(200);
  absl::Duration backoff_max = absl::Seconds(15);
  // So long before its token expires a connection makes place for one with a new token.
  absl::Duration refresh_before = absl::Seconds(60);
  // Refusals of the token in a row before Run gives up.
  int max_unauthenticated_count = 3;
};

class NotificationClient {
 public:
  struct Deps {
    std::shared_ptr<grpc::Channel> channel;
    TokenProvider token;
    const clock::Clock& clock;  // these two outlive the client
    random::Random& random;
  };

  NotificationClient(Deps deps, Options options);
  ~NotificationClient();

  // Until Stop (OK) or an error that trying again does not help: UNAUTHENTICATED after
  // max_unauthenticated_count, PERMISSION_DENIED, INVALID_ARGUMENT (a cursor or type that is none).
  Async<absl::Status> Run(Handler& handler);
  void Stop();

  // Behind the last event that the handler has had; for the next process.
  std::string cursor() const;
  // Connections that got as far as their first message.
  int64_t connections_count() const;

 private:
  struct Call;
  struct Ended {
    absl::Status status;
    // How long the server asks to wait; nullopt: it did not say.
    std::optional<absl::Duration> wait;
    bool started = false;  // got as far as the first message
    bool refresh = false;  // this side ended it for a new token
  };

  Async<Ended> Connect(Handler& handler);
  Async<void> Read(std::shared_ptr<Call> call, Handler& handler, Ended* out);
  Async<bool> Sleep(absl::Duration duration);
  absl::Duration Backoff(int failures_count);
  bool stopped() const;

  const Deps deps_;
  const Options options_;
  async::Event stop_event_;
  mutable sync::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool told_start_ ABSL_GUARDED_BY(mutex_) = false;
  std::string cursor_ ABSL_GUARDED_BY(mutex_);
  int64_t connections_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<Call> call_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::notification_client

#endif  // LIBS_CLIENT_NOTIFICATION_NOTIFICATION_CLIENT_H_
