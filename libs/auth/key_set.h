// The keys that tokens are checked with, read from files and read again when one of them changes.
//
// A change is noticed by device, inode, size and times, looked at no more than once per
// check_interval by whichever caller comes first (RefreshIfDue), or at once by Reload(). Files that
// cannot be used change nothing: the old keys stay, the failure is reported and the next check
// tries again.
//
// Thread safety: all methods may be called from any thread. RefreshIfDue costs one stat() per local
// file and interval and is free for all other callers; files, at most 256 KiB each, are read only
// on a change. Errors: FAILED_PRECONDITION, reason KEY_FILE_INVALID, with what to do.
#ifndef SLIPSTREAM_LIBS_AUTH_KEY_SET_H_
#define SLIPSTREAM_LIBS_AUTH_KEY_SET_H_

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/auth/key.h"
#include "libs/clock/clock.h"
#include "libs/sync/mutex.h"

namespace slipstream::auth {

// One reading of the files, never changed afterwards.
struct Keys {
  // Grows by one whenever the keys change, from 1: what was verified under another generation is
  // void.
  uint64_t generation = 0;
  std::vector<Key> keys;
};

struct KeySetOptions {
  // The HS256 secret, raw or as a JWK. Empty: none.
  std::string secret_path;
  // JWK Sets. A raw secret is not taken here: a web server's error page must not become a key.
  std::vector<std::string> jwk_set_paths;
  absl::Duration check_interval = absl::Seconds(1);
  // Called without a lock held, by the thread that reloaded: OK when new keys are in force, else
  // why the old ones stay (once per distinct failure, not once per check). For logging.
  std::function<void(const absl::Status&)> on_reload;
};

struct KeySetStats {
  uint64_t generation = 0;
  uint64_t reloads_total = 0;
  uint64_t failed_reloads_total = 0;
  bool files_are_valid = true;  // false: what is on disk is not what is in force
};

class KeySet {
 public:
  // With no path at all: a set without keys, under which no token is valid.
  static absl::StatusOr<std::unique_ptr<KeySet>> Open(KeySetOptions options, clock::Clock& clock);

  // A fixed set from the text of a key file, for tests and for a process that makes its own secret.
  static absl::StatusOr<std::unique_ptr<KeySet>> FromText(std::string_view text);

  KeySet(const KeySet&) = delete;
  KeySet& operator=(const KeySet&) = delete;

  std::shared_ptr<const Keys> Current() const;
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }

  void RefreshIfDue();

  // Reads the files now, changed or not. OK for a fixed set, which has none.
  absl::Status Reload();

  KeySetStats Stats() const;

 private:
  // What tells one state of the file from another.
  struct FileStamp {
    uint64_t device = 0, inode = 0, size = 0;
    int64_t modified_ns = 0, changed_ns = 0;
    bool operator==(const FileStamp&) const = default;
  };
  struct Loaded {
    std::string text;
    FileStamp stamp;
  };
  using Stamps = std::vector<FileStamp>;  // in the order of paths_

  KeySet(KeySetOptions options, clock::Clock* clock);
  std::vector<std::string> Paths() const;
  static FileStamp StampOf(const struct stat& info);
  std::optional<Stamps> StampAll() const;
  static absl::StatusOr<Loaded> Read(const std::string& path);
  absl::StatusOr<std::vector<Key>> ReadAll(Stamps& stamps) const;
  absl::Status ReadAndInstall();
  void Install(std::vector<Key> keys, Stamps stamps);

  const KeySetOptions options_;
  const std::vector<std::string> paths_;
  clock::Clock* const clock_;  // null for a fixed set
  std::atomic<int64_t> next_check_ns_{0};
  std::atomic<uint64_t> generation_{0};

  sync::Mutex reload_mu_;  // one reload at a time; taken before mu_
  std::string last_failure_ ABSL_GUARDED_BY(reload_mu_);

  mutable sync::Mutex mu_;
  std::shared_ptr<const Keys> current_ ABSL_GUARDED_BY(mu_);
  Stamps stamps_ ABSL_GUARDED_BY(mu_);  // of the keys in force
  uint64_t reloads_total_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t failed_reloads_total_ ABSL_GUARDED_BY(mu_) = 0;
  bool files_are_valid_ ABSL_GUARDED_BY(mu_) = true;
};

}  // namespace slipstream::auth

#endif  // SLIPSTREAM_LIBS_AUTH_KEY_SET_H_
