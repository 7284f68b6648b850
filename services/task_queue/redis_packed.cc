#include "services/task_queue/redis_packed.h"

#include <array>

namespace slipstream::task_queue::redis_codec {

namespace {

constexpr char kHexDigits[] = "0123456789abcdef";
// Hex digit -> value, 0xff for other bytes.
constexpr std::array<uint8_t, 256> kHexValues = [] {
  std::array<uint8_t, 256> values{};
  for (auto& value : values) value = 0xff;
  for (int i = 0; i < 10; ++i) values[static_cast<size_t>('0' + i)] = static_cast<uint8_t>(i);
  for (int i = 0; i < 6; ++i) values[static_cast<size_t>('a' + i)] = static_cast<uint8_t>(10 + i);
  return values;
}();

// False for anything but pairs of lower-case digits.
bool PackHex(std::string_view digits, char* out) {
  uint8_t wrong = 0;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    const uint8_t high = kHexValues[static_cast<uint8_t>(digits[i])];
    const uint8_t low = kHexValues[static_cast<uint8_t>(digits[i + 1])];
    wrong |= high | low;
    *out++ = static_cast<char>(high << 4 | (low & 15));
  }
  return wrong <= 15;
}

void UnpackHex(std::string_view bytes, char* out) {
  for (const char byte : bytes) {
    *out++ = kHexDigits[static_cast<uint8_t>(byte) >> 4];
    *out++ = kHexDigits[static_cast<uint8_t>(byte) & 15];
  }
}

// A text of hex digits in groups with '-' between them: where each begins and how many bytes it is.
struct HexGroup {
  size_t at;
  size_t bytes_count;
};
constexpr size_t kUuidBytes = 36;
constexpr std::array<HexGroup, 5> kUuidGroups = {{{0, 4}, {9, 2}, {14, 2}, {19, 2}, {24, 6}}};
// "00-" trace id "-" span id "-" flags: W3C trace context, section 3.2.2, version 00.
constexpr size_t kTraceparentBytes = 55;
constexpr std::array<HexGroup, 3> kTraceGroups = {{{3, 16}, {36, 8}, {53, 1}}};

// False when the text is none of this form.
template <size_t kGroups>
bool PackGroups(const std::array<HexGroup, kGroups>& groups, std::string_view text, char* out) {
  for (const HexGroup& group : groups) {
    if (group.at > 0 && text[group.at - 1] != '-') return false;
    if (!PackHex(text.substr(group.at, 2 * group.bytes_count), out)) return false;
    out += group.bytes_count;
  }
  return true;
}

template <size_t kGroups>
void UnpackGroups(const std::array<HexGroup, kGroups>& groups, std::string_view bytes, char* out) {
  for (const HexGroup& group : groups) {
    UnpackHex(bytes.substr(0, group.bytes_count), out + group.at);
    bytes.remove_prefix(group.bytes_count);
  }
}

}  // namespace

void AppendNumber(std::string& out, uint64_t value, int bytes) {
  std::array<char, 8> text;
  for (int i = bytes - 1; i >= 0; --i, value >>= 8) {
    text[static_cast<size_t>(i)] = static_cast<char>(value & 0xff);
  }
  out.append(text.data(), static_cast<size_t>(bytes));
}

std::string Number(uint64_t value, int bytes) {
  std::string out;
  AppendNumber(out, value, bytes);
  return out;
}

uint64_t ReadNumber(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

bool PackId(std::string_view uuid, char* out) {
  return uuid.size() == kUuidBytes && PackGroups(kUuidGroups, uuid, out);
}

std::string PackId(std::string_view uuid) {
  std::string id(kIdBytes, '\0');
  if (!PackId(uuid, id.data())) id.clear();
  return id;
}

std::string UnpackId(std::string_view id) {
  if (id.size() != kIdBytes) return "";
  std::string uuid(kUuidBytes, '-');
  UnpackGroups(kUuidGroups, id, uuid.data());
  return uuid;
}

bool PackTraceparent(std::string_view text, char* out) {
  return text.size() == kTraceparentBytes && text.substr(0, 2) == "00" &&
         PackGroups(kTraceGroups, text, out);
}

std::string UnpackTraceparent(std::string_view bytes) {
  if (bytes.size() != kTraceBytes) return "";
  std::string text(kTraceparentBytes, '-');
  text[0] = text[1] = '0';
  UnpackGroups(kTraceGroups, bytes, text.data());
  return text;
}

}  // namespace slipstream::task_queue::redis_codec
