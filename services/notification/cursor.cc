#include "services/notification/cursor.h"

#include <charconv>
#include <cinttypes>
#include <cstdio>

namespace slipstream::notification {

namespace {

constexpr size_t kEpochDigits = 16;
constexpr std::string_view kLetters = "utb";  // by ChannelKind

}  // namespace

std::string FormatPosition(const Position& position) {
  if (!position.is_set()) return "";
  char text[48];
  const int size =
      std::snprintf(text, sizeof(text), "%016" PRIx64 ":%" PRIu64, position.epoch, position.offset);
  return std::string(text, static_cast<size_t>(size));
}

std::optional<Position> ParsePosition(std::string_view text) {
  if (text.size() < kEpochDigits + 2 || text[kEpochDigits] != ':') return std::nullopt;
  Position out;
  const std::string_view epoch = text.substr(0, kEpochDigits);
  if (epoch.find_first_not_of("0123456789abcdef") != std::string_view::npos) return std::nullopt;
  std::from_chars(epoch.data(), epoch.data() + epoch.size(), out.epoch, 16);
  const std::string_view offset = text.substr(kEpochDigits + 1);
  // One text per position: no leading zeros.
  if (offset.size() > 1 && offset.front() == '0') return std::nullopt;
  const auto [end, error] =
      std::from_chars(offset.data(), offset.data() + offset.size(), out.offset, 10);
  if (error != std::errc() || end != offset.data() + offset.size()) return std::nullopt;
  if (!out.is_set()) return std::nullopt;
  return out;
}

std::string FormatCursor(const Cursor& cursor) {
  std::string out;
  for (size_t i = 0; i < cursor.size(); ++i) {
    if (!cursor[i].is_set()) continue;
    if (!out.empty()) out += '.';
    out += kLetters[i];
    out += FormatPosition(cursor[i]);
  }
  return out;
}

std::optional<Cursor> ParseCursor(std::string_view text) {
  if (text.empty() || text.size() > kMaxCursorBytes) return std::nullopt;
  Cursor out;
  for (;;) {
    const size_t dot = text.find('.');
    const std::string_view part = text.substr(0, dot);
    if (part.empty()) return std::nullopt;
    const size_t kind = kLetters.find(part.front());
    if (kind == std::string_view::npos || out[kind].is_set()) return std::nullopt;
    const std::optional<Position> position = ParsePosition(part.substr(1));
    if (!position) return std::nullopt;
    out[kind] = *position;
    if (dot == std::string_view::npos) return out;
    text.remove_prefix(dot + 1);
  }
}

}  // namespace slipstream::notification
