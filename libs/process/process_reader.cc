#include "libs/process/process_reader.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::process {
namespace {

// Far above any of these files: net/dev, the longest, has 130 bytes an interface.
constexpr size_t kMaxFileBytes = 1 << 20;

// nullopt when it cannot be read or is longer than the bound.
std::optional<std::string> ReadFile(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
  if (file == nullptr) return std::nullopt;
  std::string text;
  char chunk[8192];
  while (const size_t got = std::fread(chunk, 1, sizeof(chunk), file.get())) {
    if (text.size() + got > kMaxFileBytes) return std::nullopt;
    text.append(chunk, got);
  }
  if (std::ferror(file.get()) != 0) return std::nullopt;
  return text;
}

std::optional<int64_t> CountFds(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(path.c_str()), &closedir);
  if (directory == nullptr) return std::nullopt;
  // The listing holds the descriptor that it is read by; that one is not counted.
  const std::string own = absl::StrCat(dirfd(directory.get()));
  int64_t count = 0;  // ends: at most RLIMIT_NOFILE entries
  while (const dirent* entry = readdir(directory.get())) {
    if (entry->d_name[0] != '.' && own != entry->d_name) ++count;
  }
  return count;
}

}  // namespace

absl::StatusOr<ProcessFigures> ProcessReader::Read() const {
  const std::string self = absl::StrCat(proc_path_, "/self");
  const auto read = [](const std::string& path) { return ReadFile(path).value_or(""); };
  // stat of the whole machine has a line per CPU and one of all interrupts; btime follows them.
  const std::optional<absl::Time> boot_time =
      ParseBootTime(read(absl::StrCat(proc_path_, "/stat")));
  ProcessFigures figures;
  if (!ParseStat(read(absl::StrCat(self, "/stat")), sysconf(_SC_CLK_TCK), boot_time, figures)) {
    return status::Error(absl::StatusCode::kUnavailable, "PROC_UNREADABLE",
                         absl::StrCat("Cannot read ", self,
                                      "/stat, so this process has no figures of its own. Check "
                                      "that proc is mounted there."));
  }
  ParseStatus(read(absl::StrCat(self, "/status")), figures);
  ParseLimits(read(absl::StrCat(self, "/limits")), figures);
  ParseIo(read(absl::StrCat(self, "/io")), figures);
  ParseNetDev(read(absl::StrCat(self, "/net/dev")), figures);
  figures.open_fd_count = CountFds(absl::StrCat(self, "/fd"));
  return figures;
}

}  // namespace slipstream::process
