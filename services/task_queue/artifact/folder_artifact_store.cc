#include "services/task_queue/artifact/folder_artifact_store.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/artifact/artifact_proto.h"
#include "services/task_queue/artifact/file_ops.h"

namespace slipstream::artifact {

namespace {

constexpr size_t kMaxRecordBytes = 64 << 10;

class FolderReader final : public ArtifactReader {
 public:
  FolderReader(int fd, BlockingPool& pool) : fd_(fd), pool_(pool) {}
  ~FolderReader() override { close(fd_); }

  Async<absl::StatusOr<std::string>> Read(int64_t offset, int64_t size_bytes) override {
    co_return co_await pool_.Run<absl::StatusOr<std::string>>([&]() -> absl::StatusOr<std::string> {
      std::string bytes(static_cast<size_t>(size_bytes), '\0');
      size_t done = 0;
      while (done < bytes.size()) {
        const ssize_t n = pread(fd_, bytes.data() + done, bytes.size() - done,
                                static_cast<off_t>(offset) + static_cast<off_t>(done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return file_ops::Failed("read", "an artifact", errno);
        if (n == 0) break;
        done += static_cast<size_t>(n);
      }
      bytes.resize(done);
      return bytes;
    });
  }

 private:
  const int fd_;
  BlockingPool& pool_;
};

}  // namespace

absl::Status ArtifactNotFound(const std::string& artifact_id) {
  return status::Error(absl::StatusCode::kNotFound, kArtifactNotFound,
                       absl::StrCat("there is no artifact ", status::BoundedText(artifact_id, 64),
                                    "; files are kept for a limited time"));
}

class FolderUpload final : public ArtifactUpload {
 public:
  FolderUpload(FolderArtifactStore& store, std::string artifact_id, int fd)
      : store_(store),
        artifact_id_(std::move(artifact_id)),
        temporary_(store_.PathOf("tmp", artifact_id_)),
        fd_(fd) {}

  // Given up: one unlink, which does not wait for the disk.
  ~FolderUpload() override {
    if (fd_ >= 0) close(fd_);
    if (!committed_) unlink(temporary_.c_str());
  }

  Async<absl::Status> Append(std::string bytes) override {
    co_return co_await store_.pool_.Run<absl::Status>(
        [&] { return file_ops::WriteAll(fd_, bytes, temporary_); });
  }

  Async<absl::Status> Commit(ArtifactRecord record) override {
    absl::Status written =
        co_await store_.pool_.Run<absl::Status>([&] { return CommitFiles(record); });
    if (!written.ok()) co_return written;
    committed_ = true;
    store_.AddToIndex(record);
    co_return absl::OkStatus();
  }

 private:
  absl::Status CommitFiles(const ArtifactRecord& record) {
    absl::Status synced = file_ops::SyncAndClose(std::exchange(fd_, -1), temporary_);
    if (!synced.ok()) return synced;
    v1::Artifact proto;
    ToProto(record, &proto);
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(proto, &json).ok()) {
      return status::FieldError("name", "must be UTF-8");
    }
    const std::string record_temporary = temporary_ + ".record";
    auto fd = file_ops::CreateFile(record_temporary);
    if (!fd.ok()) return fd.status();
    absl::Status status = file_ops::WriteAll(*fd, json, record_temporary);
    absl::Status closed = file_ops::SyncAndClose(*fd, record_temporary);
    if (status.ok()) status = closed;
    if (status.ok()) {
      status = file_ops::RenameDurably(temporary_, store_.PathOf("files", artifact_id_),
                                       store_.directory_ + "/files");
    }
    if (status.ok()) {  // the commit
      status = file_ops::RenameDurably(record_temporary, store_.PathOf("records", artifact_id_),
                                       store_.directory_ + "/records");
    }
    if (!status.ok()) {
      unlink(record_temporary.c_str());
      unlink(store_.PathOf("files", artifact_id_).c_str());
    }
    return status;
  }

