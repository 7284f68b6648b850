// The few file operations of the folder store, with their errors as Status. All of them block.
//
// Thread safety: free functions. Errors: UNAVAILABLE, reason ARTIFACT_STORE_FAILED, naming the
// operation, the file and the system's words.
#ifndef SERVICES_TASK_QUEUE_ARTIFACT_FILE_OPS_H_
#define SERVICES_TASK_QUEUE_ARTIFACT_FILE_OPS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace slipstream::artifact::file_ops {

absl::Status Failed(const std::string& what, const std::string& path, int error_number);
// With its parents; mode 0700; it may exist.
absl::Status MakeFolder(const std::string& path);
// A file that is held by no other process; the descriptor keeps the lock.
absl::StatusOr<int> LockFile(const std::string& path);
absl::StatusOr<int> CreateFile(const std::string& path);  // mode 0600, must not exist
absl::Status WriteAll(int fd, const std::string& bytes, const std::string& path);
absl::Status SyncAndClose(int fd, const std::string& path);
// The rename is on the disk when it returns.
absl::Status RenameDurably(const std::string& from, const std::string& to,
                           const std::string& folder_of_to);
absl::Status RemoveFile(const std::string& path);  // one that is not there is no error
std::vector<std::string> ListFolder(const std::string& path);
absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_bytes);
int64_t FileSize(const std::string& path);  // -1 when it is not there

}  // namespace slipstream::artifact::file_ops

#endif  // SERVICES_TASK_QUEUE_ARTIFACT_FILE_OPS_H_
