#include "libs/audit/file_audit_log.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "libs/audit/memory_audit_log.h"
#include "libs/sync/deadline.h"

namespace slipstream::audit {
namespace {

constexpr absl::Duration kComplaintInterval = absl::Seconds(10);
constexpr absl::Duration kMaxFlushWait = absl::Hours(1);

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLog>> OpenAuditLog(AuditLogOptions options, clock::Clock& clock,
                                                       random::Random& random,
                                                       logging::Logger logger) {
  if (options.file.path.empty()) {
    return std::make_unique<MemoryAuditLog>(options.memory_entry_count, clock, random,
                                            std::move(logger));
  }
  return FileAuditLog::Open(std::move(options), clock, random, std::move(logger));
}

FileAuditLog::FileAuditLog(AuditLogOptions options, clock::Clock& clock, random::Random& random,
                           logging::Logger logger)
    : options_(std::move(options)),
      clock_(clock),
      random_(random),
      logger_(std::move(logger)),
      file_(options_.file),
      ring_(options_.memory_entry_count) {}

absl::StatusOr<std::unique_ptr<FileAuditLog>> FileAuditLog::Open(AuditLogOptions options,
                                                                 clock::Clock& clock,
                                                                 random::Random& random,
                                                                 logging::Logger logger) {
  std::unique_ptr<FileAuditLog> log(
      new FileAuditLog(std::move(options), clock, random, std::move(logger)));
  if (const absl::Status opened = log->file_.Open(); !opened.ok()) return opened;
  log->writer_ = std::thread([log = log.get()] { log->WriteLoop(); });
  return log;
}

FileAuditLog::~FileAuditLog() {
  {
    sync::MutexLock lock(mu_);
    stopping_ = true;
  }
  work_.Signal();
  if (writer_.joinable()) writer_.join();
}

bool FileAuditLog::Record(AuditEntry entry) {
  entry = Completed(std::move(entry), clock_, random_);
  std::string line = ToJsonLine(entry);
  {
    sync::MutexLock lock(mu_);
    if (!ring_.Add(std::move(entry))) return false;
    ++stats_.recorded_total;
    if (queued_bytes_ + line.size() > options_.max_queued_bytes) {
      ++stats_.lost_total;  // the writer logs it with its next batch
      return true;
    }
    queued_bytes_ += line.size();
    queue_.push_back(std::move(line));
    ++enqueued_total_;
  }
  work_.Signal();
  return true;
}

void FileAuditLog::WriteLoop() {
  while (true) {
    std::vector<std::string> batch;
    {
      sync::MutexLock lock(mu_);
      while (queue_.empty() && !stopping_) work_.Wait(mu_);
      if (queue_.empty()) return;
      batch.swap(queue_);
      queued_bytes_ = 0;
    }
    WriteBatch(batch);
  }
}

void FileAuditLog::WriteBatch(const std::vector<std::string>& batch) {
  const AuditFile::Appended appended = file_.Append(batch);
  uint64_t lost_total = 0;
  {
    sync::MutexLock lock(mu_);
    stats_.written_total += appended.line_count;
    stats_.lost_total += batch.size() - appended.line_count;
    stats_.rotations_total = file_.rotations_total();
    stats_.healthy = appended.status.ok();
    finished_total_ += batch.size();
    lost_total = stats_.lost_total;
  }
  done_.SignalAll();
  if (lost_total == complained_lost_total_) return;
  const absl::Duration now = clock_.Monotonic();
  if (now - last_complaint_ < kComplaintInterval) return;
  last_complaint_ = now;
  complained_lost_total_ = lost_total;
  logger_.Error("audit entries could not be written; they are in memory only",
                {{"error", appended.status}, {"lost_total", lost_total}});
}

AuditPage FileAuditLog::List(const AuditQuery& query) const {
  sync::MutexLock lock(mu_);
  return ring_.List(query);
}

AuditStats FileAuditLog::Stats() const {
  sync::MutexLock lock(mu_);
  AuditStats stats = stats_;
  stats.queued_count = enqueued_total_ - finished_total_;
  return stats;
}

bool FileAuditLog::Flush(absl::Duration timeout) {
  const sync::Deadline deadline(std::min(timeout, kMaxFlushWait));
  sync::MutexLock lock(mu_);
  const uint64_t wanted = enqueued_total_;
  while (finished_total_ < wanted) {
    if (deadline.Passed()) return false;
    (void)done_.WaitFor(mu_, deadline.Left());
  }
  return true;
}

}  // namespace slipstream::audit
