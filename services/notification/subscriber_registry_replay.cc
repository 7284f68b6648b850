// The half of SubscriberRegistry that gives subscribers what the history has: when they resume, and
// when the node has missed something.
#include <array>
#include <utility>

#include "services/notification/subscriber_registry_state.h"

namespace slipstream::notification {

namespace {

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

// The place before the first event that is replayed.
Position StartOf(const ReadResult& read) {
  for (const EventPtr& event : read.events) {
    if (event->position.is_set()) return {event->position.epoch, event->position.offset - 1};
  }
  return read.head;
}

}  // namespace

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
  // The channel may have gone on under another epoch since it was read.
  for (size_t kind = 0; kind < kChannelKindCount; ++kind) {
    if (subscriber.channels[kind] != nullptr) MoveOn(subscriber, kind);
  }
  for (const EventPtr& event : live) {
    // It may name the same place by an earlier epoch.
    if (read_of[Index(event->channel.kind)]->Covers(event->position)) continue;
    Offer(subscriber, event, /*bounded=*/true);
  }
  CloseSlowReaders(now);
}

void SubscriberRegistry::MoveOn(Subscriber& subscriber, size_t kind) {
  const ReadResult& continued = subscriber.channels[kind]->continued;
  subscriber.accepted[kind] = continued.Translate(subscriber.accepted[kind]);
  subscriber.sent[kind] = continued.Translate(subscriber.sent[kind]);
}

void SubscriberRegistry::Continue(const Channel& channel, const ReadResult& read) {
  auto it = channels_.find(channel.Key());
  if (it == channels_.end()) return;
  it->second->continued.head = read.head;
  it->second->continued.earlier = read.earlier;
  for (Subscriber* subscriber : it->second->subscribers) {
    if (!subscriber->replaying) MoveOn(*subscriber, Index(channel.kind));
  }
}

void SubscriberRegistry::Lose(const Channel& channel, const ReadResult& read, absl::Time now) {
  now_ = now;
  auto it = channels_.find(channel.Key());
  if (it == channels_.end()) return;
  const size_t kind = Index(channel.kind);
  const Position start = StartOf(read);
  for (Subscriber* member : it->second->subscribers) {
    Subscriber& subscriber = *member;
    const Position& accepted = subscriber.accepted[kind];
    if (!subscriber.replaying && accepted.epoch == start.epoch && accepted.offset >= start.offset) {
      // It came after the loss and was told by its own replay: it has some of these and misses
      // none.
      for (const EventPtr& event : read.events) Offer(subscriber, event, /*bounded=*/false);
      continue;
    }
    subscriber.lost = true;
    if (!subscriber.replaying) {
      // What waits for it of this channel comes again with the rest, if it is still there.
      const int64_t before = subscriber.backlog.held_bytes();
      subscriber.backlog.Drop(channel.kind);
      backlog_bytes_ += subscriber.backlog.held_bytes() - before;
      subscriber.accepted[kind] = subscriber.sent[kind] = start;
      CountFor(subscriber, [](Figures& f) { ++f.not_recovered_count; });
      subscriber.link->link->Push(SubscribedMessage{subscriber.id, FormatCursor(subscriber.sent),
                                                    /*recovered=*/false, subscriber.user,
                                                    subscriber.tenant, subscriber.expiry->first});
    }
    for (const EventPtr& event : read.events) Offer(subscriber, event, /*bounded=*/false);
  }
  CloseSlowReaders(now);
}

}  // namespace slipstream::notification
