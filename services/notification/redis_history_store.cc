#include "services/notification/redis_history_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/notification/cursor.h"
#include "services/notification/redis_event.h"
#include "services/notification/redis_history_scripts.h"

namespace slipstream::notification {

namespace {

namespace scripts = redis_history_scripts;

std::string_view KindOf(EventType type) {
  if (IsConflated(type)) return "p";
  return EndsTask(type) ? "e" : "n";
}

// "epoch:offset,..." as in the script's `a`.
std::vector<Position> ParseEarlier(std::string_view text) {
  std::vector<Position> out;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    if (const auto position = ParsePosition(one)) out.push_back(*position);
  }
  return out;
}

// The latest progress of a task, and the offset of the event that it followed.
struct Slot {
  uint64_t after_offset, number;
  const std::string* bytes;
};
// In the order of publishing.
std::vector<Slot> SlotsOf(const redis::Value& list) {
  std::vector<Slot> out;
  for (size_t k = 0; k + 2 < list.size(); k += 3) {
    out.push_back({NumberOf(list[k]), NumberOf(list[k + 1]), &list[k + 2].text});
  }
  std::sort(out.begin(), out.end(),
            [](const Slot& a, const Slot& b) { return a.number < b.number; });
  return out;
}

}  // namespace

RedisHistoryStore::RedisHistoryStore(std::shared_ptr<redis::Client> client, Deps deps,
                                     RedisHistoryOptions options)
    : deps_(std::move(deps)),
      options_(std::move(options)),
      client_(std::move(client)),
      partitions_(*client_, options_.key_prefix),
      follower_(std::make_shared<ChannelFollower>(
          client_->executor(), deps_.clock,
          [this](std::vector<ChannelFollower::Place> places) { return Look(std::move(places)); })),
      next_look_ns_(absl::ToInt64Nanoseconds(deps_.clock.Monotonic())) {
  std::vector<std::string> channels;
  for (size_t i = 0; i < RedisPartitions::kCount; ++i) {
    channels.push_back(partitions_.BaseOf(i) + "hint");
  }
  const auto on_hint = [this](std::string_view, std::string_view payload) {
    follower_->OnHints(std::string(payload));
  };
  const auto on_link = [this](bool up) { OnLink(up); };
  sync::MutexLock lock(hints_mutex_);
  // A server before Redis 7 sends plain ones in a cluster too.
  if (client_->is_cluster()) {
    sharded_hints_ = client_->SubscribeSharded(channels, on_hint, on_link);
  }
  hints_ = client_->Subscribe(std::move(channels), on_hint, on_link);
}

void RedisHistoryStore::Stop() {
  std::unique_ptr<redis::Client::Subscription> hints, sharded_hints;
  {
    sync::MutexLock lock(hints_mutex_);
    hints = std::move(hints_);
    sharded_hints = std::move(sharded_hints_);
  }
  hints.reset();
  sharded_hints.reset();
  follower_->Stop();
  client_->Close();
}

void RedisHistoryStore::OnLink(bool up) {
  if (up) {
    follower_->LookAgain();
  } else {
    deps_.logger.Warning("hints of other nodes are missing; channels are read every second");
  }
}

bool RedisHistoryStore::hints_up() const {
  sync::MutexLock lock(hints_mutex_);
  if (hints_ == nullptr) return false;
  const bool sharded = sharded_hints_ != nullptr && sharded_hints_->supported();
  return hints_->up() && (!sharded || sharded_hints_->up());
}

bool RedisHistoryStore::degraded() const { return !client_->connected() || !hints_up(); }

void RedisHistoryStore::Tick() {
  const bool away = degraded();
  if (away != warned_.exchange(away)) {
    if (away) {
      deps_.logger.Warning("notifications are degraded: Redis does not answer");
    } else {
      deps_.logger.Info("notifications are no longer degraded");
    }
  }
  const absl::Duration now = deps_.clock.Monotonic();
  if (hints_up() && absl::ToInt64Nanoseconds(now) < next_look_ns_) return;
  next_look_ns_ = absl::ToInt64Nanoseconds(now + options_.look_interval);
  follower_->LookAgain();
}

HistoryStats RedisHistoryStore::Stats() const {
  HistoryStats out;
  out.channels_count = follower_->followed_count();
  return out;
}

RedisHistoryStore::Args RedisHistoryStore::CommonArgs() const {
  uint64_t seed;
  do {
    seed = deps_.random.Next64();
  } while (seed == 0);
  return {FormatEpoch(seed), absl::StrCat(absl::ToUnixMillis(deps_.clock.Now())),
          absl::StrCat(absl::ToInt64Milliseconds(options_.history_ttl))};
}

