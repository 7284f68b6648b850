// A file descriptor with one owner. Thread safety: as an int.
#ifndef SERVICES_WORKER_PDF_UNIQUE_FD_H_
#define SERVICES_WORKER_PDF_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace slipstream::worker::pdf {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd() { reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

}  // namespace slipstream::worker::pdf

#endif  // SERVICES_WORKER_PDF_UNIQUE_FD_H_
