#include "services/notification/memory_history_store.h"

#include <algorithm>
#include <utility>

namespace slipstream::notification {

namespace {

// Cannot occur in a channel, a user or a key's owner: those hold no control characters.
constexpr char kSeparator = '\n';
// What a channel costs beside its events.
constexpr int64_t kChannelBytes = 256;

}  // namespace

MemoryHistoryStore::MemoryHistoryStore(MemoryHistoryOptions options, const clock::Clock& clock,
                                       random::Random& random)
    : options_(options), clock_(clock), random_(random) {}

Async<absl::StatusOr<std::vector<Appended>>> MemoryHistoryStore::Append(
    std::vector<AppendRequest> requests) {
  std::vector<Appended> out;
  out.reserve(requests.size());
  sync::MutexLock lock(mutex_);
  for (AppendRequest& request : requests) out.push_back(AppendOne(std::move(request)));
  co_return out;
}

Async<absl::StatusOr<std::vector<ReadResult>>> MemoryHistoryStore::Read(
    std::vector<ReadRequest> requests) {
  std::vector<ReadResult> out;
  out.reserve(requests.size());
  sync::MutexLock lock(mutex_);
  for (const ReadRequest& request : requests) out.push_back(ReadOne(request));
  co_return out;
}

Async<absl::StatusOr<std::vector<int>>> MemoryHistoryStore::Acknowledge(
    std::vector<AcknowledgeRequest> requests) {
  std::vector<int> out;
  out.reserve(requests.size());
  sync::MutexLock lock(mutex_);
  for (const AcknowledgeRequest& request : requests) out.push_back(AcknowledgeOne(request));
  co_return out;
}

Appended MemoryHistoryStore::AppendOne(AppendRequest request) {
  ForgetOldKeys();
  const std::string channel_key = request.event.channel.Key();
  std::string known_key;
  if (!request.idempotency_key.empty()) {
    known_key = channel_key + kSeparator + request.idempotency_key;
    if (auto it = known_.find(known_key); it != known_.end()) {
      return {nullptr, it->second.event_id, it->second.position, /*duplicate=*/true};
    }
  }
  ChannelHistory& channel = Touch(channel_key);
  Event& event = request.event;
  const bool conflated = IsConflated(event.type);
  event.position = conflated ? Position{} : Position{channel.epoch, ++channel.head};
  auto stored = std::make_shared<const Event>(std::move(event));
  if (conflated) {
    if (!stored->task_id.empty()) KeepProgress(channel, stored);
  } else {
    if (EndsTask(stored->type)) DropProgress(channel, stored->task_id);
    channel.kept.push_back({stored, clock_.Monotonic() + options_.history_ttl});
    held_bytes_ += static_cast<int64_t>(stored->HeldBytes());
    ++events_count_;
    while (channel.kept.size() > static_cast<size_t>(options_.history_events_count)) {
      PopOldest(channel);
    }
  }
  if (!known_key.empty()) Remember(std::move(known_key), {stored->id, stored->position});
  KeepWithinBounds(channel);
  return {stored, stored->id, stored->position, /*duplicate=*/false};
}

ReadResult MemoryHistoryStore::ReadOne(const ReadRequest& request) {
  const std::string key = request.channel.Key();
  ChannelHistory& channel = Touch(key);
  ReadResult out;
  out.head = {channel.epoch, channel.head};
  if (!request.after) return out;
  Position after = *request.after;
  if (!request.reader.empty()) {
    auto it = acknowledged_.find(request.reader + kSeparator + key);
    // Acknowledged on another device: it need not come again, and its loss is none.
    if (it != acknowledged_.end() && it->second.epoch == channel.epoch &&
        (after.epoch != channel.epoch || it->second.offset > after.offset)) {
      after = it->second;
    }
  }
  const uint64_t first = channel.head - channel.kept.size() + 1;
  if (after.epoch != channel.epoch) {
    // A reader with a cursor of another epoch has seen nothing of this one.
    out.lost = true;
    after = {channel.epoch, 0};
  } else if (after.offset > channel.head) {
    out.lost = true;
    return out;
  } else if (after.offset + 1 < first) {
    out.lost = true;
  }
  std::vector<const Progress*> progress;
  for (const auto& [task, slot] : channel.progress) {
    if (slot.after_offset >= after.offset) progress.push_back(&slot);
  }
  std::sort(progress.begin(), progress.end(),
            [](const Progress* a, const Progress* b) { return a->order < b->order; });
  size_t next = 0;
  for (const Kept& kept : channel.kept) {
    const uint64_t offset = kept.event->position.offset;
    if (offset <= after.offset) continue;
    while (next < progress.size() && progress[next]->after_offset < offset) {
      out.events.push_back(progress[next++]->event);
    }
    out.events.push_back(kept.event);
  }
  while (next < progress.size()) out.events.push_back(progress[next++]->event);
  return out;
}

int MemoryHistoryStore::AcknowledgeOne(const AcknowledgeRequest& request) {
  const std::string key = request.channel.Key();
  ChannelHistory& channel = Touch(key);
  std::string reader_key = request.reader + kSeparator + key;
  auto it = acknowledged_.find(reader_key);
  Position current = it == acknowledged_.end() ? Position{} : it->second;
  const bool known_here =
      request.up_to.epoch == channel.epoch && request.up_to.offset <= channel.head;
  const bool newer = current.epoch != channel.epoch || request.up_to.offset > current.offset;
  if (known_here && newer) {
    current = request.up_to;
    if (it != acknowledged_.end()) {
      it->second = current;
    } else {
      while (acknowledged_order_.size() >=
             static_cast<size_t>(options_.max_acknowledgements_count)) {
        acknowledged_.erase(acknowledged_order_.front());
        acknowledged_order_.pop_front();
      }
      acknowledged_order_.push_back(reader_key);
      acknowledged_.emplace(std::move(reader_key), current);
    }
  }
  const uint64_t seen = current.epoch == channel.epoch ? current.offset : 0;
  return static_cast<int>(std::min<uint64_t>(channel.head - seen, channel.kept.size()));
}

MemoryHistoryStore::ChannelHistory& MemoryHistoryStore::Touch(const std::string& key) {
  std::unique_ptr<ChannelHistory>& slot = channels_[key];
  if (slot == nullptr) {
    slot = std::make_unique<ChannelHistory>();
    slot->key = key;
    slot->epoch = NewEpoch();
    slot->used = used_.insert(used_.end(), slot.get());
    held_bytes_ += kChannelBytes;
  } else {
    used_.splice(used_.end(), used_, slot->used);
    Expire(*slot);
  }
  slot->touched_at = clock_.Monotonic();
  ChannelHistory& channel = *slot;
  KeepWithinBounds(channel);
  return channel;
}

void MemoryHistoryStore::Expire(ChannelHistory& channel) {
  const absl::Duration now = clock_.Monotonic();
  while (!channel.kept.empty() && channel.kept.front().until <= now) PopOldest(channel);
  for (auto it = channel.progress.begin(); it != channel.progress.end();) {
    const auto current = it++;
    if (current->second.until <= now) DropProgress(channel, std::string(current->first));
  }
}

void MemoryHistoryStore::KeepProgress(ChannelHistory& channel, const EventPtr& event) {
  DropProgress(channel, event->task_id);
  if (channel.progress.size() >= static_cast<size_t>(options_.max_progress_count)) {
    const auto oldest = std::min_element(
        channel.progress.begin(), channel.progress.end(),
        [](const auto& a, const auto& b) { return a.second.order < b.second.order; });
    DropProgress(channel, std::string(oldest->first));
  }
  channel.progress[event->task_id] = {event, channel.head, channel.next_progress_order++,
                                      clock_.Monotonic() + options_.history_ttl};
  held_bytes_ += static_cast<int64_t>(event->HeldBytes());
}

void MemoryHistoryStore::DropProgress(ChannelHistory& channel, const std::string& task_id) {
  auto it = channel.progress.find(task_id);
  if (it == channel.progress.end()) return;
  held_bytes_ -= static_cast<int64_t>(it->second.event->HeldBytes());
  channel.progress.erase(it);
}

void MemoryHistoryStore::PopOldest(ChannelHistory& channel) {
  held_bytes_ -= static_cast<int64_t>(channel.kept.front().event->HeldBytes());
  --events_count_;
  channel.kept.pop_front();
}

void MemoryHistoryStore::Evict(ChannelHistory& channel) {
  while (!channel.kept.empty()) PopOldest(channel);
  while (!channel.progress.empty())
    DropProgress(channel, std::string(channel.progress.begin()->first));
  held_bytes_ -= kChannelBytes;
  ++evicted_count_;
  used_.erase(channel.used);
  channels_.erase(std::string(channel.key));
}

void MemoryHistoryStore::KeepWithinBounds(ChannelHistory& current) {
  while (channels_.size() > static_cast<size_t>(options_.max_channels_count) ||
         held_bytes_ > options_.max_held_bytes) {
    if (used_.front() != &current) {
      Evict(*used_.front());
    } else if (!current.kept.empty()) {
      PopOldest(current);
    } else {
      return;
    }
  }
}

void MemoryHistoryStore::Remember(std::string key, Known known) {
  while (known_until_.size() >= static_cast<size_t>(options_.max_idempotency_keys_count)) {
    known_.erase(known_until_.front().second);
    known_until_.pop_front();
  }
  known_until_.emplace_back(clock_.Monotonic() + kIdempotencyWindow, key);
  known_.emplace(std::move(key), std::move(known));
}

void MemoryHistoryStore::ForgetOldKeys() {
  const absl::Duration now = clock_.Monotonic();
  while (!known_until_.empty() && known_until_.front().first <= now) {
    known_.erase(known_until_.front().second);
    known_until_.pop_front();
  }
}

uint64_t MemoryHistoryStore::NewEpoch() {
  uint64_t epoch;
  do {
    epoch = random_.Next64();
  } while (epoch == 0);
  return epoch;
}

void MemoryHistoryStore::Tick() {
  constexpr int kMaxExpiredPerTickCount = 1000;
  sync::MutexLock lock(mutex_);
  ForgetOldKeys();
  // Channels that nobody used for the history's time hold nothing that could be read.
  const absl::Duration idle_since = clock_.Monotonic() - options_.history_ttl;
  for (int i = 0; i < kMaxExpiredPerTickCount && !used_.empty(); ++i) {
    if (used_.front()->touched_at > idle_since) return;
    Evict(*used_.front());
    --evicted_count_;  // expired, not pushed out
  }
}

HistoryStats MemoryHistoryStore::Stats() const {
  sync::MutexLock lock(mutex_);
  return {static_cast<int64_t>(channels_.size()), events_count_, held_bytes_, evicted_count_};
}

}  // namespace slipstream::notification
