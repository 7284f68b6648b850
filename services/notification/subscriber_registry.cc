#include "services/notification/subscriber_registry.h"

#include <utility>

#include "libs/status/status.h"
#include "services/notification/subscriber_registry_state.h"

namespace slipstream::notification {

namespace {

absl::Status TooMany(absl::string_view reason, absl::string_view message) {
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kResourceExhausted, reason, message), absl::Seconds(5));
}

}  // namespace

absl::Status SubscriberIdInUse() {
  return status::Error(absl::StatusCode::kAlreadyExists, "SUBSCRIBER_ID_IN_USE",
                       "use each subscriber_id once per stream");
}

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

}  // namespace slipstream::notification
