#include "services/notification/subscriber_registry.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "libs/status/status.h"

namespace slipstream::notification {

namespace {

// Receivers of one message, as the API states.
constexpr size_t kMaxReceiversCount = 65'536;

absl::Status TooMany(absl::string_view reason, absl::string_view message) {
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kResourceExhausted, reason, message), absl::Seconds(5));
}

// The channels' events as one sequence: each channel's order stays, the rest goes by time.
std::vector<EventPtr> Merge(const std::vector<ReadResult>& reads) {
  std::vector<EventPtr> out;
  std::vector<size_t> next(reads.size(), 0);
  for (;;) {
    size_t best = reads.size();
    for (size_t i = 0; i < reads.size(); ++i) {
      if (next[i] == reads[i].events.size()) continue;
      if (best == reads.size() ||
          reads[i].events[next[i]]->created_at < reads[best].events[next[best]]->created_at) {
        best = i;
      }
    }
    if (best == reads.size()) return out;
    out.push_back(reads[best].events[next[best]++]);
  }
}

// Whose number is limited; the others may have to wait behind these.
bool IsLimited(EventType type) {
  return type == EventType::kTaskProgress || type == EventType::kSystemAlert ||
         type == EventType::kPerformanceAlert;
}

// The place before the first event that is replayed.
Position StartOf(const ReadResult& read) {
  for (const EventPtr& event : read.events) {
    if (event->position.is_set()) return {event->position.epoch, event->position.offset - 1};
  }
  return read.head;
}

}  // namespace

absl::Status SubscriberIdInUse() {
  return status::Error(absl::StatusCode::kAlreadyExists, "SUBSCRIBER_ID_IN_USE",
                       "use each subscriber_id once per stream");
}

struct SubscriberRegistry::Subscriber {
  uint64_t id;
  LinkState* link;
  std::string user;
  std::string tenant;
  TypeSet types;
  bool replaying = true;
  bool lost = false;  // while replaying: something that its read did not tell of
  bool slow = false;  // is in slow_
  int64_t credit;
  std::array<Members*, kChannelKindCount> channels{};
  std::array<size_t, kChannelKindCount> slots{};  // index in the channel's members
  Cursor accepted;                                // last event sent or in the backlog
  Cursor sent;                                    // last event sent: where it resumes
  Backlog backlog;
  // Kept by the presence table as long as the subscriber is connected; tenant: may be null.
  UserRecord* user_record;
  TenantRecord* tenant_record;
  // Progress that came with the history, whose live copy may still be on its way.
  std::vector<std::string> replayed_progress;
  std::multimap<absl::Time, Subscriber*>::iterator expiry;
};

struct SubscriberRegistry::LinkState {
  std::shared_ptr<Link> link;
  std::unordered_map<uint64_t, std::unique_ptr<Subscriber>> subscribers;
  std::vector<uint64_t> receivers;  // of the event that is fanned out
};

SubscriberRegistry::SubscriberRegistry(RegistryOptions options, Hooks hooks)
    : options_(options), hooks_(std::move(hooks)), presence_(options.remember_users) {}
SubscriberRegistry::~SubscriberRegistry() = default;

void SubscriberRegistry::AddLink(std::shared_ptr<Link> link) {
  auto state = std::make_unique<LinkState>();
  const Link* key = link.get();
  state->link = std::move(link);
  links_[key] = std::move(state);
}

void SubscriberRegistry::RemoveLink(const Link* link, absl::Time now) {
  LinkState* state = FindLink(link);
  if (state == nullptr) return;
  while (!state->subscribers.empty()) Erase(*state->subscribers.begin()->second, now);
  state->link->End();
  links_.erase(link);
}

std::vector<std::shared_ptr<Link>> SubscriberRegistry::Links() const {
  std::vector<std::shared_ptr<Link>> out;
  for (const auto& [key, state] : links_) out.push_back(state->link);
  return out;
}

SubscriberRegistry::LinkState* SubscriberRegistry::FindLink(const Link* link) const {
  auto it = links_.find(link);
  return it == links_.end() ? nullptr : it->second.get();
}

