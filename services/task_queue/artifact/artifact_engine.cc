#include "services/task_queue/artifact/artifact_engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/artifact/content_type.h"

namespace slipstream::artifact {

namespace {

constexpr size_t kMaxNameBytes = 255;
constexpr size_t kMaxContentTypeBytes = 127;
constexpr int64_t kMinTtlMs = 60'000;
constexpr int64_t kMaxTtlMs = int64_t{7} * 86'400'000;
constexpr int kMaxSweepCount = 1'000;

bool IsName(const std::string& name) {
  return name.size() <= kMaxNameBytes && name != "." && name != ".." &&
         std::none_of(name.begin(), name.end(), [](char c) {
           return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

bool IsSha256(const std::string& text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c));
         });
}

absl::Status CheckUpload(const UploadSpec& spec) {
  if (!IsName(spec.name)) {
    return status::FieldError("name",
                              "must be a file name of 1-255 bytes without path or control "
                              "characters");
  }
  if (spec.content_type.size() > kMaxContentTypeBytes) {
    return status::FieldError("content_type", "may have at most 127 bytes");
  }
  if (!spec.task_id.empty() && !spec.by_service) {
    return status::FieldError("task_id", "may be set by services only");
  }
  if (spec.task_id.size() > 36) return status::FieldError("task_id", "must be a task's id");
  if (spec.ttl_ms != 0 && (spec.ttl_ms < kMinTtlMs || spec.ttl_ms > kMaxTtlMs)) {
    return status::FieldError("ttl_ms", "must be 60,000-604,800,000 (7 days), or 0");
  }
  if (!spec.sha256.empty() && !IsSha256(spec.sha256)) {
    return status::FieldError("sha256", "must be 64 hexadecimal digits");
  }
  return absl::OkStatus();
}

}  // namespace

// --- uploads

Async<absl::Status> ArtifactEngine::Reserve(std::string owner, int64_t bytes) {
  auto kept = co_await deps_.store.OwnerBytes(owner);
  if (!kept.ok()) co_return kept.status();
  sync::MutexLock lock(mu_);
  int64_t& uploading = uploading_bytes_[owner];
  if (*kept + uploading + bytes > limits_.max_user_bytes) {
    if (uploading == 0) uploading_bytes_.erase(owner);
    co_return status::Error(absl::StatusCode::kResourceExhausted, "USER_QUOTA_EXCEEDED",
                            absl::StrCat("your artifacts may take ", limits_.max_user_bytes,
                                         " bytes together; delete some, or wait until they "
                                         "expire"));
  }
  uploading += bytes;
  co_return absl::OkStatus();
}

void ArtifactEngine::Unreserve(const std::string& owner, int64_t bytes) {
  sync::MutexLock lock(mu_);
  auto it = uploading_bytes_.find(owner);
  if (it == uploading_bytes_.end()) return;
  it->second -= bytes;
  if (it->second <= 0) uploading_bytes_.erase(it);
}

Async<absl::StatusOr<std::unique_ptr<ArtifactEngine::Intake>>> ArtifactEngine::Begin(
    Caller caller, UploadSpec spec) {
  if (absl::Status checked = CheckUpload(spec); !checked.ok()) co_return checked;
  ArtifactRecord record;
  record.artifact_id = random::Uuid7(deps_.clock, deps_.random);
  record.name = spec.name.empty() ? "upload" : spec.name;
  record.owner = caller.user;
  record.tenant = caller.tenant;
  record.task_id = spec.task_id;
  auto upload = co_await deps_.store.Begin(record.artifact_id);
  if (!upload.ok()) co_return upload.status();
  co_return std::unique_ptr<Intake>(
      new Intake(*this, std::move(record), std::move(spec), *std::move(upload)));
}

ArtifactEngine::Intake::~Intake() { engine_.Unreserve(record_.owner, record_.size_bytes); }

