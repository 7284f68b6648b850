// ArtifactStore: where files and their records are kept. The seam between the service and a folder
// (or an object store).
//
// A file exists from the moment Commit answers: a crash before leaves nothing that can be read, and
// what it leaves on the disk is swept. Deleting is final at once, even while someone reads: an open
// reader keeps its bytes.
//
// Thread safety: a store from any thread; an upload and a reader by one coroutine at a time.
// Errors: NOT_FOUND, reason ARTIFACT_NOT_FOUND; UNAVAILABLE, reason ARTIFACT_STORE_FAILED, when the
// disk is full or away.
#ifndef SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_STORE_H_
#define SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "services/task_queue/artifact/artifact.h"

namespace slipstream::artifact {

inline constexpr char kArtifactNotFound[] = "ARTIFACT_NOT_FOUND";
inline constexpr char kArtifactStoreFailed[] = "ARTIFACT_STORE_FAILED";

absl::Status ArtifactNotFound(const std::string& artifact_id);

// Bytes on their way in. Destroyed without Commit: nothing is kept.
class ArtifactUpload {
 public:
  virtual ~ArtifactUpload() = default;
  virtual Async<absl::Status> Append(std::string bytes) = 0;
  virtual Async<absl::Status> Commit(ArtifactRecord record) = 0;
};

class ArtifactReader {
 public:
  virtual ~ArtifactReader() = default;
  // Up to `size_bytes` from `offset`; fewer only at the end.
  virtual Async<absl::StatusOr<std::string>> Read(int64_t offset, int64_t size_bytes) = 0;
};

struct ArtifactQuery {
  std::string owner;
  std::optional<std::string> tenant;  // absent: whatever the tenant
  std::string task_id;                // empty: all
  std::string after;                  // ArtifactPage::next of the page before
  int limit = 20;
};

struct ArtifactPage {
  std::vector<ArtifactRecord> artifacts;  // newest first
  std::string next;                       // empty on the last page
};

struct ArtifactSweep {
  int64_t expired_count = 0;
  int64_t orphans_count = 0;
  int64_t freed_bytes = 0;
  bool more = false;
};

class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;

  virtual Async<absl::StatusOr<std::unique_ptr<ArtifactUpload>>> Begin(std::string artifact_id) = 0;
  virtual Async<absl::StatusOr<ArtifactRecord>> Get(std::string artifact_id) = 0;
  virtual Async<absl::StatusOr<std::unique_ptr<ArtifactReader>>> Open(std::string artifact_id) = 0;
  virtual Async<absl::StatusOr<ArtifactPage>> List(ArtifactQuery query) = 0;
  virtual Async<absl::Status> Remove(std::string artifact_id) = 0;
  // What all files of a user take together.
  virtual Async<absl::StatusOr<int64_t>> OwnerBytes(std::string owner) = 0;
  // Removes what has expired, and orphans; at most `max_count`.
  virtual Async<absl::StatusOr<ArtifactSweep>> Sweep(absl::Time now, int max_count,
                                                     bool dry_run) = 0;
  virtual int64_t held_bytes() const = 0;
};

}  // namespace slipstream::artifact

#endif  // SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_STORE_H_
