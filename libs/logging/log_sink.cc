#include "libs/logging/log_sink.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <string>

namespace slipstream::logging {

bool FdSink::WaitWritable() {
  struct pollfd p = {fd_, POLLOUT, 0};
  const int timeout_ms = stalled_ ? 0 : kMaxStallMs;
  int ready = 0;
  do {
    ready = ::poll(&p, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  // A pipe is POLLOUT only when PIPE_BUF bytes fit, which is a whole line: write() won't block.
  // A file or a pipe whose reader is gone lets write() decide.
  stalled_ = ready <= 0;
  return !stalled_;
}

void FdSink::WriteLine(std::string_view line) {
  std::string text(line);
  text += '\n';
  sync::MutexLock lock(mutex_);
  std::size_t done = 0;
  while (done < text.size()) {
    if (!WaitWritable()) break;
    const ssize_t n = ::write(fd_, text.data() + done, text.size() - done);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        stalled_ = true;
      }
      break;
    }
    done += static_cast<std::size_t>(n);
  }
  if (done < text.size()) dropped_.fetch_add(1, std::memory_order_relaxed);
}

void CapturedLog::WriteLine(std::string_view line) {
  sync::MutexLock lock(mutex_);
  lines_.emplace_back(line);
}

std::vector<std::string> CapturedLog::lines() const {
  sync::MutexLock lock(mutex_);
  return lines_;
}

bool CapturedLog::Contains(std::initializer_list<std::string_view> parts) const {
  sync::MutexLock lock(mutex_);
  for (const std::string& line : lines_) {
    bool all = true;
    for (std::string_view part : parts) all = all && line.find(part) != std::string::npos;
    if (all) return true;
  }
  return false;
}

}  // namespace slipstream::logging
