// The connection of one Client::Subscription: connects, subscribes, listens, and again.
//
// A PING every half command_timeout finds a server that hangs: one that answered nothing until the
// next is given up.
//
// Thread safety: Start once; Stop from any thread. Everything else on its strand.
#ifndef LIBS_REDIS_SUBSCRIPTION_H_
#define LIBS_REDIS_SUBSCRIPTION_H_

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "libs/async/async.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "libs/redis/dial.h"
#include "libs/redis/resp.h"
#include "libs/redis/router.h"
#include "libs/sync/mutex.h"

namespace slipstream::redis {

struct Client::Subscription::Impl : std::enable_shared_from_this<Client::Subscription::Impl> {
  struct Config {
    Executor executor;
    uint64_t seed = 0;  // of the backoff's jitter
    logging::Logger logger;
    Options options;
    DialSettings dial;
    Locate locate;
    std::vector<std::string> channels;
    bool sharded = false;
    std::function<void(std::string_view channel, std::string_view payload)> on_message;
    std::function<void(bool up)> on_link;
  };

  explicit Impl(Config config);
  void Start();
  void Stop();
  bool up() const { return up_; }
  bool supported() const { return supported_; }

 private:
  Async<void> Run(std::shared_ptr<Impl> self);
  Async<absl::Status> Listen(std::shared_ptr<Stream> stream);
  absl::Status OnReply(const Value& reply);
  void Heartbeat(std::shared_ptr<Stream> stream);
  void SetUp(bool up);
  bool stopped() const;
  // Runs the user's callback unless stopped; false then. Stop waits for it.
  template <class Callback>
  bool Call(const Callback& callback);

  const Config config_;
  const boost::asio::strand<Executor> strand_;
  random::SeededRandom random_;
  std::atomic<bool> up_ = false;
  std::atomic<bool> supported_ = true;

  mutable sync::Mutex mutex_;
  sync::CondVar idle_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool calling_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread::id caller_ ABSL_GUARDED_BY(mutex_);

  // On the strand.
  boost::asio::steady_timer backoff_timer_;
  boost::asio::steady_timer heartbeat_timer_;
  std::shared_ptr<Stream> stream_;
  std::string ping_;
  std::optional<Endpoint> moved_to_;  // where the channel is, as the last server said
  size_t subscribed_count_ = 0;
  bool heard_ = false;
  bool pinging_ = false;
};

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_SUBSCRIPTION_H_