Async<absl::Status> ArtifactEngine::Intake::Append(std::string bytes) {
  const int64_t size = static_cast<int64_t>(bytes.size());
  const int64_t most = engine_.limits_.max_artifact_bytes;
  if (record_.size_bytes + size > most) {
    co_return status::Error(absl::StatusCode::kResourceExhausted, "ARTIFACT_TOO_LARGE",
                            absl::StrCat("a file may have at most ", most, " bytes"));
  }
  absl::Status reserved = co_await engine_.Reserve(record_.owner, size);
  if (!reserved.ok()) co_return reserved;
  record_.size_bytes += size;
  sha256_.Add(bytes);
  if (head_.size() < kSniffBytes) head_.append(bytes, 0, kSniffBytes - head_.size());
  co_return co_await upload_->Append(std::move(bytes));
}

Async<absl::StatusOr<ArtifactRecord>> ArtifactEngine::Intake::Finish() {
  auto type = ContentTypeOf(spec_.content_type, head_);
  if (!type.ok()) co_return type.status();
  record_.content_type = *std::move(type);
  record_.sha256 = sha256_.Hex();
  if (!spec_.sha256.empty() && absl::AsciiStrToLower(spec_.sha256) != record_.sha256) {
    co_return status::Error(
        absl::StatusCode::kDataLoss, "SHA256_MISMATCH",
        absl::StrCat("the bytes received have SHA-256 ", record_.sha256, "; upload them again"));
  }
  record_.created_at = engine_.deps_.clock.Now();
  record_.expires_at = record_.created_at + (spec_.ttl_ms > 0 ? absl::Milliseconds(spec_.ttl_ms)
                                                              : engine_.limits_.default_ttl);
  absl::Status committed = co_await upload_->Commit(record_);
  if (!committed.ok()) co_return committed;
  const ArtifactRecord kept = record_;
  engine_.deps_.series.uploads.Increment();
  engine_.deps_.series.bytes_in.Increment(static_cast<uint64_t>(kept.size_bytes));
  co_return kept;
}

// --- reads and removals

Async<absl::StatusOr<ArtifactRecord>> ArtifactEngine::Get(Caller caller, std::string artifact_id) {
  auto record = co_await deps_.store.Get(artifact_id);
  if (!record.ok()) co_return record.status();
  if (!MayAccess(caller, record->owner, record->tenant)) co_return ArtifactNotFound(artifact_id);
  // Its time counts, not the sweep's.
  if (record->expires_at <= deps_.clock.Now()) co_return ArtifactNotFound(artifact_id);
  co_return record;
}

Async<absl::StatusOr<std::pair<ArtifactRecord, std::unique_ptr<ArtifactReader>>>>
ArtifactEngine::Open(Caller caller, std::string artifact_id) {
  auto record = co_await Get(caller, artifact_id);
  if (!record.ok()) co_return record.status();
  auto reader = co_await deps_.store.Open(artifact_id);
  if (!reader.ok()) co_return reader.status();
  co_return std::make_pair(*std::move(record), *std::move(reader));
}

Async<absl::StatusOr<ArtifactPage>> ArtifactEngine::List(Caller caller, ArtifactQuery query) {
  if (query.owner.empty()) query.owner = caller.user;
  if (!caller.admin) {
    if (query.owner != caller.user) {
      co_return status::Error(absl::StatusCode::kPermissionDenied, "NOT_YOUR_ARTIFACTS",
                              "only administrators may list another user's files; leave owner "
                              "empty for your own");
    }
    query.tenant = caller.tenant;
  }
  co_return co_await deps_.store.List(std::move(query));
}

Async<absl::Status> ArtifactEngine::Remove(Caller caller, std::string artifact_id) {
  auto record = co_await Get(caller, artifact_id);
  if (!record.ok()) co_return record.status();
  absl::Status removed = co_await deps_.store.Remove(artifact_id);
  if (removed.ok()) deps_.series.removed.With({"deleted"}).Increment();
  co_return removed;
}

Async<absl::StatusOr<ArtifactSweep>> ArtifactEngine::Sweep(bool dry_run) {
  auto swept = co_await deps_.store.Sweep(deps_.clock.Now(), kMaxSweepCount, dry_run);
  if (swept.ok() && !dry_run) {
    deps_.series.removed.With({"expired"}).Increment(static_cast<uint64_t>(swept->expired_count));
    deps_.series.removed.With({"orphan"}).Increment(static_cast<uint64_t>(swept->orphans_count));
  }
  co_return swept;
}

}  // namespace slipstream::artifact
