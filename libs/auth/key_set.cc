#include "libs/auth/key_set.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <system_error>
#include <utility>

#include "libs/auth/jwk.h"
#include "libs/auth/reasons.h"
#include "libs/status/status.h"

namespace slipstream::auth {
namespace {

constexpr size_t kMaxKeyFileBytes = 256 * 1024;

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

int64_t Nanoseconds(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

std::string ErrnoText(int error) { return std::generic_category().message(error); }

}  // namespace

KeySet::KeySet(KeySetOptions options, clock::Clock* clock)
    : options_(std::move(options)), paths_(Paths()), clock_(clock) {}

std::vector<std::string> KeySet::Paths() const {
  std::vector<std::string> paths = options_.jwk_set_paths;
  if (!options_.secret_path.empty()) paths.push_back(options_.secret_path);
  return paths;
}

absl::StatusOr<std::unique_ptr<KeySet>> KeySet::Open(KeySetOptions options, clock::Clock& clock) {
  std::unique_ptr<KeySet> set(new KeySet(std::move(options), &clock));
  if (const absl::Status read = set->Reload(); !read.ok()) return read;
  return set;
}

absl::StatusOr<std::unique_ptr<KeySet>> KeySet::FromText(std::string_view text) {
  auto keys = ParseSecretOrJwkSet(text);
  if (!keys.ok()) return keys.status();
  std::unique_ptr<KeySet> set(new KeySet({}, nullptr));
  set->Install(*std::move(keys), {});
  return set;
}

std::shared_ptr<const Keys> KeySet::Current() const {
  sync::MutexLock lock(mu_);
  return current_;
}

KeySetStats KeySet::Stats() const {
  sync::MutexLock lock(mu_);
  return {.generation = current_->generation,
          .reloads_total = reloads_total_,
          .failed_reloads_total = failed_reloads_total_,
          .files_are_valid = files_are_valid_};
}

void KeySet::RefreshIfDue() {
  if (paths_.empty()) return;
  const int64_t now_ns = absl::ToInt64Nanoseconds(clock_->Monotonic());
  int64_t due_ns = next_check_ns_.load(std::memory_order_relaxed);
  if (now_ns < due_ns) return;
  // One caller per interval wins and looks at the files; the others go on with what is in force.
  const int64_t next_ns = now_ns + absl::ToInt64Nanoseconds(options_.check_interval);
  if (!next_check_ns_.compare_exchange_strong(due_ns, next_ns, std::memory_order_relaxed)) return;
  if (const auto stamps = StampAll()) {
    sync::MutexLock lock(mu_);
    if (stamps_ == *stamps) {
      files_are_valid_ = true;  // a bad file was put back as it had been
      return;
    }
  }
  Reload().IgnoreError();  // counted, and told to on_reload
}

absl::Status KeySet::Reload() {
  if (clock_ == nullptr) return absl::OkStatus();
  absl::Status result;
  bool tell = false;
  {
    sync::MutexLock lock(reload_mu_);
    result = ReadAndInstall();
    const std::string failure(result.message());
    tell = result.ok() || failure != last_failure_;
    last_failure_ = failure;
  }
  if (tell && options_.on_reload) options_.on_reload(result);
  return result;
}

absl::Status KeySet::ReadAndInstall() {
  Stamps stamps;
  auto keys = ReadAll(stamps);
  if (keys.ok()) {
    Install(*std::move(keys), std::move(stamps));
    return absl::OkStatus();
  }
  bool keeps_old_keys = false;
  {
    sync::MutexLock lock(mu_);
    keeps_old_keys = current_ != nullptr;
    files_are_valid_ = false;
    ++failed_reloads_total_;
  }
  return status::Error(absl::StatusCode::kFailedPrecondition, kKeyFileInvalid,
                       std::string(keys.status().message()) +
                           (keeps_old_keys ? " (the keys read before stay in force)" : ""));
}

absl::StatusOr<std::vector<Key>> KeySet::ReadAll(Stamps& stamps) const {
  std::vector<Key> all;
  std::set<std::string> kids;
  for (const std::string& path : paths_) {
    const auto fail = [&path](const std::string& why) {
      return absl::InvalidArgumentError("key file " + path + ": " + why);
    };
    auto loaded = Read(path);
    if (!loaded.ok()) return fail(std::string(loaded.status().message()));
    stamps.push_back(loaded->stamp);
    const bool is_secret_file = !options_.secret_path.empty() && &path == &paths_.back();
    auto keys = is_secret_file ? ParseSecretOrJwkSet(loaded->text) : ParseJwkSet(loaded->text);
    OPENSSL_cleanse(loaded->text.data(), loaded->text.size());
    if (!keys.ok()) return fail(std::string(keys.status().message()));
    for (Key& key : *keys) {
      if (!key.kid().empty() && !kids.insert(key.kid()).second) {
        return fail("`kid` '" + key.kid() + "' stands in another key file too; rename one");
      }
      all.push_back(std::move(key));
    }
  }
  if (all.size() > kMaxKeyCount) {
    return absl::InvalidArgumentError("the key files hold more than 16 keys; remove old ones");
  }
  return all;
}

void KeySet::Install(std::vector<Key> keys, Stamps stamps) {
  auto next = std::make_shared<Keys>();
  next->keys = std::move(keys);
  sync::MutexLock lock(mu_);
  next->generation = generation_.load(std::memory_order_relaxed) + 1;
  current_ = std::move(next);
  stamps_ = std::move(stamps);
  files_are_valid_ = true;
  ++reloads_total_;
  generation_.store(current_->generation, std::memory_order_release);
}

KeySet::FileStamp KeySet::StampOf(const struct stat& info) {
  return {.device = info.st_dev,
          .inode = info.st_ino,
          .size = static_cast<uint64_t>(info.st_size),
          .modified_ns = Nanoseconds(info.st_mtim),
          .changed_ns = Nanoseconds(info.st_ctim)};
}

std::optional<KeySet::Stamps> KeySet::StampAll() const {
  Stamps stamps;
  for (const std::string& path : paths_) {
    struct stat info{};
    if (stat(path.c_str(), &info) != 0) return std::nullopt;
    stamps.push_back(StampOf(info));
  }
  return stamps;
}

absl::StatusOr<KeySet::Loaded> KeySet::Read(const std::string& path) {
  // O_NONBLOCK: a FIFO in the file's place must not hang the process.
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    return absl::NotFoundError("cannot be opened (" + ErrnoText(errno) +
                               "); check the path and its permissions");
  }
  struct stat info{};
  if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError("is not a regular file");
  }
  Loaded loaded;
  loaded.stamp = StampOf(info);
  loaded.text.resize(kMaxKeyFileBytes + 1);
  size_t size = 0;
  while (size < loaded.text.size()) {
    const ssize_t got = read(file.get(), loaded.text.data() + size, loaded.text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::UnavailableError("cannot be read (" + ErrnoText(errno) + ")");
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > kMaxKeyFileBytes) return absl::InvalidArgumentError("is larger than 256 KiB");
  loaded.text.resize(size);
  return loaded;
}

}  // namespace slipstream::auth
