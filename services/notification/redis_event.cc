#include "services/notification/redis_event.h"

#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"

namespace slipstream::notification {

namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kEpochDigits = 16;

void Put(std::string& out, uint64_t number, int bytes_count) {
  for (int i = bytes_count - 1; i >= 0; --i) out += static_cast<char>(number >> (8 * i));
}
void PutText(std::string& out, std::string_view text) {
  Put(out, text.size(), 4);
  out += text;
}

// Takes pieces off the front; what is cut short is empty and `ok` false from then on.
struct Reader {
  std::string_view left;
  bool ok = true;

  std::string_view Bytes(size_t count) {
    if (left.size() < count) {
      ok = false;
      left = {};
      return {};
    }
    const std::string_view out = left.substr(0, count);
    left.remove_prefix(count);
    return out;
  }
  uint64_t Number(size_t bytes_count) {
    uint64_t out = 0;
    for (char c : Bytes(bytes_count)) out = out << 8 | static_cast<uint8_t>(c);
    return out;
  }
  std::string_view Text() { return Bytes(Number(4)); }
  uint64_t DecimalText() {
    const std::string_view text = Text();
    uint64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc() || end != text.data() + text.size()) ok = false;
    return out;
  }
};

}  // namespace

std::string EncodeEvent(const Event& event) {
  std::string out;
  out.reserve(24 + event.id.size() + event.task_id.size() + event.encoded.size());
  Put(out, kVersion, 1);
  Put(out, static_cast<uint64_t>(event.type), 1);
  Put(out, static_cast<uint64_t>(absl::ToUnixNanos(event.created_at)), 8);
  PutText(out, event.id);
  PutText(out, event.task_id);
  PutText(out, event.encoded);
  return out;
}

std::optional<Event> DecodeEvent(std::string_view bytes) {
  Reader reader{bytes};
  if (reader.Number(1) != kVersion) return std::nullopt;
  Event out;
  const uint64_t type = reader.Number(1);
  if (type >= kEventTypeCount) return std::nullopt;
  out.type = static_cast<EventType>(type);
  out.created_at = absl::FromUnixNanos(static_cast<int64_t>(reader.Number(8)));
  out.id = reader.Text();
  out.task_id = reader.Text();
  out.encoded = reader.Text();
  if (!reader.ok || !reader.left.empty()) return std::nullopt;
  return out;
}

std::vector<Hint> DecodeHints(std::string_view payload) {
  std::vector<Hint> out;
  Reader reader{payload};
  while (!reader.left.empty()) {
    Hint hint;
    hint.channel_key = reader.Text();
    hint.position.epoch = ParseEpoch(reader.Bytes(kEpochDigits));
    hint.position.offset = reader.DecimalText();
    hint.progress_number = reader.DecimalText();
    hint.event = reader.Text();
    if (!reader.ok || !hint.position.is_set()) return {};
    out.push_back(hint);
  }
  return out;
}

std::string FormatEpoch(uint64_t epoch) {
  if (epoch == 0) return "";
  return absl::StrCat(absl::Hex(epoch, absl::kZeroPad16));
}

uint64_t ParseEpoch(std::string_view text) {
  uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return error == std::errc() && end == text.data() + text.size() ? out : 0;
}

}  // namespace slipstream::notification
