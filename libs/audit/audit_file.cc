#include "libs/audit/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "libs/status/status.h"

namespace slipstream::audit {

AuditFile::AuditFile(AuditFileOptions options) : options_(std::move(options)) {}

AuditFile::~AuditFile() { Close(); }

void AuditFile::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

absl::Status AuditFile::Failure(const char* what, int error) const {
  return status::Error(absl::StatusCode::kFailedPrecondition, "AUDIT_FILE_UNUSABLE",
                       "audit file " + options_.path + ": " + what + " failed (" +
                           std::generic_category().message(error) +
                           "); check the folder, its permissions and the free space");
}

absl::Status AuditFile::Open() {
  Close();
  // Readable too, to see whether the last line is whole. O_NONBLOCK: a FIFO must not hang us.
  fd_ = open(options_.path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd_ < 0) return Failure("open", errno);
  struct stat info{};
  if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    Close();
    return Failure("open as a regular file", EINVAL);
  }
  size_bytes_ = static_cast<uint64_t>(info.st_size);
  char last = '\n';
  torn_ = size_bytes_ > 0 && (pread(fd_, &last, 1, info.st_size - 1) != 1 || last != '\n');
  return absl::OkStatus();
}

absl::Status AuditFile::ReopenIfMoved() {
  if (fd_ >= 0) {
    struct stat ours{};
    struct stat named{};
    if (fstat(fd_, &ours) == 0 && stat(options_.path.c_str(), &named) == 0 &&
        ours.st_dev == named.st_dev && ours.st_ino == named.st_ino) {
      return absl::OkStatus();
    }
  }
  return Open();
}

absl::Status AuditFile::Rotate() {
  const auto numbered = [this](int n) { return options_.path + "." + std::to_string(n); };
  const int kept = options_.max_rotated_file_count;
  for (int n = kept - 1; n >= 1; --n) {
    if (rename(numbered(n).c_str(), numbered(n + 1).c_str()) != 0 && errno != ENOENT) {
      return Failure("rotation", errno);
    }
  }
  const int done =
      kept > 0 ? rename(options_.path.c_str(), numbered(1).c_str()) : unlink(options_.path.c_str());
  if (done != 0 && errno != ENOENT) return Failure("rotation", errno);
  ++rotations_total_;
  return Open();
}

absl::Status AuditFile::WriteLine(const std::string& line) {
  const std::string text = torn_ ? "\n" + line : line;
  if (size_bytes_ > 0 && size_bytes_ + text.size() > options_.max_file_bytes) {
    // A file that cannot be rotated still takes lines: losing entries would be worse than a large
    // file.
    const absl::Status rotated = Rotate();
    if (fd_ < 0) return rotated;
  }
  ssize_t written = 0;
  do {
    written = write(fd_, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) return Failure("write", errno);
  size_bytes_ += static_cast<uint64_t>(written);
  torn_ = text[static_cast<size_t>(written) - (written > 0 ? 1 : 0)] != '\n';
  if (static_cast<size_t>(written) != text.size()) return Failure("write", ENOSPC);
  return absl::OkStatus();
}

AuditFile::Appended AuditFile::Append(const std::vector<std::string>& lines) {
  Appended result;
  result.status = ReopenIfMoved();
  if (!result.status.ok()) return result;
  for (const std::string& line : lines) {
    const absl::Status written = fd_ >= 0 ? WriteLine(line) : Open();
    if (written.ok()) {
      ++result.line_count;
    } else {
      result.status = written;
    }
    if (fd_ < 0) break;
  }
  if (fd_ >= 0 && fdatasync(fd_) != 0) {
    // The kernel may have dropped any of them.
    result.line_count = 0;
    result.status = Failure("sync", errno);
  }
  return result;
}

}  // namespace slipstream::audit
