#include "services/notification/redis_history_store.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/async/event.h"
#include "libs/status/status.h"
#include "services/notification/cursor.h"
#include "services/notification/redis_event.h"
#include "services/notification/redis_history_scripts.h"

namespace slipstream::notification {

namespace {

namespace scripts = redis_history_scripts;

// FNV-1a: where a channel lies must be the same in every node and build.
size_t PartitionOf(std::string_view channel_key) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : channel_key) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return static_cast<size_t>((hash ^ hash >> 32) % RedisHistoryStore::kPartitionsCount);
}

absl::Status Unreadable() {
  return status::Error(absl::StatusCode::kInternal, "REDIS_DATA_UNREADABLE",
                       "an answer of Redis is not one of this version's; do nodes of several "
                       "versions share a key prefix?");
}

uint64_t NumberOf(const redis::Value& value) {
  if (value.is_integer()) return static_cast<uint64_t>(value.integer);
  uint64_t out = 0;
  return absl::SimpleAtoi(value.text, &out) ? out : 0;
}

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

}  // namespace

// What the partitions' answers are gathered in; lives until the last of them has come.
struct RedisHistoryStore::Call {
  struct Partition {
    Args args;
    std::vector<size_t> requests;  // by element of the reply
  };
  std::array<Partition, kPartitionsCount> partitions;
  std::vector<redis::Value> results;
  async::Event all;
  sync::Mutex mutex;
  size_t left ABSL_GUARDED_BY(mutex) = 0;
  absl::Status status ABSL_GUARDED_BY(mutex);

  void Put(Partition& partition, absl::StatusOr<redis::Value> reply) {
    {
      sync::MutexLock lock(mutex);
      if (!reply.ok()) {
        status.Update(reply.status());
      } else if (!reply->is_array() || reply->size() != partition.requests.size()) {
        status.Update(Unreadable());
      } else {
        for (size_t i = 0; i < reply->size(); ++i) {
          results[partition.requests[i]] = std::move((*reply)[i]);
        }
      }
      if (--left > 0) return;
    }
    all.Notify();
  }
};

RedisHistoryStore::RedisHistoryStore(std::unique_ptr<redis::Client> client, Deps deps,
                                     RedisHistoryOptions options)
    : deps_(std::move(deps)),
      options_(std::move(options)),
      client_(std::move(client)),
      follower_(std::make_shared<ChannelFollower>(
          client_->executor(), deps_.clock,
          [this](std::vector<ChannelFollower::Place> places) { return Look(std::move(places)); })),
      next_look_ns_(absl::ToInt64Nanoseconds(deps_.clock.Monotonic())) {
  std::vector<std::string> channels;
  for (size_t i = 0; i < kPartitionsCount; ++i) channels.push_back(BaseOf(i) + "hint");
  hints_ = client_->Subscribe(
      std::move(channels),
      [this](std::string_view, std::string_view payload) {
        follower_->OnHints(std::string(payload));
      },
      [this](bool up) { OnLink(up); });
}

RedisHistoryStore::~RedisHistoryStore() {
  hints_.reset();
  follower_->SetListener(nullptr);
  follower_->Stop();
}

void RedisHistoryStore::OnLink(bool up) {
  if (up) {
    follower_->LookAgain();
  } else {
    deps_.logger.Warning("hints of other nodes are missing; channels are read every second");
  }
}

bool RedisHistoryStore::degraded() const { return !client_->connected() || !hints_->up(); }

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
  if (hints_->up() && absl::ToInt64Nanoseconds(now) < next_look_ns_) return;
  next_look_ns_ = absl::ToInt64Nanoseconds(now + options_.look_interval);
  follower_->LookAgain();
}

HistoryStats RedisHistoryStore::Stats() const {
  HistoryStats out;
  out.channels_count = follower_->followed_count();
  return out;
}

std::string RedisHistoryStore::BaseOf(size_t partition) const {
  return absl::StrCat(options_.key_prefix, "{notify:", partition, "}:");
}

RedisHistoryStore::Args RedisHistoryStore::CommonArgs() const {
  uint64_t seed;
  do {
    seed = deps_.random.Next64();
  } while (seed == 0);
  return {FormatEpoch(seed), absl::StrCat(absl::ToUnixMillis(deps_.clock.Now())),
          absl::StrCat(absl::ToInt64Milliseconds(options_.history_ttl))};
}

template <class KeyOf, class Put>
Async<absl::StatusOr<std::vector<redis::Value>>> RedisHistoryStore::Run(
    const redis::Script& script, Args head, size_t count, KeyOf key_of, Put put) {
  auto call = std::make_shared<Call>();
  call->results.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const std::string key = key_of(i);
    Call::Partition& partition = call->partitions[PartitionOf(key)];
    if (partition.requests.empty()) partition.args = head;
    partition.requests.push_back(i);
    put(i, key, partition.args);
  }
  {
    sync::MutexLock lock(call->mutex);
    for (const Call::Partition& partition : call->partitions) {
      if (!partition.requests.empty()) ++call->left;
    }
    if (call->left == 0) co_return std::vector<redis::Value>();
  }
  for (size_t p = 0; p < kPartitionsCount; ++p) {
    Call::Partition& partition = call->partitions[p];
    if (partition.requests.empty()) continue;
    client_->Eval(script, {BaseOf(p)}, std::move(partition.args),
                  [call, &partition](absl::StatusOr<redis::Value> reply) {
                    call->Put(partition, std::move(reply));
                  });
  }
  // The version is 0 until the last answer has come; each comes within the client's timeout.
  co_await call->all.Wait(0);
  sync::MutexLock lock(call->mutex);
  if (!call->status.ok()) co_return call->status;
  co_return std::move(call->results);
}

