// The half of SubscriberRegistry that decides for each event and subscriber whether it is sent now,
// kept in the backlog, or seen already.
#include <algorithm>
#include <limits>
#include <utility>

#include "services/notification/subscriber_registry_state.h"

namespace slipstream::notification {

namespace {

// Receivers of one message, as the API states.
constexpr size_t kMaxReceiversCount = 65'536;

// Whose number is limited; the others may have to wait behind these.
bool IsLimited(EventType type) {
  return type == EventType::kTaskProgress || type == EventType::kSystemAlert ||
         type == EventType::kPerformanceAlert;
}

}  // namespace

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

void SubscriberRegistry::AddCredit(const Link* link, uint64_t id, int64_t count) {
  constexpr int64_t kMaxCreditCount = 1'000'000;
  Subscriber* subscriber = Find(link, id);
  if (subscriber == nullptr) return;
  subscriber->credit = std::min(kMaxCreditCount, subscriber->credit + count);
  FlushBacklog(*subscriber);
}

void SubscriberRegistry::CloseSlowReaders(absl::Time now) {
  while (!slow_.empty()) {
    CloseNow(*slow_.back(), CloseReason::kSlowReader,
             "what was not read exceeds notification.subscriber_queue_bytes; connect again with "
             "the cursor and read faster",
             now);
  }
}

}  // namespace slipstream::notification