SubscriberRegistry::Subscriber* SubscriberRegistry::Find(const Link* link, uint64_t id) const {
  const LinkState* state = FindLink(link);
  if (state == nullptr) return nullptr;
  auto it = state->subscribers.find(id);
  return it == state->subscribers.end() ? nullptr : it->second.get();
}

absl::Status SubscriberRegistry::Add(const Link* link, const SubscriberSpec& spec, absl::Time now) {
  now_ = now;
  LinkState* state = FindLink(link);
  if (state == nullptr) return absl::CancelledError("the stream has ended");
  if (state->subscribers.contains(spec.id)) return SubscriberIdInUse();
  if (subscribers_count_ >= options_.max_subscribers_count) {
    return TooMany("TOO_MANY_SUBSCRIBERS",
                   "this node serves as many subscribers as notification.max_subscribers_count "
                   "allows; connect to another node or later");
  }
  if (presence_.ConnectionsOf(spec.user) >= options_.max_connections_per_user_count) {
    return TooMany("TOO_MANY_CONNECTIONS",
                   "the user has as many connections as one user may have; close one first");
  }
  auto owned = std::make_unique<Subscriber>();
  Subscriber& subscriber = *owned;
  subscriber.id = spec.id;
  subscriber.link = state;
  subscriber.user = spec.user;
  subscriber.tenant = spec.tenant;
  subscriber.types = spec.types;
  subscriber.credit = spec.credit_count;
  subscriber.expiry = by_expiry_.emplace(spec.token_expires_at, &subscriber);
  state->subscribers[spec.id] = std::move(owned);
  for (const Channel& channel : ChannelsOf(spec.user, spec.tenant)) Join(subscriber, channel);
  ++subscribers_count_;
  presence_.Connected(spec.user, spec.tenant, now);
  subscriber.user_record = presence_.FindUser(spec.user);
  subscriber.tenant_record = presence_.FindTenant(spec.tenant);
  TellConnected(spec.user, spec.tenant);
  return absl::OkStatus();
}

void SubscriberRegistry::TellConnected(const std::string& user, const std::string& tenant) {
  if (hooks_.connected) hooks_.connected(user, tenant, presence_.ConnectionsOf(user));
}

void SubscriberRegistry::Join(Subscriber& subscriber, const Channel& channel) {
  std::string key = channel.Key();
  std::unique_ptr<Members>& members = channels_[key];
  if (members == nullptr) {
    members = std::make_unique<Members>();
    members->channel = channel;
    members->key = std::move(key);
    if (hooks_.followed) hooks_.followed(channel, true);
  }
  const size_t kind = Index(channel.kind);
  subscriber.channels[kind] = members.get();
  subscriber.slots[kind] = members->subscribers.size();
  members->subscribers.push_back(&subscriber);
}

void SubscriberRegistry::Leave(Subscriber& subscriber, ChannelKind kind) {
  Members* members = subscriber.channels[Index(kind)];
  if (members == nullptr) return;
  const size_t slot = subscriber.slots[Index(kind)];
  Subscriber* last = members->subscribers.back();
  members->subscribers[slot] = last;
  last->slots[Index(kind)] = slot;
  members->subscribers.pop_back();
  if (!members->subscribers.empty()) return;
  if (hooks_.followed) hooks_.followed(members->channel, false);
  channels_.erase(std::string(members->key));
}

void SubscriberRegistry::Erase(Subscriber& subscriber, absl::Time now) {
  for (ChannelKind kind : kChannelKinds) Leave(subscriber, kind);
  by_expiry_.erase(subscriber.expiry);
  backlog_bytes_ -= subscriber.backlog.held_bytes();
  --subscribers_count_;
  if (subscriber.slow) std::erase(slow_, &subscriber);
  delayed_.erase(&subscriber);
  presence_.Disconnected(subscriber.user, subscriber.tenant, now);
  TellConnected(subscriber.user, subscriber.tenant);
  subscriber.link->subscribers.erase(subscriber.id);  // ends its life
}

