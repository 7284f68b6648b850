// Where a Logger's lines go. FdSink writes to a descriptor; CapturedLog keeps lines for tests.
#ifndef SLIPSTREAM_LIBS_LOGGING_LOG_SINK_H_
#define SLIPSTREAM_LIBS_LOGGING_LOG_SINK_H_

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "libs/sync/mutex.h"

namespace slipstream::logging {

// Thread-safe. `line` is one JSON object without its newline, at most kMaxLineBytes - 1 long.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void WriteLine(std::string_view line) = 0;
  // Lines that WriteLine had to give up.
  virtual std::uint64_t dropped_count() const { return 0; }
};

// Waits up to kMaxStallMs for a reader, then drops lines at once until the descriptor takes data
// again, so neither a stopped reader nor a full pipe can hold a process up. Leaves the descriptor's
// flags alone (O_NONBLOCK would change it for every process that shares it).
class FdSink final : public LogSink {
 public:
  static constexpr int kMaxStallMs = 500;

  explicit FdSink(int fd) : fd_(fd) {}
  void WriteLine(std::string_view line) override;
  std::uint64_t dropped_count() const override { return dropped_.load(std::memory_order_relaxed); }

 private:
  // False when the descriptor takes no data within the time it has.
  bool WaitWritable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const int fd_;
  std::atomic<std::uint64_t> dropped_{0};
  sync::Mutex mutex_;
  bool stalled_ ABSL_GUARDED_BY(mutex_) = false;
};

// For tests: keeps what was logged.
class CapturedLog final : public LogSink {
 public:
  void WriteLine(std::string_view line) override;
  std::vector<std::string> lines() const;
  // Whether some line contains all of `parts`.
  bool Contains(std::initializer_list<std::string_view> parts) const;

 private:
  mutable sync::Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::logging

#endif  // SLIPSTREAM_LIBS_LOGGING_LOG_SINK_H_
