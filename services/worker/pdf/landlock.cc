#include "services/worker/pdf/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::worker::pdf {
namespace {

// The header of the build machine may be older than the running kernel; the kernel takes the
// attribute in any length whose unknown tail is zero.
struct RulesetAttr {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;  // ABI 4
  uint64_t scoped;              // ABI 6
};
constexpr uint64_t kFsTruncate = 1ULL << 14;      // ABI 3
constexpr uint64_t kFsIoctlDev = 1ULL << 15;      // ABI 5
constexpr uint64_t kNetBindAndConnectTcp = 0b11;  // ABI 4
constexpr uint64_t kScopeSocketAndSignal = 0b11;  // ABI 6

constexpr uint64_t kRead =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kReadFile = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE;
constexpr uint64_t kAllOfAbi1 = (1ULL << 13) - 1;
// Regular files and folders; never devices, sockets or pipes.
constexpr uint64_t kWrite = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                            LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                            LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                            LANDLOCK_ACCESS_FS_MAKE_REG;

absl::Status Unavailable(const char* step) {
  return status::Error(
      absl::StatusCode::kUnavailable, "LANDLOCK_UNAVAILABLE",
      absl::StrCat("Landlock is not available (", step, ": ", strerror(errno), ")"));
}

absl::Status AllowPath(int ruleset, const std::string& path, uint64_t access) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd.valid()) return absl::OkStatus();  // this machine does not have it: nothing to allow
  struct stat info;
  if (::fstat(fd.get(), &info) != 0) return Unavailable("fstat");
  if (!S_ISDIR(info.st_mode)) access &= kReadFile;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = access;
  rule.parent_fd = fd.get();
  if (::syscall(__NR_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    return Unavailable("landlock_add_rule");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> BuildLandlockRuleset(const LandlockRules& rules) {
  const long abi =
      ::syscall(__NR_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 1) return Unavailable("landlock_create_ruleset");
  RulesetAttr attr{kAllOfAbi1, 0, 0};
  if (abi >= 2) attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) attr.handled_access_fs |= kFsTruncate;
  if (abi >= 4) attr.handled_access_net = kNetBindAndConnectTcp;
  if (abi >= 5) attr.handled_access_fs |= kFsIoctlDev;
  if (abi >= 6) attr.scoped = kScopeSocketAndSignal;
  UniqueFd ruleset(
      static_cast<int>(::syscall(__NR_landlock_create_ruleset, &attr, sizeof(attr), 0)));
  if (!ruleset.valid()) return Unavailable("landlock_create_ruleset");
  for (const std::string& path : rules.read_paths) {
    if (absl::Status added = AllowPath(ruleset.get(), path, kRead); !added.ok()) return added;
  }
  const uint64_t write = kWrite | (abi >= 3 ? kFsTruncate : 0);
  for (const std::string& path : rules.write_paths) {
    if (absl::Status added = AllowPath(ruleset.get(), path, write); !added.ok()) return added;
  }
  return ruleset;
}

}  // namespace slipstream::worker::pdf