Async<absl::StatusOr<std::vector<Appended>>> RedisHistoryStore::Append(
    std::vector<AppendRequest> requests) {
  Args head = CommonArgs();
  head.push_back(absl::StrCat(options_.history_events_count));
  head.push_back(absl::StrCat(absl::ToInt64Milliseconds(kIdempotencyWindow)));
  head.push_back("PUBLISH");
  auto replies = co_await Run(
      scripts::Append(), std::move(head), requests.size(),
      [&](size_t i) { return requests[i].event.channel.Key(); },
      [&](size_t i, const std::string& key, Args& args) {
        const Event& event = requests[i].event;
        for (std::string& arg :
             Args{key, std::string(KindOf(event.type)), requests[i].idempotency_key, event.id,
                  event.task_id, EncodeEvent(event)}) {
          args.push_back(std::move(arg));
        }
      });
  if (!replies.ok()) co_return replies.status();
  std::vector<Appended> out(requests.size());
  for (size_t i = 0; i < out.size(); ++i) {
    const redis::Value& reply = (*replies)[i];
    if (!reply.is_array() || reply.size() != 4) co_return Unreadable();
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
  auto replies = co_await Run(
      scripts::Read(), CommonArgs(), requests.size(),
      [&](size_t i) { return requests[i].channel.Key(); },
      [&](size_t i, const std::string& key, Args& args) {
        const Position after = requests[i].after.value_or(Position{});
        for (std::string& arg : Args{key, requests[i].reader, FormatEpoch(after.epoch),
                                     absl::StrCat(after.offset), own ? "1" : "0"}) {
          args.push_back(std::move(arg));
        }
      });
  if (!replies.ok()) co_return replies.status();
  std::vector<HistoryView> out;
  const absl::Duration monotonic = deps_.clock.Monotonic();
  const absl::Time now = deps_.clock.Now();
  for (size_t i = 0; i < requests.size(); ++i) {
    const redis::Value& reply = (*replies)[i];
    if (!reply.is_array() || reply.size() != 7) co_return Unreadable();
    HistoryView view;
    view.result.head = {ParseEpoch(reply[0].text), NumberOf(reply[1])};
    view.result.lost = NumberOf(reply[2]) == 1;
    view.result.earlier = ParseEarlier(reply[3].text);
    view.last_progress_number = NumberOf(reply[4]);
    const auto take = [&](const std::string& bytes, uint64_t offset, uint64_t progress_number) {
      std::optional<Event> event = DecodeEvent(bytes);
      if (!event) {
        view.result.lost = true;
        return;
      }
      event->channel = requests[i].channel;
      if (progress_number == 0) event->position = {view.result.head.epoch, offset};
      event->published_at = monotonic - std::max(absl::ZeroDuration(), now - event->created_at);
      view.result.events.push_back(std::make_shared<const Event>(*std::move(event)));
      view.progress_numbers.push_back(progress_number);
    };
    struct Slot {
      uint64_t after_offset, number;
      const std::string* bytes;
    };
    std::vector<Slot> progress;
    for (size_t k = 0; k + 2 < reply[6].size(); k += 3) {
      progress.push_back(
          {NumberOf(reply[6][k]), NumberOf(reply[6][k + 1]), &reply[6][k + 2].text});
    }
    std::sort(progress.begin(), progress.end(),
              [](const Slot& a, const Slot& b) { return a.number < b.number; });
    size_t next = 0;
    for (size_t k = 0; k + 1 < reply[5].size(); k += 2) {
      const uint64_t offset = NumberOf(reply[5][k]);
      for (; next < progress.size() && progress[next].after_offset < offset; ++next) {
        take(*progress[next].bytes, 0, progress[next].number);
      }
      take(reply[5][k + 1].text, offset, 0);
    }
    for (; next < progress.size(); ++next) take(*progress[next].bytes, 0, progress[next].number);
    out.push_back(std::move(view));
  }
  co_return out;
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
  auto replies = co_await Run(
      scripts::Acknowledge(), CommonArgs(), requests.size(),
      [&](size_t i) { return requests[i].channel.Key(); },
      [&](size_t i, const std::string& key, Args& args) {
        const Position& up_to = requests[i].up_to;
        for (std::string& arg : Args{key, requests[i].reader, FormatEpoch(up_to.epoch),
                                     absl::StrCat(up_to.offset)}) {
          args.push_back(std::move(arg));
        }
      });
  if (!replies.ok()) co_return replies.status();
  std::vector<int> out;
  for (const redis::Value& reply : *replies) out.push_back(static_cast<int>(NumberOf(reply)));
  co_return out;
}

}  // namespace slipstream::notification
