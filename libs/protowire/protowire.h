// Protobuf's wire format, for the few messages whose objects would cost more than the work that is
// done with them: fields are read where they lie and written where they are sent from.
// The format: https://protobuf.dev/programming-guides/encoding/
//
// Covers varints and length-delimited fields with numbers below 16, whose tag is one byte. What a
// reader does not know is for protobuf itself to read.
//
// Thread safety: free functions; a Reader is one thread's.
#ifndef LIBS_PROTOWIRE_PROTOWIRE_H_
#define LIBS_PROTOWIRE_PROTOWIRE_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace slipstream::protowire {

// A field's number and how it is written. REQUIRES: 1-15.
constexpr uint8_t VarintTag(int field) { return static_cast<uint8_t>(field << 3); }
constexpr uint8_t BytesTag(int field) { return static_cast<uint8_t>(field << 3 | 2); }

// Each read answers false at what is cut off or too large; what it has read is then undefined.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}
  bool done() const { return at_ == end_; }
  uint8_t Tag() { return static_cast<uint8_t>(*at_++); }  // REQUIRES: not done

  bool Varint(uint64_t* out) {
    if (at_ != end_ && static_cast<uint8_t>(*at_) < 0x80) {
      *out = static_cast<uint8_t>(*at_++);
      return true;
    }
    return LongVarint(out);
  }
  bool Signed(int64_t* out) {
    uint64_t value = 0;
    if (!Varint(&value)) return false;
    *out = static_cast<int64_t>(value);
    return true;
  }
  bool Bool(bool* out) {
    uint64_t value = 0;
    if (!Varint(&value)) return false;
    *out = value != 0;
    return true;
  }
  // Not negative.
  bool Enum(int* out) {
    uint64_t value = 0;
    if (!Varint(&value) || value > INT32_MAX) return false;
    *out = static_cast<int>(value);
    return true;
  }
  // A view into what is read.
  bool Bytes(std::string_view* out) {
    uint64_t size = 0;
    if (!Varint(&size) || size > static_cast<uint64_t>(end_ - at_)) return false;
    *out = std::string_view(at_, static_cast<size_t>(size));
    at_ += size;
    return true;
  }

 private:
  // Apart, so that the short ones, which are nearly all, are read in place.
  [[gnu::noinline]] bool LongVarint(uint64_t* out) {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const auto byte = static_cast<uint8_t>(*at_++);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        *out = value;
        return true;
      }
    }
    return false;
  }

  const char* at_;
  const char* const end_;
};

constexpr size_t VarintBytes(uint64_t value) {
  return static_cast<size_t>((63 - std::countl_zero(value | 1)) / 7 + 1);
}

// The writers answer where they have ended. REQUIRES: room.
inline char* WriteVarint(uint64_t value, char* at) {
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
  *at++ = static_cast<char>(value);
  return at;
}

inline char* WriteTagged(uint8_t tag, uint64_t value, char* at) {
  *at++ = static_cast<char>(tag);
  return WriteVarint(value, at);
}

inline char* WriteRaw(std::string_view bytes, char* at) {
  std::memcpy(at, bytes.data(), bytes.size());
  return at + bytes.size();
}

// A number that is 0 and bytes that are none are not written.
constexpr size_t NumberBytes(uint64_t value) { return value == 0 ? 0 : 1 + VarintBytes(value); }
inline char* WriteNumber(int field, uint64_t value, char* at) {
  return value == 0 ? at : WriteTagged(VarintTag(field), value, at);
}

constexpr size_t BytesFieldBytes(size_t size) {
  return size == 0 ? 0 : 1 + VarintBytes(size) + size;
}
inline char* WriteBytes(int field, std::string_view bytes, char* at) {
  if (bytes.empty()) return at;
  return WriteRaw(bytes, WriteTagged(BytesTag(field), bytes.size(), at));
}

}  // namespace slipstream::protowire

#endif  // LIBS_PROTOWIRE_PROTOWIRE_H_
