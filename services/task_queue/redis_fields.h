// Fields of a tag byte and a varint or a length and bytes: what cards and states are made of.
//
// Thread safety: none of its own. A Reader never reads beyond its bytes, whatever they are.
#ifndef SERVICES_TASK_QUEUE_REDIS_FIELDS_H_
#define SERVICES_TASK_QUEUE_REDIS_FIELDS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace slipstream::task_queue::redis_codec {

// The high bit of a tag says that bytes follow, not a number.
inline constexpr uint8_t kBytes = 0x80;

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  void Number(uint8_t tag, uint64_t value) {
    if (value == 0) return;
    out_.push_back(static_cast<char>(tag));
    Varint(value);
  }
  // Also when empty: for repeated and for optional fields.
  void Always(uint8_t tag, std::string_view bytes) {
    out_.push_back(static_cast<char>(tag | kBytes));
    Varint(bytes.size());
    out_.append(bytes);
  }
  void Bytes(uint8_t tag, std::string_view bytes) {
    if (!bytes.empty()) Always(tag, bytes);
  }
  // Absent when infinite.
  void Time(uint8_t tag, absl::Time time) {
    if (time != absl::InfiniteFuture() && time != absl::InfinitePast()) {
      Number(tag, static_cast<uint64_t>(absl::ToUnixMicros(time)));
    }
  }
  void Time(uint8_t tag, const std::optional<absl::Time>& time) {
    if (time) Time(tag, *time);
  }
  void Duration(uint8_t tag, absl::Duration duration) {
    if (duration != absl::InfiniteDuration()) {
      Number(tag, static_cast<uint64_t>(absl::ToInt64Microseconds(duration)));
    }
  }

 private:
  void Varint(uint64_t value) {
    std::array<char, 10> bytes;
    size_t count = 0;
    for (; value >= 0x80; value >>= 7) bytes[count++] = static_cast<char>(value | 0x80);
    bytes[count++] = static_cast<char>(value);
    out_.append(bytes.data(), count);
  }
  std::string& out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  // False at the end, or when the rest is broken.
  bool Next() {
    if (in_.empty()) return false;
    tag_ = static_cast<uint8_t>(in_.front());
    in_.remove_prefix(1);
    if (!Varint(number_)) return false;
    if ((tag_ & kBytes) == 0) return true;
    tag_ &= static_cast<uint8_t>(~kBytes);
    if (number_ > in_.size()) return broken_ = true, false;
    bytes_ = in_.substr(0, number_);
    in_.remove_prefix(number_);
    return true;
  }
  uint8_t tag() const { return tag_; }
  int64_t number() const { return static_cast<int64_t>(number_); }
  std::string_view bytes() const { return bytes_; }
  std::string text() const { return std::string(bytes_); }
  absl::Time time() const { return absl::FromUnixMicros(number()); }
  absl::Duration duration() const { return absl::Microseconds(number()); }
  bool broken() const { return broken_; }

 private:
  bool Varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !in_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(in_.front());
      in_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    broken_ = true;
    return false;
  }
  std::string_view in_;
  std::string_view bytes_;
  uint64_t number_ = 0;
  uint8_t tag_ = 0;
  bool broken_ = false;
};

}  // namespace slipstream::task_queue::redis_codec

#endif  // SERVICES_TASK_QUEUE_REDIS_FIELDS_H_
