// The file that audit lines are appended to: O_APPEND, mode 0600, one write per line, synced per
// batch, rotated by size (FILE, FILE.1 the latest, ... FILE.N the oldest).
//
// A line that was torn (a crash, a full disk) is ended before the next is written, so one loss
// never spoils two lines. When somebody moves or removes the file, the next batch opens it anew.
// One process per file: two would rotate it under one another.
//
// Thread safety: none; one thread at a time.
#ifndef SLIPSTREAM_LIBS_AUDIT_AUDIT_FILE_H_
#define SLIPSTREAM_LIBS_AUDIT_AUDIT_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace slipstream::audit {

struct AuditFileOptions {
  std::string path;
  // A file that would grow beyond is rotated first. The longest line always fits an empty file.
  uint64_t max_file_bytes = 64 * 1024 * 1024;
  // Rotated files kept; the oldest is overwritten, so the log takes at most (this + 1) *
  // max_file_bytes.
  int max_rotated_file_count = 10;
};

class AuditFile {
 public:
  explicit AuditFile(AuditFileOptions options);
  ~AuditFile();
  AuditFile(const AuditFile&) = delete;
  AuditFile& operator=(const AuditFile&) = delete;

  // Errors: FAILED_PRECONDITION, reason AUDIT_FILE_UNUSABLE.
  absl::Status Open();

  struct Appended {
    size_t line_count = 0;  // lines that are on the disk
    absl::Status status;    // why others are not
  };
  // Writes the lines, each ending in a newline, and syncs once. Goes on after a line that fails.
  Appended Append(const std::vector<std::string>& lines);

  uint64_t rotations_total() const { return rotations_total_; }

 private:
  absl::Status ReopenIfMoved();
  absl::Status WriteLine(const std::string& line);
  absl::Status Rotate();
  absl::Status Failure(const char* what, int error) const;
  void Close();

  const AuditFileOptions options_;
  int fd_ = -1;
  uint64_t size_bytes_ = 0;
  bool torn_ = false;  // the file does not end in a newline
  uint64_t rotations_total_ = 0;
};

}  // namespace slipstream::audit

#endif  // SLIPSTREAM_LIBS_AUDIT_AUDIT_FILE_H_
