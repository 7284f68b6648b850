// What one connection is still to be sent: bounded in bytes, in the order of arrival.
//
// Thread safety: Push and Drop from any thread; Take and cursor from the one that writes.
#ifndef SERVICES_EDGE_NOTIFICATIONS_OUTBOX_H_
#define SERVICES_EDGE_NOTIFICATIONS_OUTBOX_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "libs/sync/mutex.h"
#include "services/edge/notifications/encoded_event.h"

namespace slipstream::edge {

class Outbox {
 public:
  explicit Outbox(size_t max_bytes) : max_bytes_(max_bytes) {}

  enum class Pushed {
    kQueued,
    kWake,     // it was empty and the writer is not told yet: the caller does that
    kOver,     // the bound is exceeded: from now on nothing is taken, the connection is to end
    kDropped,  // after Drop or kOver
  };
  // All of `events`, in their order, or none.
  Pushed Push(absl::Span<const EncodedEventPtr> events);

  // What waits is forgotten and nothing more is taken.
  void Drop();

  // Hands events to `append(event, &cursor)` until about `max_bytes` are taken. The number of those
  // that took credit; none taken at all means idle: the next Push answers kWake.
  struct Taken {
    int events_count = 0;
    int credited_count = 0;
  };
  template <class Append>
  Taken Take(size_t max_bytes, Append append) {
    std::vector<EncodedEventPtr>& batch = Fetch(max_bytes);
    Taken taken;
    for (const EncodedEventPtr& event : batch) {
      append(*event, &cursor_);
      ++taken.events_count;
      if (event->kind == EncodedEvent::Kind::kEvent) ++taken.credited_count;
    }
    batch.clear();
    return taken;
  }

  // After the last event taken.
  const ResumeCursor& cursor() const { return cursor_; }
  bool empty() const;

 private:
  // A batch of the calling thread's, valid until its next call.
  std::vector<EncodedEventPtr>& Fetch(size_t max_bytes);

  const size_t max_bytes_;
  ResumeCursor cursor_;
  mutable sync::Mutex mutex_;
  // A vector and not a deque: ten thousand idle connections hold none, and an empty deque has 600
  // bytes.
  std::vector<EncodedEventPtr> events_ ABSL_GUARDED_BY(mutex_);
  size_t first_ ABSL_GUARDED_BY(mutex_) = 0;  // of events_, the rest has been taken
  size_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool awake_ ABSL_GUARDED_BY(mutex_) = false;
  bool dropped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_NOTIFICATIONS_OUTBOX_H_