void SubscriberRegistry::FinishReplay(const Link* link, const SubscriberSpec& spec,
                                      const std::vector<ReadResult>& reads, absl::Time now) {
  now_ = now;
  Subscriber* found = Find(link, spec.id);
  if (found == nullptr) return;
  Subscriber& subscriber = *found;
  const std::vector<Channel> channels = ChannelsOf(spec.user, spec.tenant);
  bool recovered = !subscriber.lost;
  std::array<const ReadResult*, kChannelKindCount> read_of{};
  for (size_t i = 0; i < channels.size(); ++i) {
    const size_t kind = Index(channels[i].kind);
    read_of[kind] = &reads[i];
    subscriber.accepted[kind] = subscriber.sent[kind] = StartOf(reads[i]);
    if (spec.cursor && (reads[i].lost || !(*spec.cursor)[kind].is_set())) recovered = false;
  }
  if (spec.cursor) {
    CountFor(subscriber,
             [&](Figures& f) { ++(recovered ? f.recovered_count : f.not_recovered_count); });
  }
  subscriber.link->link->Push(SubscribedMessage{subscriber.id, FormatCursor(subscriber.sent),
                                                recovered, subscriber.user, subscriber.tenant,
                                                subscriber.expiry->first});
  std::vector<EventPtr> live;
  while (!subscriber.backlog.empty()) live.push_back(PopBacklog(subscriber));
  subscriber.replaying = false;
  std::vector<std::string> replayed_progress;
  for (const EventPtr& event : Merge(reads)) {
    if (!event->position.is_set()) replayed_progress.push_back(event->id);
    // The history has a bound of its own: what is replayed is no sign of a slow reader.
    Offer(subscriber, event, /*bounded=*/false);
  }
  subscriber.replayed_progress = std::move(replayed_progress);
  for (const EventPtr& event : live) {
    // It may name the same place by an earlier epoch.
    if (read_of[Index(event->channel.kind)]->Covers(event->position)) continue;
    Offer(subscriber, event, /*bounded=*/true);
  }
  CloseSlowReaders(now);
}

void SubscriberRegistry::Lose(const Channel& channel, const ReadResult& read, absl::Time now) {
  now_ = now;
  auto it = channels_.find(channel.Key());
  if (it == channels_.end()) return;
  const size_t kind = Index(channel.kind);
  for (Subscriber* member : it->second->subscribers) {
    Subscriber& subscriber = *member;
    subscriber.lost = true;
    if (!subscriber.replaying) {
      // What waits for it of this channel comes again with the rest, if it is still there.
      const int64_t before = subscriber.backlog.held_bytes();
      subscriber.backlog.Drop(channel.kind);
      backlog_bytes_ += subscriber.backlog.held_bytes() - before;
      subscriber.accepted[kind] = subscriber.sent[kind] = StartOf(read);
      CountFor(subscriber, [](Figures& f) { ++f.not_recovered_count; });
      subscriber.link->link->Push(SubscribedMessage{subscriber.id, FormatCursor(subscriber.sent),
                                                    /*recovered=*/false, subscriber.user,
                                                    subscriber.tenant, subscriber.expiry->first});
    }
    for (const EventPtr& event : read.events) Offer(subscriber, event, /*bounded=*/false);
  }
  CloseSlowReaders(now);
}

void SubscriberRegistry::Offer(Subscriber& subscriber, const EventPtr& event, bool bounded) {
  if (subscriber.replaying) {
    Hold(subscriber, event, bounded);
    return;
  }
  const size_t kind = Index(event->channel.kind);
  if (event->position.is_set()) {
    Position& accepted = subscriber.accepted[kind];
    if (accepted.epoch == event->position.epoch && event->position.offset <= accepted.offset) {
      return;  // came with the history
    }
    accepted = event->position;
  } else if (std::find(subscriber.replayed_progress.begin(), subscriber.replayed_progress.end(),
                       event->id) != subscriber.replayed_progress.end()) {
    return;
  }
  if ((subscriber.types & TypeBit(event->type)) == 0) {
    // Nothing to send, but the place it resumes from moves on.
    if (subscriber.backlog.empty() && event->position.is_set()) {
      subscriber.sent[kind] = event->position;
    }
    return;
  }
  if (subscriber.backlog.empty() && MaySend(subscriber, *event)) {
    Send(subscriber, event);
    return;
  }
  if (delayed_.contains(&subscriber)) CountFor(subscriber, [](Figures& f) { ++f.delayed_count; });
  Hold(subscriber, event, bounded);
}

