// ArtifactStore in a folder that one process owns (a lock file holds others off):
//
//   tmp/ID       bytes on their way in
//   files/ID     the bytes
//   records/ID   the record, an artifact.v1.Artifact as JSON; its rename is what commits
//
// Bytes are synced and renamed before the record is; removal takes the record first. So a file
// without a record is an orphan of a crash and is swept, and a record always has its file.
// Records are read once at the start and kept in memory.
//
// Thread safety: as ArtifactStore. Files are touched on the pool's threads only.
#ifndef SERVICES_TASK_QUEUE_ARTIFACT_FOLDER_ARTIFACT_STORE_H_
#define SERVICES_TASK_QUEUE_ARTIFACT_FOLDER_ARTIFACT_STORE_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "libs/sync/mutex.h"
#include "services/task_queue/artifact/artifact_store.h"
#include "services/task_queue/artifact/blocking_pool.h"

namespace slipstream::artifact {

class FolderArtifactStore final : public ArtifactStore {
 public:
  // Creates the folder (mode 0700), takes its lock, reads the records and removes orphans. Blocks:
  // for the start of a process. FAILED_PRECONDITION naming the folder when it can't be used or
  // another process has it. `pool` outlives the store.
  static absl::StatusOr<std::unique_ptr<FolderArtifactStore>> Open(const std::string& directory,
                                                                   BlockingPool& pool);
  ~FolderArtifactStore() override;

  Async<absl::StatusOr<std::unique_ptr<ArtifactUpload>>> Begin(std::string artifact_id) override;
  Async<absl::StatusOr<ArtifactRecord>> Get(std::string artifact_id) override;
  Async<absl::StatusOr<std::unique_ptr<ArtifactReader>>> Open(std::string artifact_id) override;
  Async<absl::StatusOr<ArtifactPage>> List(ArtifactQuery query) override;
  Async<absl::Status> Remove(std::string artifact_id) override;
  Async<absl::StatusOr<int64_t>> OwnerBytes(std::string owner) override;
  Async<absl::StatusOr<ArtifactSweep>> Sweep(absl::Time now, int max_count, bool dry_run) override;
  int64_t held_bytes() const override;

  // Orphans removed at the start.
  int64_t orphans_at_start_count() const { return orphans_at_start_count_; }

 private:
  friend class FolderUpload;
  // Sorts by time: (created, id).
  using Key = std::pair<absl::Time, std::string>;

  FolderArtifactStore(std::string directory, int lock_fd, BlockingPool& pool)
      : directory_(std::move(directory)), lock_fd_(lock_fd), pool_(pool) {}

  std::string PathOf(const char* folder, const std::string& artifact_id) const;
  absl::Status LoadRecords();
  int64_t RemoveOrphans();
  absl::Status RemoveFiles(const std::string& artifact_id);
  void AddToIndex(const ArtifactRecord& record);
  bool TakeFromIndex(const std::string& artifact_id, ArtifactRecord* taken);

  const std::string directory_;
  const int lock_fd_;
  BlockingPool& pool_;
  int64_t orphans_at_start_count_ = 0;
  mutable sync::Mutex mu_;
  std::map<std::string, ArtifactRecord> records_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::set<Key>> by_owner_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int64_t> owner_bytes_ ABSL_GUARDED_BY(mu_);
  std::set<Key> by_expiry_ ABSL_GUARDED_BY(mu_);
  int64_t held_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace slipstream::artifact

#endif  // SERVICES_TASK_QUEUE_ARTIFACT_FOLDER_ARTIFACT_STORE_H_
