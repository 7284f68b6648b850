// The sending half of a stream: a bounded queue in front of gRPC's one write at a time.
//
// Thread safety: Send, Write and Finish from any thread; OnWriteDone and Close from the reactor.
#ifndef LIBS_RPC_SEND_QUEUE_H_
#define LIBS_RPC_SEND_QUEUE_H_

#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "libs/async/event.h"
#include "libs/sync/mutex.h"

namespace slipstream::rpc {

template <class Message>
class SendQueue {
 public:
  // At most this many messages wait behind the one on the wire.
  static constexpr size_t kMaxQueuedCount = 1024;

  // `start_write` hands one message to gRPC; `finish` is called once, after the last write.
  SendQueue(std::function<void(const Message*)> start_write, std::function<void()> finish)
      : start_write_(std::move(start_write)), finish_(std::move(finish)) {}

  // Queues without waiting. False: the peer is gone, the stream is finished, or the queue is full.
  bool Send(Message message) { return Send(std::make_shared<const Message>(std::move(message))); }
  bool Send(std::shared_ptr<const Message> message) {
    sync::MutexLock lock(mutex_);
    if (closed_ || finishing_) return false;
    if (in_flight_) {
      if (queue_.size() >= kMaxQueuedCount) return false;
      queue_.push_back(std::move(message));
      return true;
    }
    in_flight_ = std::move(message);
    // Under the lock, so that a Close on another thread comes before or after the start and never
    // between the check and it. gRPC does not call back from inside a start.
    start_write_(in_flight_.get());
    return true;
  }

  // Waits for room. False: the peer is gone or the stream is finished.
  Async<bool> Write(Message message) {
    for (;;) {
      const uint64_t version = room_.version();
      bool full;
      {
        sync::MutexLock lock(mutex_);
        if (closed_ || finishing_) co_return false;
        full = in_flight_ != nullptr && queue_.size() >= kHighWaterCount;
      }
      if (!full) co_return Send(std::move(message));
      co_await room_.Wait(version);
    }
  }

  // No more messages: `finish` runs when those that are queued have been written.
  void Finish() {
    {
      sync::MutexLock lock(mutex_);
      if (finishing_) return;
      finishing_ = true;
      if (in_flight_) return;  // its OnWriteDone finishes
    }
    finish_();
  }

  void OnWriteDone(bool ok) {
    bool finish = false;
    {
      sync::MutexLock lock(mutex_);
      if (!ok) {
        closed_ = true;
        queue_.clear();
      }
      in_flight_.reset();
      if (!queue_.empty()) {
        in_flight_ = std::move(queue_.front());
        queue_.pop_front();
        start_write_(in_flight_.get());
      } else {
        finish = finishing_;
      }
    }
    // Before finish: that step may end this object's life.
    room_.Notify();
    if (finish) finish_();
  }

  // The peer is gone: what is queued is dropped.
  void Close() {
    {
      sync::MutexLock lock(mutex_);
      closed_ = true;
      queue_.clear();
    }
    room_.Notify();
  }

  bool closed() const {
    sync::MutexLock lock(mutex_);
    return closed_;
  }

 private:
  static constexpr size_t kHighWaterCount = 64;

  const std::function<void(const Message*)> start_write_;
  const std::function<void()> finish_;
  async::Event room_;
  mutable sync::Mutex mutex_;
  std::deque<std::shared_ptr<const Message>> queue_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Message> in_flight_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool finishing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_SEND_QUEUE_H_