Async<absl::StatusOr<std::vector<Appended>>> RedisHistoryStore::Append(
    std::vector<AppendRequest> requests) {
  Args head = CommonArgs();
  head.push_back(absl::StrCat(options_.history_events_count));
  head.push_back(absl::StrCat(absl::ToInt64Milliseconds(kIdempotencyWindow)));
  std::vector<RedisPartitions::Request> calls;
  for (const AppendRequest& request : requests) {
    const Event& event = request.event;
    const std::string key = event.channel.Key();
    calls.push_back({key,
                     {key, std::string(KindOf(event.type)), request.idempotency_key, event.id,
                      event.task_id, EncodeEvent(event)}});
  }
  auto replies = co_await partitions_.Eval(scripts::Append(), std::move(head), std::move(calls));
  if (!replies.ok()) co_return replies.status();
  std::vector<Appended> out(requests.size());
  for (size_t i = 0; i < out.size(); ++i) {
    const redis::Value& reply = (*replies)[i];
    if (!reply.is_array() || reply.size() != 4) co_return RedisDataUnreadable();
    out[i].duplicate = NumberOf(reply[0]) == 1;
    out[i].event_id = reply[1].text;
    out[i].position = {ParseEpoch(reply[2].text), NumberOf(reply[3])};
    if (out[i].duplicate) continue;
    Event& event = requests[i].event;
    event.position = out[i].position;
    out[i].event = std::make_shared<const Event>(std::move(event));
  }
  co_return out;
}

Async<absl::StatusOr<std::vector<HistoryView>>> RedisHistoryStore::ReadViews(
    std::vector<ReadRequest> requests, bool own) {
  std::vector<RedisPartitions::Request> calls;
  for (const ReadRequest& request : requests) {
    const std::string key = request.channel.Key();
    const Position after = request.after.value_or(Position{});
    calls.push_back({key,
                     {key, request.reader, FormatEpoch(after.epoch), absl::StrCat(after.offset),
                      own ? "1" : "0"}});
  }
  auto replies = co_await partitions_.Eval(scripts::Read(), CommonArgs(), std::move(calls));
  if (!replies.ok()) co_return replies.status();
  std::vector<HistoryView> out;
  for (size_t i = 0; i < requests.size(); ++i) {
    const redis::Value& reply = (*replies)[i];
    if (!reply.is_array() || reply.size() != 7) co_return RedisDataUnreadable();
    out.push_back(ViewOf(reply, requests[i].channel));
  }
  co_return out;
}

HistoryView RedisHistoryStore::ViewOf(const redis::Value& reply, const Channel& channel) const {
  HistoryView view;
  view.result.head = {ParseEpoch(reply[0].text), NumberOf(reply[1])};
  view.result.lost = NumberOf(reply[2]) == 1;
  view.result.earlier = ParseEarlier(reply[3].text);
  view.last_progress_number = NumberOf(reply[4]);
  const absl::Duration monotonic = deps_.clock.Monotonic();
  const absl::Time now = deps_.clock.Now();
  const auto take = [&](const std::string& bytes, uint64_t offset, uint64_t progress_number) {
    std::optional<Event> event = DecodeEvent(bytes);
    if (!event) {
      view.result.lost = true;
      return;
    }
    event->channel = channel;
    if (progress_number == 0) event->position = {view.result.head.epoch, offset};
    event->published_at = monotonic - std::max(absl::ZeroDuration(), now - event->created_at);
    view.result.events.push_back(std::make_shared<const Event>(*std::move(event)));
    view.progress_numbers.push_back(progress_number);
  };
  const std::vector<Slot> progress = SlotsOf(reply[6]);
  size_t next = 0;
  const redis::Value& events = reply[5];
  for (size_t k = 0; k + 1 < events.size(); k += 2) {
    const uint64_t offset = NumberOf(events[k]);
    for (; next < progress.size() && progress[next].after_offset < offset; ++next) {
      take(*progress[next].bytes, 0, progress[next].number);
    }
    take(events[k + 1].text, offset, 0);
  }
  for (; next < progress.size(); ++next) take(*progress[next].bytes, 0, progress[next].number);
  return view;
}

Async<absl::StatusOr<std::vector<ReadResult>>> RedisHistoryStore::Read(
    std::vector<ReadRequest> requests) {
  std::vector<Channel> channels;
  for (const ReadRequest& request : requests) channels.push_back(request.channel);
  auto views = co_await ReadViews(std::move(requests), /*own=*/false);
  if (!views.ok()) co_return views.status();
  std::vector<ReadResult> out;
  for (size_t i = 0; i < views->size(); ++i) {
    follower_->OnRead(channels[i], (*views)[i]);
    out.push_back(std::move((*views)[i].result));
  }
  co_return out;
}

Async<absl::StatusOr<std::vector<HistoryView>>> RedisHistoryStore::Look(
    std::vector<ChannelFollower::Place> places) {
  std::vector<ReadRequest> requests;
  for (ChannelFollower::Place& place : places) {
    requests.push_back({std::move(place.channel), "", place.after});
  }
  return ReadViews(std::move(requests), /*own=*/true);
}

Async<absl::StatusOr<std::vector<int>>> RedisHistoryStore::Acknowledge(
    std::vector<AcknowledgeRequest> requests) {
  std::vector<RedisPartitions::Request> calls;
  for (const AcknowledgeRequest& request : requests) {
    const std::string key = request.channel.Key();
    calls.push_back({key,
                     {key, request.reader, FormatEpoch(request.up_to.epoch),
                      absl::StrCat(request.up_to.offset)}});
  }
  auto replies = co_await partitions_.Eval(scripts::Acknowledge(), CommonArgs(), std::move(calls));
  if (!replies.ok()) co_return replies.status();
  std::vector<int> out;
  for (const redis::Value& reply : *replies) out.push_back(static_cast<int>(NumberOf(reply)));
  co_return out;
}

}  // namespace slipstream::notification