bool SubscriberRegistry::MaySend(Subscriber& subscriber, const Event& event) {
  if (subscriber.credit <= 0 || !subscriber.link->link->HasRoom()) return false;
  if (!IsLimited(event.type) || TakeOfRate(subscriber)) return true;
  delayed_.insert(&subscriber);
  return false;
}

bool SubscriberRegistry::TakeOfRate(Subscriber& subscriber) {
  const double limit = options_.user_messages_per_minute_count;
  if (limit == 0) return true;
  UserRecord& user = *subscriber.user_record;
  const double minutes = absl::FDivDuration(now_ - user.rate_at, absl::Minutes(1));
  user.rate_at = now_;
  user.rate_spent = std::max(0.0, user.rate_spent - std::max(0.0, minutes) * limit);
  const double cost = 1.0 / std::max(1, user.connections_count);
  // Within what adding up shares may be off by.
  if (user.rate_spent + cost > limit + 1e-6) return false;
  user.rate_spent += cost;
  return true;
}

void SubscriberRegistry::Send(Subscriber& subscriber, const EventPtr& event) {
  --subscriber.credit;
  if (event->position.is_set()) subscriber.sent[Index(event->channel.kind)] = event->position;
  CountFor(subscriber, [](Figures& f) { ++f.delivered_count; });
  LinkState& link = *subscriber.link;
  if (link.link->options().single) {
    link.link->Push(DeliveryMessage{{subscriber.id}, event, FormatCursor(subscriber.sent)});
  } else if (!fanning_out_) {
    link.link->Push(DeliveryMessage{{subscriber.id}, event, ""});
  } else {
    if (link.receivers.empty()) touched_.push_back(&link);
    link.receivers.push_back(subscriber.id);
  }
}

void SubscriberRegistry::Hold(Subscriber& subscriber, const EventPtr& event, bool bounded) {
  if (subscriber.slow) return;
  const int64_t before = subscriber.backlog.held_bytes();
  const int64_t max_bytes =
      bounded ? options_.subscriber_queue_bytes : std::numeric_limits<int64_t>::max();
  switch (subscriber.backlog.Push(event, max_bytes)) {
    case Backlog::Outcome::kKept:
      break;
    case Backlog::Outcome::kReplacedOlder:
      CountFor(subscriber, [](Figures& f) { ++f.conflated_count; });
      break;
    case Backlog::Outcome::kFull:
      subscriber.slow = true;
      slow_.push_back(&subscriber);
      break;
  }
  backlog_bytes_ += subscriber.backlog.held_bytes() - before;
}

EventPtr SubscriberRegistry::PopBacklog(Subscriber& subscriber) {
  const int64_t before = subscriber.backlog.held_bytes();
  EventPtr event = subscriber.backlog.Pop();
  backlog_bytes_ += subscriber.backlog.held_bytes() - before;
  return event;
}

void SubscriberRegistry::FlushBacklog(Subscriber& subscriber) {
  if (subscriber.replaying) return;
  while (!subscriber.backlog.empty() && MaySend(subscriber, *subscriber.backlog.Front())) {
    Send(subscriber, PopBacklog(subscriber));
  }
}

void SubscriberRegistry::Flush(const Link* link) {
  LinkState* state = FindLink(link);
  if (state == nullptr) return;
  for (auto& [id, subscriber] : state->subscribers) FlushBacklog(*subscriber);
}

void SubscriberRegistry::CountPublished(const Event& event) {
  const auto type = static_cast<size_t>(event.type);
  ++figures_.published[type];
  if (event.channel.kind == ChannelKind::kUser) {
    UserRecord* user = presence_.FindUser(event.channel.id);
    if (user != nullptr) ++user->figures.published[type];
  } else if (event.channel.kind == ChannelKind::kTenant) {
    TenantRecord* tenant = presence_.FindTenant(event.channel.id);
    if (tenant != nullptr) ++tenant->figures.published[type];
  }
}

