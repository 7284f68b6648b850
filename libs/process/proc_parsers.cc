#include <algorithm>
#include <array>
#include <charconv>

#include "libs/process/process_reader.h"

namespace slipstream::process {
namespace {

constexpr std::string_view kBlanks = " \t";

// The next word of `text`, which is shortened by it; "" at the end.
std::string_view TakeWord(std::string_view& text) {
  const size_t start = text.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return {};
  const size_t end = std::min(text.find_first_of(kBlanks, start), text.size());
  const std::string_view word = text.substr(start, end - start);
  text.remove_prefix(end);
  return word;
}

std::string_view TakeLine(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// The rest of the line that starts with `prefix`.
std::optional<std::string_view> FindLine(std::string_view text, std::string_view prefix) {
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    if (line.substr(0, prefix.size()) != prefix) continue;
    line.remove_prefix(prefix.size());
    return line;
  }
  return std::nullopt;
}

std::optional<int64_t> Number(std::string_view word) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<int64_t> NumberAfter(std::string_view text, std::string_view prefix) {
  std::optional<std::string_view> line = FindLine(text, prefix);
  if (!line.has_value()) return std::nullopt;
  return Number(TakeWord(*line));
}

}  // namespace

bool ParseStat(std::string_view text, int64_t ticks_per_second, std::optional<absl::Time> boot_time,
               ProcessFigures& figures) {
  // "pid (comm) state ...": comm is any text, even with blanks and ')', so the last ')' ends it.
  const size_t comm_end = text.rfind(')');
  if (comm_end == std::string_view::npos || ticks_per_second <= 0) return false;
  text = text.substr(comm_end + 1, text.find('\n', comm_end) - comm_end - 1);
  // Field numbers of man 5 proc; field 3 (state) is the first after comm.
  constexpr int kMajorFaults = 12, kUserTicks = 14, kSystemTicks = 15, kThreads = 20;
  constexpr int kStartTicks = 22, kVirtualBytes = 23;
  std::array<std::optional<int64_t>, kVirtualBytes + 1> fields;
  for (int field = 3; field <= kVirtualBytes; ++field) fields[field] = Number(TakeWord(text));
  for (int field : {kMajorFaults, kUserTicks, kSystemTicks, kThreads, kStartTicks, kVirtualBytes}) {
    if (!fields[field].has_value()) return false;
  }
  const auto ticks = static_cast<double>(ticks_per_second);
  figures.cpu_user_seconds = static_cast<double>(*fields[kUserTicks]) / ticks;
  figures.cpu_system_seconds = static_cast<double>(*fields[kSystemTicks]) / ticks;
  figures.thread_count = *fields[kThreads];
  figures.virtual_memory_bytes = *fields[kVirtualBytes];
  figures.major_page_fault_count = *fields[kMajorFaults];
  if (boot_time.has_value()) {
    figures.start_time =
        *boot_time + absl::Seconds(static_cast<double>(*fields[kStartTicks]) / ticks);
  }
  return true;
}

bool ParseStatus(std::string_view text, ProcessFigures& figures) {
  constexpr int64_t kBytesPerKb = 1024;  // proc's "kB" are KiB
  const std::optional<int64_t> resident_kb = NumberAfter(text, "VmRSS:");
  const std::optional<int64_t> peak_kb = NumberAfter(text, "VmHWM:");
  if (!resident_kb.has_value() || !peak_kb.has_value()) return false;
  figures.resident_memory_bytes = *resident_kb * kBytesPerKb;
  figures.resident_memory_peak_bytes = *peak_kb * kBytesPerKb;
  return true;
}

bool ParseLimits(std::string_view text, ProcessFigures& figures) {
  std::optional<std::string_view> line = FindLine(text, "Max open files");
  if (!line.has_value()) return false;
  const std::string_view soft = TakeWord(*line);
  if (soft == "unlimited") return true;
  const std::optional<int64_t> limit = Number(soft);
  if (!limit.has_value()) return false;
  figures.max_fd_count = limit;
  return true;
}

bool ParseIo(std::string_view text, ProcessFigures& figures) {
  const std::optional<int64_t> read = NumberAfter(text, "read_bytes:");
  const std::optional<int64_t> written = NumberAfter(text, "write_bytes:");
  if (!read.has_value() || !written.has_value()) return false;
  figures.disk_read_bytes = read;
  figures.disk_written_bytes = written;
  return true;
}

bool ParseNetDev(std::string_view text, ProcessFigures& figures) {
  TakeLine(text);  // the first of two headings
  if (TakeLine(text).find('|') == std::string_view::npos) return false;  // unreadable, or not it
  int64_t received = 0, sent = 0;
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    // The last ':', since an alias ("eth0:1") has one too; figures hold none. Old kernels leave no
    // blank after it.
    const size_t colon = line.rfind(':');
    if (colon == std::string_view::npos) return false;
    std::string_view name = line.substr(0, colon);
    line.remove_prefix(colon + 1);
    if (TakeWord(name) == "lo") continue;
    constexpr int kReceivedColumn = 0, kSentColumn = 8, kColumnCount = 16;
    for (int column = 0; column < kColumnCount; ++column) {
      const std::optional<int64_t> value = Number(TakeWord(line));
      if (!value.has_value()) return false;
      if (column == kReceivedColumn) received += *value;
      if (column == kSentColumn) sent += *value;
    }
  }
  figures.network_received_bytes = received;
  figures.network_sent_bytes = sent;
  return true;
}

std::optional<absl::Time> ParseBootTime(std::string_view text) {
  const std::optional<int64_t> seconds = NumberAfter(text, "btime ");
  if (!seconds.has_value()) return std::nullopt;
  return absl::FromUnixSeconds(*seconds);
}

}  // namespace slipstream::process
