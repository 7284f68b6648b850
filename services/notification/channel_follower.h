// Brings the events of a shared store's channels to a listener: each channel's in order, each event
// once, whatever becomes of the hints.
//
// A hint carries an event and its position. When it is the one behind what the process has seen it
// is handed on, when it was seen before it is dropped, and otherwise something is missing between
// the two and the channel is read from the store. After a lost link, and once in a while, every
// followed channel is read: hints that never came are no gap then.
//
// Thread safety: all methods from any thread; none waits, but for Stop and SetListener, which wait
// for a call of the listener. Work is done on a strand of the executor.
#ifndef SERVICES_NOTIFICATION_CHANNEL_FOLLOWER_H_
#define SERVICES_NOTIFICATION_CHANNEL_FOLLOWER_H_

#include <atomic>
#include <boost/asio/strand.hpp>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "libs/async/scope.h"
#include "libs/clock/clock.h"
#include "libs/sync/mutex.h"
#include "services/notification/history_view.h"
#include "services/notification/redis_event.h"

namespace slipstream::notification {

class ChannelFollower : public std::enable_shared_from_this<ChannelFollower> {
 public:
  static constexpr size_t kMaxBatchCount = 128;
  static constexpr absl::Duration kRetryDelay = absl::Milliseconds(200);

  // A place in a channel that this process has seen everything up to.
  struct Place {
    Channel channel;
    Position after;
  };
  // One view per place, in order.
  using Look = std::function<Async<absl::StatusOr<std::vector<HistoryView>>>(std::vector<Place>)>;

  // Made by make_shared. `clock` and what `look` needs live until Stop.
  ChannelFollower(const Executor& executor, const clock::Clock& clock, Look look);

  void SetListener(HistoryListener* listener);
  void Follow(const Channel& channel);
  void Unfollow(const Channel& channel);

  // The channel was read for a reader, who has everything up to the head.
  void OnRead(const Channel& channel, const HistoryView& view);
  void OnHints(std::string payload);
  // Hints may have been missed.
  void LookAgain();
  // Nothing is called any more after it. While the executor runs, and not on its threads.
  void Stop();

  int64_t followed_count() const { return followed_count_; }

 private:
  struct Feed {
    Channel channel;
    uint64_t id = 0;
    int followers_count = 0;
    bool started = false;
    bool hinted = false;  // before it was started
    // Whoever joins later has read up to here or beyond.
    uint64_t start_offset = 0;
    uint64_t start_progress = 0;
    Position seen;
    uint64_t progress_number = 0;  // of the latest progress handed on
    bool wanted = false;           // is to be read
  };

  template <class Work>
  void Post(Work work);
  void OnHint(const Hint& hint);
  void WantLook(Feed& feed);
  Async<void> LookLoop();
  void Apply(Feed& feed, const Position& after, const HistoryView& view);
  EventPtr ToEvent(const Feed& feed, const Hint& hint) const;
  void Tell(const std::vector<EventPtr>& events);

  const clock::Clock& clock_;
  const Look look_;
  const boost::asio::strand<Executor> strand_;
  std::atomic<int64_t> followed_count_ = 0;

  // On the strand.
  std::unordered_map<std::string, Feed> feeds_;
  std::vector<std::string> wanted_;
  uint64_t next_id_ = 1;
  bool looking_ = false;

  sync::Mutex listener_mutex_;
  HistoryListener* listener_ ABSL_GUARDED_BY(listener_mutex_) = nullptr;
  async::Scope scope_;  // of the strand; its coroutines use the rest
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_CHANNEL_FOLLOWER_H_
