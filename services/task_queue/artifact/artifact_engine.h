// ArtifactEngine: who may keep, read and remove which file, and how much.
//
// An artifact belongs to who uploaded it, or on whose behalf a worker did; to others it does not
// exist (MayAccess in ../caller.h). Bytes are bounded per file and per user, uploads in progress
// included, so that parallel uploads can't pass the user's limit together.
//
// Thread safety: the engine from any thread; an intake by one coroutine at a time.
// Errors: INVALID_ARGUMENT by field, RESOURCE_EXHAUSTED (ARTIFACT_TOO_LARGE, USER_QUOTA_EXCEEDED),
// DATA_LOSS (SHA256_MISMATCH), and the store's.
#ifndef SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_ENGINE_H_
#define SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_ENGINE_H_

#include <map>
#include <memory>
#include <string>

#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "libs/sync/mutex.h"
#include "services/task_queue/artifact/artifact_store.h"
#include "services/task_queue/artifact/sha256.h"
#include "services/task_queue/caller.h"
#include "services/task_queue/task_queue_metrics.h"

namespace slipstream::artifact {

using task_queue::Caller;

struct ArtifactLimits {
  int64_t max_artifact_bytes = int64_t{100} << 20;
  int64_t max_user_bytes = int64_t{1} << 30;
  absl::Duration default_ttl = absl::Hours(24);
};

// What the first message of an upload says.
struct UploadSpec {
  std::string name;
  std::string content_type;
  std::string task_id;
  int64_t ttl_ms = 0;
  std::string sha256;
  bool by_service = false;  // the caller is, or acts through, a service
};

class ArtifactEngine {
 public:
  struct Deps {
    ArtifactStore& store;
    const clock::Clock& clock;
    random::Random& random;
    task_queue::ArtifactSeries series;
  };
  ArtifactEngine(Deps deps, ArtifactLimits limits) : deps_(std::move(deps)), limits_(limits) {}

  // One upload. Destroyed before Finish: nothing is kept.
  class Intake {
   public:
    ~Intake();
    Async<absl::Status> Append(std::string bytes);
    Async<absl::StatusOr<ArtifactRecord>> Finish();

   private:
    friend class ArtifactEngine;
    Intake(ArtifactEngine& engine, ArtifactRecord record, UploadSpec spec,
           std::unique_ptr<ArtifactUpload> upload)
        : engine_(engine),
          record_(std::move(record)),
          spec_(std::move(spec)),
          upload_(std::move(upload)) {}

    ArtifactEngine& engine_;
    ArtifactRecord record_;
    const UploadSpec spec_;
    std::unique_ptr<ArtifactUpload> upload_;
    Sha256 sha256_;
    std::string head_;  // for finding the kind of file
  };

  Async<absl::StatusOr<std::unique_ptr<Intake>>> Begin(Caller caller, UploadSpec spec);
  Async<absl::StatusOr<ArtifactRecord>> Get(Caller caller, std::string artifact_id);
  // The caller's own record and its reader.
  Async<absl::StatusOr<std::pair<ArtifactRecord, std::unique_ptr<ArtifactReader>>>> Open(
      Caller caller, std::string artifact_id);
  Async<absl::StatusOr<ArtifactPage>> List(Caller caller, ArtifactQuery query);
  Async<absl::Status> Remove(Caller caller, std::string artifact_id);
  Async<absl::StatusOr<ArtifactSweep>> Sweep(bool dry_run);

  const task_queue::ArtifactSeries& series() const { return deps_.series; }

 private:
  // Takes `bytes` of the user's room; false when there is not enough.
  Async<absl::Status> Reserve(std::string owner, int64_t bytes);
  void Unreserve(const std::string& owner, int64_t bytes);

  const Deps deps_;
  const ArtifactLimits limits_;
  sync::Mutex mu_;
  std::map<std::string, int64_t> uploading_bytes_ ABSL_GUARDED_BY(mu_);  // by owner
};

}  // namespace slipstream::artifact

#endif  // SERVICES_TASK_QUEUE_ARTIFACT_ARTIFACT_ENGINE_H_
