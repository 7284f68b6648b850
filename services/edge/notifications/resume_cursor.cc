#include "services/edge/notifications/resume_cursor.h"

#include <charconv>

namespace slipstream::edge {

namespace {

constexpr std::string_view kLetters = "utb";
constexpr size_t kEpochDigits = 16;

}  // namespace

std::optional<ResumePosition> ResumeCursor::ParsePosition(std::string_view text) {
  if (text.size() < kEpochDigits + 2 || text[kEpochDigits] != ':') return std::nullopt;
  ResumePosition out;
  const char* const middle = text.data() + kEpochDigits;
  const char* const end = text.data() + text.size();
  const auto epoch = std::from_chars(text.data(), middle, out.epoch, 16);
  const auto offset = std::from_chars(middle + 1, end, out.offset);
  if (epoch.ec != std::errc() || epoch.ptr != middle || offset.ec != std::errc() ||
      offset.ptr != end || out.epoch == 0) {
    return std::nullopt;
  }
  return out;
}

std::optional<ResumeCursor> ResumeCursor::Parse(std::string_view text) {
  ResumeCursor out;
  while (!text.empty()) {
    const size_t channel = kLetters.find(text.front());
    const std::string_view part = text.substr(0, text.find('.'));
    if (part.empty()) return std::nullopt;
    const auto position = ParsePosition(part.substr(1));
    if (channel == std::string_view::npos || !position) return std::nullopt;
    out.positions_[channel] = *position;
    text.remove_prefix(part.size());
    if (text.size() == 1) return std::nullopt;  // ends with "."
    if (!text.empty()) text.remove_prefix(1);
  }
  return out;
}

std::optional<size_t> ResumeCursor::ChannelIndex(std::string_view channel) {
  if (channel.starts_with("user:")) return 0;
  if (channel.starts_with("tenant:")) return 1;
  if (channel == "broadcast") return 2;
  return std::nullopt;
}

void ResumeCursor::AppendTo(std::string* out) const {
  static constexpr char kHex[] = "0123456789abcdef";
  char text[kChannelCount * 40];
  char* at = text;
  for (size_t i = 0; i < kChannelCount; ++i) {
    const ResumePosition& position = positions_[i];
    if (position.epoch == 0) continue;
    if (at != text) *at++ = '.';
    *at++ = kLetters[i];
    for (int shift = 60; shift >= 0; shift -= 4) *at++ = kHex[(position.epoch >> shift) & 15];
    *at++ = ':';
    at = std::to_chars(at, text + sizeof(text), position.offset).ptr;
  }
  out->append(text, static_cast<size_t>(at - text));
}

std::string ResumeCursor::ToString() const {
  std::string out;
  AppendTo(&out);
  return out;
}

}  // namespace slipstream::edge
