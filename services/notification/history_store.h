// The seam between the engine and what keeps events for readers that come back.
//
// Purpose: an append-only history per channel, bounded in count and time. Every kept event has a
// position "epoch:offset"; offsets have no gaps within an epoch. A store that may have lost the
// tail of a channel gives it a new epoch, so that no reader takes a gap for completeness.
// The methods are coroutines over batches, because a store over a network answers a batch in one
// round trip.
//
// task_progress is state, not history: the store keeps the latest one of each task beside the
// bounded history, without a position, until the task ends.
//
// A store that several processes share (`shared()`) brings the events of all of them to its
// listener, for the channels that the process follows.
//
// Thread safety: all methods from any thread. Appends of one channel are in the order of the calls
// only if the caller makes one call after the other (PublishQueue does).
// Errors: UNAVAILABLE when the store is away. Some of a batch may have been appended then; a retry
// with the same idempotency keys is safe.
#ifndef SERVICES_NOTIFICATION_HISTORY_STORE_H_
#define SERVICES_NOTIFICATION_HISTORY_STORE_H_

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/async.h"
#include "services/notification/channel.h"
#include "services/notification/event.h"

namespace slipstream::notification {

// How long an idempotency key is known.
inline constexpr absl::Duration kIdempotencyWindow = absl::Hours(24);

struct AppendRequest {
  Event event;                  // position not set
  std::string idempotency_key;  // empty: none
};

struct Appended {
  // What is to be delivered, with its position; null for a duplicate.
  EventPtr event;
  // Of the event, or of the first one with the same key.
  std::string event_id;
  Position position;  // not set for conflated types
  bool duplicate = false;
};

struct ReadRequest {
  Channel channel;
  // Whose acknowledgements count: reading starts after the later one of `after` and what this user
  // has acknowledged. Empty: nobody's.
  std::string reader;
  // Not set: nothing is replayed, only the head is asked for.
  std::optional<Position> after;
};

struct ReadResult {
  // Something after `after` is no longer there, or `after` is of another epoch.
  bool lost = false;
  // The channel's last position now; later events follow it.
  Position head;
  // What is kept after `after`, oldest first; all that is kept when the epoch differs. Progress
  // stands behind the kept event that it followed. The latest progress of a task may be one that
  // the reader has seen: its cursor cannot tell.
  std::vector<EventPtr> events;
  // Positions of earlier epochs up to which the channel's history is the same: what has one of
  // these or one before it is not new behind `head`.
  std::vector<Position> earlier;

  // The event at this position is one of those up to `head`.
  bool Covers(const Position& position) const {
    if (position.epoch == head.epoch) return position.offset <= head.offset;
    for (const Position& last : earlier) {
      if (last.epoch == position.epoch) return position.offset <= last.offset;
    }
    return false;
  }
  // The place in head's epoch of one in an earlier epoch: what lay behind the last that this epoch
  // took over is gone. Any other position is answered as it is.
  Position Translate(const Position& position) const {
    for (const Position& last : earlier) {
      if (last.epoch != position.epoch) continue;
      return {head.epoch, std::min(position.offset, last.offset)};
    }
    return position;
  }
};

struct AcknowledgeRequest {
  Channel channel;
  std::string reader;
  // Ignored when it is not a position of the channel, or behind what is acknowledged already.
  Position up_to;
};

struct HistoryStats {
  int64_t channels_count = 0;
  int64_t events_count = 0;
  int64_t held_bytes = 0;
  int64_t evicted_channels_count = 0;  // since the start, to stay within the bounds
};

// Told what comes into followed channels of a shared store. One call at a time; no call back into
// the store but for Follow and Unfollow.
class HistoryListener {
 public:
  virtual ~HistoryListener() = default;
  // New events of one channel, in its order, each once.
  virtual void OnEvents(const std::vector<EventPtr>& events) = 0;
  // The channel goes on under another epoch, with nothing lost that this process has seen. Comes
  // before the first event of that epoch.
  virtual void OnContinued(const Channel& channel, const ReadResult& read) = 0;
  // Something that this process has not seen is gone from the channel: `read` is what there is.
  virtual void OnLost(const Channel& channel, const ReadResult& read) = 0;
};

class HistoryStore {
 public:
  virtual ~HistoryStore() = default;

  // One result per request, in order.
  virtual Async<absl::StatusOr<std::vector<Appended>>> Append(
      std::vector<AppendRequest> requests) = 0;
  virtual Async<absl::StatusOr<std::vector<ReadResult>>> Read(
      std::vector<ReadRequest> requests) = 0;
  // Answers per request how many kept events the reader has not acknowledged.
  virtual Async<absl::StatusOr<std::vector<int>>> Acknowledge(
      std::vector<AcknowledgeRequest> requests) = 0;

  // True: events, this process's own as well, come to the listener. False: who appends an event
  // delivers it, and the three methods below do nothing.
  virtual bool shared() const { return false; }
  // Once before anything else; null at the end, which waits for a call under way.
  virtual void SetListener(HistoryListener*) {}
  // From the first Read of the channel that is begun after Follow, its events go to the listener.
  // Neither waits.
  virtual void Follow(const Channel&) {}
  virtual void Unfollow(const Channel&) {}
  // The store does not answer, or what others append may come late.
  virtual bool degraded() const { return false; }

  // Ends what goes on in the background; before the executor ends, and not on its threads. Only
  // SetListener, Follow, Unfollow, degraded, Stats and name are called after it.
  virtual void Stop() {}

  // Bounded housekeeping; called about every second.
  virtual void Tick() = 0;
  virtual HistoryStats Stats() const = 0;
  // "memory" or "redis".
  virtual std::string_view name() const = 0;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_HISTORY_STORE_H_
