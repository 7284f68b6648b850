#include "services/notification/channel_follower.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <future>
#include <utility>

namespace slipstream::notification {

namespace {

constexpr absl::Duration kMaxRetryDelay = absl::Seconds(1);

}  // namespace

ChannelFollower::ChannelFollower(const Executor& executor, const clock::Clock& clock, Look look)
    : clock_(clock),
      look_(std::move(look)),
      strand_(boost::asio::make_strand(executor)),
      scope_(strand_) {}

template <class Work>
void ChannelFollower::Post(Work work) {
  boost::asio::post(strand_, [self = shared_from_this(), work = std::move(work)]() mutable {
    if (!self->scope_.stop_requested()) work();
  });
}

void ChannelFollower::Stop() {
  if (scope_.stop_requested()) return;
  scope_.Close();
  // Behind what is on the strand already.
  std::promise<void> done;
  boost::asio::post(strand_, [&done] { done.set_value(); });
  done.get_future().wait();
}

void ChannelFollower::SetListener(HistoryListener* listener) {
  sync::MutexLock lock(listener_mutex_);
  listener_ = listener;
}

void ChannelFollower::Follow(const Channel& channel) {
  Post([this, channel] {
    Feed& feed = feeds_[channel.Key()];
    if (feed.followers_count++ > 0) return;
    feed.channel = channel;
    feed.id = next_id_++;
    ++followed_count_;
  });
}

void ChannelFollower::Unfollow(const Channel& channel) {
  Post([this, channel] {
    auto it = feeds_.find(channel.Key());
    if (it == feeds_.end() || --it->second.followers_count > 0) return;
    feeds_.erase(it);
    --followed_count_;
  });
}

void ChannelFollower::OnRead(const Channel& channel, const HistoryView& view) {
  Post([this, key = channel.Key(), head = view.result.head, progress = view.last_progress_number] {
    auto it = feeds_.find(key);
    if (it == feeds_.end()) return;
    Feed& feed = it->second;
    if (!feed.started) {
      feed.started = true;
      feed.seen = head;
      feed.start_offset = head.offset;
      feed.progress_number = feed.start_progress = progress;
      if (feed.hinted) WantLook(feed);
    } else if (head.epoch != feed.seen.epoch) {
      WantLook(feed);
    } else if (head.offset < feed.start_offset || progress < feed.start_progress) {
      // Its reader came before the feed's first, and the answers the other way round: it misses
      // what lies between. The others know these.
      feed.seen.offset = feed.start_offset = std::min(head.offset, feed.start_offset);
      feed.progress_number = feed.start_progress = std::min(progress, feed.start_progress);
      WantLook(feed);
    }
  });
}

void ChannelFollower::OnHints(std::string payload) {
  Post([this, payload = std::move(payload)] {
    for (const Hint& hint : DecodeHints(payload)) OnHint(hint);
  });
}

void ChannelFollower::OnHint(const Hint& hint) {
  auto it = feeds_.find(std::string(hint.channel_key));
  if (it == feeds_.end()) return;
  Feed& feed = it->second;
  if (!feed.started) {
    feed.hinted = true;
    return;
  }
  if (hint.position.epoch != feed.seen.epoch) return WantLook(feed);
  if (hint.progress_number > 0) {
    // What was read after it came with the read, or its task has ended.
    if (hint.position.offset < feed.seen.offset) return;
    if (hint.progress_number <= feed.progress_number) return;
    if (hint.position.offset > feed.seen.offset) return WantLook(feed);
  } else {
    if (hint.position.offset <= feed.seen.offset) return;
    if (hint.position.offset > feed.seen.offset + 1) return WantLook(feed);
  }
  EventPtr event = ToEvent(feed, hint);
  if (event == nullptr) return WantLook(feed);
  if (hint.progress_number > 0) {
    feed.progress_number = hint.progress_number;
  } else {
    feed.seen = hint.position;
  }
  Tell({std::move(event)});
}

EventPtr ChannelFollower::ToEvent(const Feed& feed, const Hint& hint) const {
  std::optional<Event> event = DecodeEvent(hint.event);
  if (!event) return nullptr;
  event->channel = feed.channel;
  if (hint.progress_number == 0) event->position = hint.position;
  event->published_at =
      clock_.Monotonic() - std::max(absl::ZeroDuration(), clock_.Now() - event->created_at);
  return std::make_shared<const Event>(*std::move(event));
}

void ChannelFollower::LookAgain() {
  Post([this] {
    for (auto& [key, feed] : feeds_) WantLook(feed);
  });
}

void ChannelFollower::WantLook(Feed& feed) {
  if (!feed.started || std::exchange(feed.wanted, true)) return;
  wanted_.push_back(feed.channel.Key());
  if (std::exchange(looking_, true)) return;
  scope_.Spawn([this] { return LookLoop(); });
}

Async<void> ChannelFollower::LookLoop() {
  absl::Duration retry_delay = kRetryDelay;
  while (!wanted_.empty() && !scope_.stop_requested()) {
    std::vector<Place> places;
    std::vector<std::pair<std::string, uint64_t>> asked;  // key and feed
    while (!wanted_.empty() && places.size() < kMaxBatchCount) {
      const std::string key = std::move(wanted_.back());
      wanted_.pop_back();
      auto it = feeds_.find(key);
      if (it == feeds_.end() || !it->second.wanted) continue;
      it->second.wanted = false;
      places.push_back({it->second.channel, it->second.seen});
      asked.emplace_back(key, it->second.id);
    }
    if (places.empty()) continue;
    const std::vector<Place> kept = places;
    absl::StatusOr<std::vector<HistoryView>> views = co_await look_(std::move(places));
    for (size_t i = 0; i < asked.size(); ++i) {
      auto it = feeds_.find(asked[i].first);
      if (it == feeds_.end() || it->second.id != asked[i].second) continue;
      if (views.ok()) {
        Apply(it->second, kept[i].after, (*views)[i]);
      } else {
        WantLook(it->second);
      }
    }
    if (views.ok()) {
      retry_delay = kRetryDelay;
    } else {
      (void)co_await scope_.SleepFor(retry_delay);
      retry_delay = std::min(kMaxRetryDelay, 2 * retry_delay);
    }
  }
  looking_ = false;
}

void ChannelFollower::Apply(Feed& feed, const Position& after, const HistoryView& view) {
  const ReadResult& read = view.result;
  if (read.head.epoch != feed.seen.epoch) {
    // What came by hints meanwhile was of an epoch that has ended: is it in the new one?
    if (feed.seen != after) return WantLook(feed);
    feed.progress_number = 0;
  }
  const uint64_t seen_offset = feed.seen.offset;
  bool lost = read.lost;
  if (lost && read.head.epoch == feed.seen.epoch) {
    // Hints may have closed the gap meanwhile.
    for (const EventPtr& event : read.events) {
      if (!event->position.is_set()) continue;
      lost = event->position.offset > seen_offset + 1;
      break;
    }
  }
  if (lost) {
    feed.seen = read.head;
    feed.start_offset = std::min(feed.start_offset, read.head.offset);
    feed.progress_number = view.last_progress_number;
    feed.start_progress = std::min(feed.start_progress, view.last_progress_number);
    sync::MutexLock lock(listener_mutex_);
    if (listener_ != nullptr) listener_->OnLost(feed.channel, read);
    return;
  }
  std::vector<EventPtr> events;
  for (size_t i = 0; i < read.events.size(); ++i) {
    const EventPtr& event = read.events[i];
    const bool known = event->position.is_set() ? event->position.offset <= seen_offset
                                                : view.progress_numbers[i] <= feed.progress_number;
    if (!known) events.push_back(event);
  }
  if (read.head.epoch != feed.seen.epoch) {
    sync::MutexLock lock(listener_mutex_);
    if (listener_ != nullptr) listener_->OnContinued(feed.channel, read);
  }
  if (read.head.epoch != feed.seen.epoch || read.head.offset > seen_offset) feed.seen = read.head;
  feed.progress_number = std::max(feed.progress_number, view.last_progress_number);
  Tell(events);
}

void ChannelFollower::Tell(const std::vector<EventPtr>& events) {
  if (events.empty()) return;
  // Held, so that a listener that was taken away is not called any more.
  sync::MutexLock lock(listener_mutex_);
  if (listener_ != nullptr) listener_->OnEvents(events);
}

}  // namespace slipstream::notification
