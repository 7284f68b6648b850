#include "services/task_queue/artifact/file_ops.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/artifact/artifact_store.h"

namespace slipstream::artifact::file_ops {

absl::Status Failed(const std::string& what, const std::string& path, int error_number) {
  return status::Error(absl::StatusCode::kUnavailable, kArtifactStoreFailed,
                       absl::StrCat("can't ", what, " ", path, ": ", std::strerror(error_number),
                                    "; look at the disk's space and the folder's owner"));
}

absl::Status MakeFolder(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    mkdir(path.substr(0, slash).c_str(), 0700);  // a parent that fails shows below
  }
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return absl::OkStatus();
  return Failed("create folder", path, errno);
}

absl::StatusOr<int> LockFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Failed("open", path, errno);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  close(fd);
  return status::Error(absl::StatusCode::kFailedPrecondition, kArtifactStoreFailed,
                       absl::StrCat(path,
                                    " is held by another process: each task queue needs a "
                                    "task_queue.artifact.directory of its own"));
}

absl::StatusOr<int> CreateFile(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return Failed("create", path, errno);
  return fd;
}

absl::Status WriteAll(int fd, const std::string& bytes, const std::string& path) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("write", path, errno);
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status SyncAndClose(int fd, const std::string& path) {
  const int synced = fsync(fd);
  const int error_number = errno;
  close(fd);
  return synced == 0 ? absl::OkStatus() : Failed("sync", path, error_number);
}

absl::Status RenameDurably(const std::string& from, const std::string& to,
                           const std::string& folder_of_to) {
  if (rename(from.c_str(), to.c_str()) != 0) return Failed("rename to", to, errno);
  const int fd = open(folder_of_to.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Failed("open folder", folder_of_to, errno);
  return SyncAndClose(fd, folder_of_to);
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return Failed("remove", path, errno);
}

std::vector<std::string> ListFolder(const std::string& path) {
  std::vector<std::string> names;
  DIR* folder = opendir(path.c_str());
  if (folder == nullptr) return names;
  while (const dirent* entry = readdir(folder)) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(folder);
  return names;
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Failed("open", path, errno);
  std::string bytes(max_bytes, '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = read(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  close(fd);
  bytes.resize(done);
  return bytes;
}

int64_t FileSize(const std::string& path) {
  struct stat info{};
  return stat(path.c_str(), &info) == 0 ? static_cast<int64_t>(info.st_size) : -1;
}

}  // namespace slipstream::artifact::file_ops
