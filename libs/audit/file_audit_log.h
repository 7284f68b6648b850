// The audit log in a file, one JSON object a line.
//
// Durability: Record puts the line into a queue; one thread of the log's own writes all that is
// queued and then calls fdatasync once (group commit), so an entry is on the disk milliseconds
// after Record returned. A crash of the process or machine loses what was in the queue at that
// moment; a normal end loses nothing. A disk that fails or is too slow (the queue is full) loses
// lines: they are counted, logged at most once in 10 s, and the entries stay readable in memory.
// The calls that are audited go on.
//
// Thread safety: all methods may be called from any thread. The destructor waits for the queue to
// drain.
#ifndef SLIPSTREAM_LIBS_AUDIT_FILE_AUDIT_LOG_H_
#define SLIPSTREAM_LIBS_AUDIT_FILE_AUDIT_LOG_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "libs/audit/audit_file.h"
#include "libs/audit/audit_log.h"
#include "libs/audit/audit_ring.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/sync/mutex.h"

namespace slipstream::audit {

struct AuditLogOptions {
  AuditFileOptions file;               // an empty path: the process's own log and memory
  size_t memory_entry_count = 10'000;  // latest entries that List sees
  size_t max_queued_bytes = 8 * 1024 * 1024;
};

// A FileAuditLog, or without a path a MemoryAuditLog. Errors: FAILED_PRECONDITION, reason
// AUDIT_FILE_UNUSABLE. `clock` and `random` must outlive the log.
absl::StatusOr<std::unique_ptr<AuditLog>> OpenAuditLog(AuditLogOptions options, clock::Clock& clock,
                                                       random::Random& random,
                                                       logging::Logger logger);

class FileAuditLog final : public AuditLog {
 public:
  static absl::StatusOr<std::unique_ptr<FileAuditLog>> Open(AuditLogOptions options,
                                                            clock::Clock& clock,
                                                            random::Random& random,
                                                            logging::Logger logger);
  ~FileAuditLog() override;

  bool Record(AuditEntry entry) override;
  AuditPage List(const AuditQuery& query) const override;
  AuditStats Stats() const override;
  bool Flush(absl::Duration timeout) override;

 private:
  FileAuditLog(AuditLogOptions options, clock::Clock& clock, random::Random& random,
               logging::Logger logger);
  void WriteLoop();
  void WriteBatch(const std::vector<std::string>& batch);

  const AuditLogOptions options_;
  clock::Clock& clock_;
  random::Random& random_;
  const logging::Logger logger_;

  AuditFile file_;                                             // the writer's, once it runs
  absl::Duration last_complaint_ = -absl::InfiniteDuration();  // the writer's
  uint64_t complained_lost_total_ = 0;                         // the writer's

  mutable sync::Mutex mu_;
  sync::CondVar work_;  // something is queued, or stopping_
  sync::CondVar done_;  // finished_total_ has grown
  AuditRing ring_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> queue_ ABSL_GUARDED_BY(mu_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t enqueued_total_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t finished_total_ ABSL_GUARDED_BY(mu_) = 0;  // of enqueued: written or lost
  AuditStats stats_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread writer_;
};

}  // namespace slipstream::audit

#endif  // SLIPSTREAM_LIBS_AUDIT_FILE_AUDIT_LOG_H_