  FolderArtifactStore& store_;
  const std::string artifact_id_;
  const std::string temporary_;
  int fd_;
  bool committed_ = false;
};

absl::StatusOr<std::unique_ptr<FolderArtifactStore>> FolderArtifactStore::Open(
    const std::string& directory, BlockingPool& pool) {
  for (const char* folder : {"", "/tmp", "/files", "/records"}) {
    absl::Status made = file_ops::MakeFolder(directory + folder);
    if (made.ok()) continue;
    return status::Error(absl::StatusCode::kFailedPrecondition, kArtifactStoreFailed,
                         absl::StrCat("task_queue.artifact.directory: ", made.message()));
  }
  auto lock = file_ops::LockFile(directory + "/lock");
  if (!lock.ok()) return lock.status();
  std::unique_ptr<FolderArtifactStore> store(new FolderArtifactStore(directory, *lock, pool));
  if (absl::Status loaded = store->LoadRecords(); !loaded.ok()) return loaded;
  store->orphans_at_start_count_ = store->RemoveOrphans();
  return store;
}

FolderArtifactStore::~FolderArtifactStore() { close(lock_fd_); }

std::string FolderArtifactStore::PathOf(const char* folder, const std::string& artifact_id) const {
  return absl::StrCat(directory_, "/", folder, "/", artifact_id);
}

absl::Status FolderArtifactStore::LoadRecords() {
  for (const std::string& id : file_ops::ListFolder(directory_ + "/records")) {
    auto json = file_ops::ReadWholeFile(PathOf("records", id), kMaxRecordBytes);
    if (!json.ok()) return json.status();
    v1::Artifact proto;
    const bool read = google::protobuf::util::JsonStringToMessage(*json, &proto).ok();
    const bool whole = read && proto.artifact_id() == id &&
                       file_ops::FileSize(PathOf("files", id)) == proto.size_bytes();
    if (whole) {
      AddToIndex(FromProto(proto));
    } else if (absl::Status removed = RemoveFiles(id); !removed.ok()) {
      return removed;
    }
  }
  return absl::OkStatus();
}

int64_t FolderArtifactStore::RemoveOrphans() {
  int64_t count = 0;
  for (const std::string& name : file_ops::ListFolder(directory_ + "/tmp")) {
    if (file_ops::RemoveFile(PathOf("tmp", name)).ok()) ++count;
  }
  for (const std::string& id : file_ops::ListFolder(directory_ + "/files")) {
    if (file_ops::FileSize(PathOf("records", id)) >= 0) continue;
    if (file_ops::RemoveFile(PathOf("files", id)).ok()) ++count;
  }
  return count;
}

absl::Status FolderArtifactStore::RemoveFiles(const std::string& artifact_id) {
  absl::Status record = file_ops::RemoveFile(PathOf("records", artifact_id));
  if (!record.ok()) return record;
  return file_ops::RemoveFile(PathOf("files", artifact_id));
}

void FolderArtifactStore::AddToIndex(const ArtifactRecord& record) {
  sync::MutexLock lock(mu_);
  records_[record.artifact_id] = record;
  by_owner_[record.owner].insert({record.created_at, record.artifact_id});
  owner_bytes_[record.owner] += record.size_bytes;
  by_expiry_.insert({record.expires_at, record.artifact_id});
  held_bytes_ += record.size_bytes;
}

bool FolderArtifactStore::TakeFromIndex(const std::string& artifact_id, ArtifactRecord* taken) {
  sync::MutexLock lock(mu_);
  auto it = records_.find(artifact_id);
  if (it == records_.end()) return false;
  *taken = std::move(it->second);
  records_.erase(it);
  auto owned = by_owner_.find(taken->owner);
  owned->second.erase({taken->created_at, artifact_id});
  if (owned->second.empty()) by_owner_.erase(owned);
  auto bytes = owner_bytes_.find(taken->owner);
  bytes->second -= taken->size_bytes;
  if (bytes->second <= 0) owner_bytes_.erase(bytes);
  by_expiry_.erase({taken->expires_at, artifact_id});
  held_bytes_ -= taken->size_bytes;
  return true;
}

Async<absl::StatusOr<std::unique_ptr<ArtifactUpload>>> FolderArtifactStore::Begin(
    std::string artifact_id) {
  auto fd = co_await pool_.Run<absl::StatusOr<int>>(
      [&] { return file_ops::CreateFile(PathOf("tmp", artifact_id)); });
  if (!fd.ok()) co_return fd.status();
  co_return std::make_unique<FolderUpload>(*this, std::move(artifact_id), *fd);
}

Async<absl::StatusOr<ArtifactRecord>> FolderArtifactStore::Get(std::string artifact_id) {
  sync::MutexLock lock(mu_);
  auto it = records_.find(artifact_id);
  if (it == records_.end()) co_return ArtifactNotFound(artifact_id);
  co_return it->second;
}

Async<absl::StatusOr<std::unique_ptr<ArtifactReader>>> FolderArtifactStore::Open(
    std::string artifact_id) {
  // Only ids of the index become paths, so that no caller's text reaches the file system.
  auto record = co_await Get(artifact_id);
  if (!record.ok()) co_return record.status();
  auto fd = co_await pool_.Run<absl::StatusOr<int>>([&]() -> absl::StatusOr<int> {
    const std::string path = PathOf("files", record->artifact_id);
    const int opened = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (opened >= 0) return opened;
    if (errno == ENOENT) return ArtifactNotFound(record->artifact_id);
    return file_ops::Failed("open", path, errno);
  });
  if (!fd.ok()) co_return fd.status();
  co_return std::make_unique<FolderReader>(*fd, pool_);
}

Async<absl::StatusOr<ArtifactPage>> FolderArtifactStore::List(ArtifactQuery query) {
  sync::MutexLock lock(mu_);
  ArtifactPage page;
  auto owned = by_owner_.find(query.owner);
  if (owned == by_owner_.end()) co_return page;
  const std::set<Key>& keys = owned->second;
  auto it = keys.end();
  if (!query.after.empty()) {
    const size_t colon = query.after.find(':');
    int64_t nanos = 0;
    if (colon == std::string::npos || !absl::SimpleAtoi(query.after.substr(0, colon), &nanos)) {
      co_return status::FieldError("page_token", "is not a token of this listing");
    }
    it = keys.lower_bound({absl::FromUnixNanos(nanos), query.after.substr(colon + 1)});
  }
  while (it != keys.begin()) {
    const ArtifactRecord& record = records_.at((--it)->second);
    if (query.tenant && record.tenant != *query.tenant) continue;
    if (!query.task_id.empty() && record.task_id != query.task_id) continue;
    if (static_cast<int>(page.artifacts.size()) >= query.limit) {
      const ArtifactRecord& last = page.artifacts.back();
      page.next = absl::StrCat(absl::ToUnixNanos(last.created_at), ":", last.artifact_id);
      break;
    }
    page.artifacts.push_back(record);
  }
  co_return page;
}

Async<absl::Status> FolderArtifactStore::Remove(std::string artifact_id) {
  ArtifactRecord taken;
  if (!TakeFromIndex(artifact_id, &taken)) co_return ArtifactNotFound(artifact_id);
  co_return co_await pool_.Run<absl::Status>([&] { return RemoveFiles(taken.artifact_id); });
}

Async<absl::StatusOr<int64_t>> FolderArtifactStore::OwnerBytes(std::string owner) {
  sync::MutexLock lock(mu_);
  auto it = owner_bytes_.find(owner);
  co_return it == owner_bytes_.end() ? 0 : it->second;
}

Async<absl::StatusOr<ArtifactSweep>> FolderArtifactStore::Sweep(absl::Time now, int max_count,
                                                                bool dry_run) {
  ArtifactSweep result;
  std::vector<ArtifactRecord> over;
  {
    sync::MutexLock lock(mu_);
    for (const auto& [expires_at, id] : by_expiry_) {
      if (expires_at > now) break;
      if (static_cast<int>(over.size()) >= max_count) {
        result.more = true;
        break;
      }
      over.push_back(records_.at(id));
    }
  }
  for (const ArtifactRecord& record : over) {
    if (!dry_run) {
      absl::Status removed = co_await Remove(record.artifact_id);
      if (absl::IsNotFound(removed)) continue;
      if (!removed.ok()) co_return removed;
    }
    ++result.expired_count;
    result.freed_bytes += record.size_bytes;
  }
  co_return result;
}

int64_t FolderArtifactStore::held_bytes() const {
  sync::MutexLock lock(mu_);
  return held_bytes_;
}

}  // namespace slipstream::artifact
