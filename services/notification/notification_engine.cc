#include "services/notification/notification_engine.h"

#include <algorithm>
#include <utility>

#include "libs/status/status.h"

namespace slipstream::notification {

namespace {

constexpr absl::Duration kHousekeepingInterval = absl::Seconds(1);

SubscriberRegistry::Hooks HooksOf(const NotificationEngine::Deps& deps) {
  SubscriberRegistry::Hooks hooks;
  if (deps.store.shared()) {
    hooks.followed = [&store = deps.store](const Channel& channel, bool followed) {
      followed ? store.Follow(channel) : store.Unfollow(channel);
    };
  }
  if (deps.directory != nullptr) {
    hooks.connected = [directory = deps.directory](const std::string& user,
                                                   const std::string& tenant, int count) {
      directory->Set(user, tenant, count);
    };
  }
  return hooks;
}

}  // namespace

NotificationEngine::NotificationEngine(EngineOptions options, Deps deps)
    : options_(options),
      deps_(deps),
      since_(deps.clock.Now()),
      publish_queue_(deps.store, [this](const Appended& appended) { OnPublished(appended); }),
      registry_(options.registry, HooksOf(deps)),
      next_housekeeping_(deps.clock.Monotonic()) {
  deps_.store.SetListener(this);
}

NotificationEngine::~NotificationEngine() { deps_.store.SetListener(nullptr); }

Async<absl::StatusOr<std::vector<Appended>>> NotificationEngine::Publish(
    std::vector<AppendRequest> events) {
  return publish_queue_.Publish(std::move(events));
}

void NotificationEngine::OnPublished(const Appended& appended) {
  sync::MutexLock lock(mutex_);
  if (appended.duplicate) {
    registry_.CountDuplicate();
    return;
  }
  registry_.CountPublished(*appended.event);
  if (!deps_.store.shared()) registry_.FanOut(appended.event, deps_.clock.Now());
}

void NotificationEngine::OnEvents(const std::vector<EventPtr>& events) {
  sync::MutexLock lock(mutex_);
  for (const EventPtr& event : events) registry_.FanOut(event, deps_.clock.Now());
}

void NotificationEngine::OnContinued(const Channel& channel, const ReadResult& read) {
  sync::MutexLock lock(mutex_);
  registry_.Continue(channel, read);
}

void NotificationEngine::OnLost(const Channel& channel, const ReadResult& read) {
  sync::MutexLock lock(mutex_);
  registry_.Lose(channel, read, deps_.clock.Now());
}

absl::StatusOr<std::shared_ptr<Link>> NotificationEngine::OpenLink(LinkOptions options) {
  auto link = std::make_shared<Link>(options);
  sync::MutexLock lock(mutex_);
  if (draining_) {
    return status::WithRetryAfter(
        status::Error(absl::StatusCode::kUnavailable, "DRAINING",
                      "this node is going away; connect again with the same cursor"),
        absl::Seconds(1));
  }
  registry_.AddLink(link);
  return link;
}

void NotificationEngine::CloseLink(const std::shared_ptr<Link>& link) {
  sync::MutexLock lock(mutex_);
  registry_.RemoveLink(link.get(), deps_.clock.Now());
}

std::vector<LinkMessage> NotificationEngine::Take(const std::shared_ptr<Link>& link,
                                                  size_t max_count) {
  auto [messages, was_full] = link->Take(max_count);
  if (messages.empty()) return {};
  const absl::Duration now = deps_.clock.Monotonic();
  sync::MutexLock lock(mutex_);
  for (const LinkMessage& message : messages) {
    const auto* delivery = std::get_if<DeliveryMessage>(&message);
    if (delivery == nullptr) continue;
    const absl::Duration latency = now - delivery->event->published_at;
    latency_.Add(latency);
    deps_.delivery_seconds.Observe(absl::ToDoubleSeconds(latency));
  }
  if (was_full && link->HasRoom()) registry_.Flush(link.get());
  return std::move(messages);
}

Async<absl::Status> NotificationEngine::Subscribe(std::shared_ptr<Link> link, SubscriberSpec spec) {
  if (absl::Status joined = Join(link, spec); !joined.ok()) co_return joined;
  co_return co_await Replay(std::move(link), std::move(spec));
}

absl::Status NotificationEngine::Join(const std::shared_ptr<Link>& link,
                                      const SubscriberSpec& spec) {
  sync::MutexLock lock(mutex_);
  return registry_.Add(link.get(), spec, deps_.clock.Now());
}

Async<absl::Status> NotificationEngine::Replay(std::shared_ptr<Link> link, SubscriberSpec spec) {
  std::vector<ReadRequest> requests;
  for (Channel& channel : ChannelsOf(spec.user, spec.tenant)) {
    std::optional<Position> after;
    if (spec.cursor) {
      const Position& position = (*spec.cursor)[Index(channel.kind)];
      if (position.is_set()) after = position;
    }
    requests.push_back({std::move(channel), spec.user, after});
  }
  auto reads = co_await deps_.store.Read(std::move(requests));
  sync::MutexLock lock(mutex_);
  if (!reads.ok()) {
    registry_.Remove(link.get(), spec.id, deps_.clock.Now());
    co_return reads.status();
  }
  registry_.FinishReplay(link.get(), spec, *reads, deps_.clock.Now());
  co_return absl::OkStatus();
}

void NotificationEngine::Unsubscribe(const std::shared_ptr<Link>& link, uint64_t id) {
  sync::MutexLock lock(mutex_);
  registry_.Remove(link.get(), id, deps_.clock.Now());
}

void NotificationEngine::Close(const std::shared_ptr<Link>& link, uint64_t id, CloseReason reason,
                               std::string message) {
  sync::MutexLock lock(mutex_);
  registry_.Close(link.get(), id, reason, std::move(message), deps_.clock.Now());
}

void NotificationEngine::AddCredit(const std::shared_ptr<Link>& link,
                                   const std::vector<uint64_t>& ids, int64_t count) {
  sync::MutexLock lock(mutex_);
  for (uint64_t id : ids) registry_.AddCredit(link.get(), id, count);
}

bool NotificationEngine::Refresh(const std::shared_ptr<Link>& link, uint64_t id,
                                 const std::string& user, const std::string& tenant,
                                 absl::Time token_expires_at) {
  sync::MutexLock lock(mutex_);
  return registry_.Refresh(link.get(), id, user, tenant, token_expires_at);
}

Async<absl::StatusOr<int>> NotificationEngine::Acknowledge(std::string user, std::string tenant,
                                                           Cursor cursor) {
  std::vector<AcknowledgeRequest> requests;
  for (Channel& channel : ChannelsOf(user, tenant)) {
    const Position position = cursor[Index(channel.kind)];
    requests.push_back({std::move(channel), user, position});
  }
  auto pending = co_await deps_.store.Acknowledge(std::move(requests));
  if (!pending.ok()) co_return pending.status();
  co_return pending->front();  // the user's own channel comes first
}

Async<std::vector<UserPresence>> NotificationEngine::FindPresence(std::vector<std::string> users) {
  if (deps_.directory != nullptr) {
    auto found = co_await deps_.directory->Find(users);
    if (found.ok()) co_return *std::move(found);
  }
  std::vector<UserPresence> out;
  for (const std::string& user : users) out.push_back(PresenceHere(user));
  co_return out;
}

UserPresence NotificationEngine::PresenceHere(const std::string& user) {
  UserPresence out;
  out.user = user;
  sync::MutexLock lock(mutex_);
  const UserRecord* record = registry_.presence().FindUser(user);
  if (record == nullptr) return out;
  out.known = true;
  out.tenant = record->tenant;
  out.connections_count = record->connections_count;
  // A connection that is open is seen now.
  out.last_seen_at = record->connections_count > 0 ? deps_.clock.Now() : record->last_seen_at;
  return out;
}

EngineStats NotificationEngine::Stats(const std::string& user, const std::string& tenant) {
  EngineStats out;
  out.since = since_;
  out.history = deps_.store.Stats();
  out.degraded = deps_.store.degraded();
  sync::MutexLock lock(mutex_);
  out.links_count = registry_.links_count();
  out.queue_bytes = registry_.backlog_bytes();
  out.delivery_p50 = latency_.Quantile(0.5);
  out.delivery_p99 = latency_.Quantile(0.99);
  if (!user.empty()) {
    if (const UserRecord* record = registry_.presence().FindUser(user); record != nullptr) {
      out.figures = record->figures;
      out.connections_count = record->connections_count;
      out.users_count = record->connections_count > 0 ? 1 : 0;
    }
  } else if (!tenant.empty()) {
    if (const TenantRecord* record = registry_.presence().FindTenant(tenant); record != nullptr) {
      out.figures = record->figures;
      out.connections_count = record->connections_count;
      out.users_count = record->users_count;
    }
  } else {
    out.figures = registry_.figures();
    out.connections_count = registry_.subscribers_count();
    out.users_count = registry_.presence().connected_users_count();
  }
  return out;
}

void NotificationEngine::Tick() {
  const absl::Duration monotonic = deps_.clock.Monotonic();
  bool housekeeping = false;
  {
    sync::MutexLock lock(mutex_);
    while (!ending_.empty() && ending_.back().first <= monotonic) {
      EndLink(ending_.back().second);
      ending_.pop_back();
    }
    if (monotonic >= next_housekeeping_) {
      next_housekeeping_ = monotonic + kHousekeepingInterval;
      housekeeping = true;
      const absl::Time now = deps_.clock.Now();
      registry_.Tick(now - options_.token_leeway, now);
    }
  }
  if (!housekeeping) return;
  deps_.store.Tick();
  if (deps_.directory != nullptr) deps_.directory->Tick();
}

void NotificationEngine::BeginDrain(absl::Duration window) {
  const absl::Duration now = deps_.clock.Monotonic();
  sync::MutexLock lock(mutex_);
  if (draining_) return;
  draining_ = true;
  const std::vector<std::shared_ptr<Link>> links = registry_.Links();
  size_t single = 0;
  for (size_t i = 0; i < links.size(); ++i) {
    if (links[i]->options().single) {
      // One after the other, so that the other nodes are not stormed.
      ending_.emplace_back(
          now + window * static_cast<double>(single++) / static_cast<double>(links.size()),
          links[i]);
    } else {
      // The edge spreads its subscribers itself.
      links[i]->Push(DrainMessage{window, ""});
      ending_.emplace_back(now + window, links[i]);
    }
  }
  std::sort(ending_.begin(), ending_.end(),
            [](const auto& a, const auto& b) { return a.first > b.first; });
}

void NotificationEngine::EndLink(const std::shared_ptr<Link>& link) {
  if (link->options().single) {
    const auto spread_ms = static_cast<int64_t>(deps_.random.Uniform(1000));
    link->Push(DrainMessage{absl::Milliseconds(spread_ms),
                            registry_.CursorOf(link.get(), kOnlySubscriber)});
  }
  registry_.RemoveLink(link.get(), deps_.clock.Now());
}

bool NotificationEngine::draining() const {
  sync::MutexLock lock(mutex_);
  return draining_;
}

bool NotificationEngine::drained() const {
  sync::MutexLock lock(mutex_);
  return draining_ && registry_.links_count() == 0;
}

}  // namespace slipstream::notification
