#include "services/task_queue/artifact/byte_range.h"

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::artifact {

namespace {

// Digits alone: no sign, no space.
bool ReadNumber(std::string_view text, int64_t* out) {
  if (text.empty() ||
      !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return false;
  }
  return absl::SimpleAtoi(absl::string_view(text.data(), text.size()), out);
}

absl::Status Beyond(int64_t file_bytes) {
  return status::Error(
      absl::StatusCode::kOutOfRange, "RANGE_NOT_SATISFIABLE",
      absl::StrCat("the range begins beyond the end; the file has ", file_bytes, " bytes"),
      {{"size_bytes", absl::StrCat(file_bytes)}});
}

}  // namespace

absl::StatusOr<std::optional<ByteRange>> ParseRange(std::string_view header, int64_t file_bytes) {
  constexpr std::string_view kUnit = "bytes=";
  const std::optional<ByteRange> whole;
  if (!header.starts_with(kUnit)) return whole;
  const std::string_view spec = header.substr(kUnit.size());
  const size_t dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) return whole;
  const std::string_view from = spec.substr(0, dash), to = spec.substr(dash + 1);
  int64_t first = 0, last = 0;
  if (from.empty()) {  // the last n bytes
    if (!ReadNumber(to, &last)) return whole;
    if (last == 0 || file_bytes == 0) return Beyond(file_bytes);
    const int64_t size = std::min(last, file_bytes);
    return std::optional<ByteRange>({file_bytes - size, size});
  }
  if (!ReadNumber(from, &first)) return whole;
  last = file_bytes - 1;
  if (!to.empty() && (!ReadNumber(to, &last) || last < first)) return whole;
  if (first >= file_bytes) return Beyond(file_bytes);
  return std::optional<ByteRange>({first, std::min(last, file_bytes - 1) - first + 1});
}

}  // namespace slipstream::artifact