void SubscriberRegistry::FanOut(const EventPtr& event, absl::Time now) {
  now_ = now;
  auto it = channels_.find(event->channel.Key());
  if (it == channels_.end()) return;
  fanning_out_ = true;
  for (Subscriber* subscriber : it->second->subscribers) {
    Offer(*subscriber, event, /*bounded=*/true);
  }
  fanning_out_ = false;
  for (LinkState* link : touched_) {
    std::vector<uint64_t>& all = link->receivers;
    for (size_t from = 0; from < all.size(); from += kMaxReceiversCount) {
      const size_t to = std::min(all.size(), from + kMaxReceiversCount);
      link->link->Push(DeliveryMessage{{all.begin() + static_cast<std::ptrdiff_t>(from),
                                        all.begin() + static_cast<std::ptrdiff_t>(to)},
                                       event,
                                       ""});
    }
    all.clear();
  }
  touched_.clear();
  CloseSlowReaders(now);
}

void SubscriberRegistry::CloseSlowReaders(absl::Time now) {
  while (!slow_.empty()) {
    CloseNow(*slow_.back(), CloseReason::kSlowReader,
             "what was not read exceeds notification.subscriber_queue_bytes; connect again with "
             "the cursor and read faster",
             now);
  }
}

void SubscriberRegistry::CloseNow(Subscriber& subscriber, CloseReason reason, std::string message,
                                  absl::Time now) {
  ++figures_.closes[static_cast<size_t>(reason)];
  subscriber.link->link->Push(
      ClosedMessage{subscriber.id, reason, std::move(message), FormatCursor(subscriber.sent)});
  Erase(subscriber, now);
}

void SubscriberRegistry::Close(const Link* link, uint64_t id, CloseReason reason,
                               std::string message, absl::Time now) {
  if (Subscriber* subscriber = Find(link, id); subscriber != nullptr) {
    CloseNow(*subscriber, reason, std::move(message), now);
    return;
  }
  // Refused before it began: the edge is told all the same.
  LinkState* state = FindLink(link);
  if (state == nullptr) return;
  ++figures_.closes[static_cast<size_t>(reason)];
  state->link->Push(ClosedMessage{id, reason, std::move(message), ""});
}

void SubscriberRegistry::Remove(const Link* link, uint64_t id, absl::Time now) {
  if (Subscriber* subscriber = Find(link, id); subscriber != nullptr) Erase(*subscriber, now);
}

void SubscriberRegistry::AddCredit(const Link* link, uint64_t id, int64_t count) {
  constexpr int64_t kMaxCreditCount = 1'000'000;
  Subscriber* subscriber = Find(link, id);
  if (subscriber == nullptr) return;
  subscriber->credit = std::min(kMaxCreditCount, subscriber->credit + count);
  FlushBacklog(*subscriber);
}

bool SubscriberRegistry::Refresh(const Link* link, uint64_t id, const std::string& user,
                                 const std::string& tenant, absl::Time token_expires_at) {
  Subscriber* subscriber = Find(link, id);
  if (subscriber == nullptr) return true;
  if (subscriber->user != user || subscriber->tenant != tenant) return false;
  by_expiry_.erase(subscriber->expiry);
  subscriber->expiry = by_expiry_.emplace(token_expires_at, subscriber);
  return true;
}

std::string SubscriberRegistry::CursorOf(const Link* link, uint64_t id) const {
  const Subscriber* subscriber = Find(link, id);
  return subscriber == nullptr ? "" : FormatCursor(subscriber->sent);
}

void SubscriberRegistry::Tick(absl::Time expired_before, absl::Time now) {
  now_ = now;
  while (!by_expiry_.empty() && by_expiry_.begin()->first < expired_before) {
    CloseNow(*by_expiry_.begin()->second, CloseReason::kTokenExpired,
             "the token has expired; connect again with a new one and the cursor", now);
  }
  for (Subscriber* subscriber : std::exchange(delayed_, {})) FlushBacklog(*subscriber);
  presence_.Forget(now);
}

template <class Count>
void SubscriberRegistry::CountFor(const Subscriber& subscriber, Count count) {
  count(figures_);
  count(subscriber.user_record->figures);
  if (subscriber.tenant_record != nullptr) count(subscriber.tenant_record->figures);
}

}  // namespace slipstream::notification
