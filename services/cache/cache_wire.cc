#include "services/cache/cache_wire.h"

#include <bit>
#include <cstdint>
#include <cstring>

namespace slipstream::cache::wire {

namespace {

// A field's number and how it is written: https://protobuf.dev/programming-guides/encoding/
constexpr uint8_t VarintTag(int field) { return static_cast<uint8_t>(field << 3); }
constexpr uint8_t BytesTag(int field) { return static_cast<uint8_t>(field << 3 | 2); }

// --- reading

class Reader {
 public:
  explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}
  bool done() const { return at_ == end_; }
  uint8_t Tag() { return static_cast<uint8_t>(*at_++); }  // REQUIRES: not done

  bool Varint(uint64_t* out) {
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
  bool Bytes(std::string_view* out) {
    uint64_t size = 0;
    if (!Varint(&size) || size > static_cast<uint64_t>(end_ - at_)) return false;
    *out = std::string_view(at_, static_cast<size_t>(size));
    at_ += size;
    return true;
  }
  bool Enum(int* out) {
    uint64_t value = 0;
    if (!Varint(&value) || value > INT32_MAX) return false;
    *out = static_cast<int>(value);
    return true;
  }

 private:
  const char* at_;
  const char* const end_;
};

// Each field at most once, in the order of their numbers, as a serializer writes them.
bool ReadKey(std::string_view bytes, KeyParts* key) {
  *key = {};
  uint8_t before = 0;
  for (Reader reader(bytes); !reader.done();) {
    const uint8_t tag = reader.Tag();
    if (tag <= before) return false;
    before = tag;
    bool ok = false;
    switch (tag) {
      case BytesTag(v1::CacheKey::kNamespaceFieldNumber):
        ok = reader.Bytes(&key->space);
        break;
      case VarintTag(v1::CacheKey::kTypeFieldNumber):
        ok = reader.Enum(&key->type);
        break;
      case VarintTag(v1::CacheKey::kScopeFieldNumber):
        ok = reader.Enum(&key->scope);
        break;
      case BytesTag(v1::CacheKey::kRoleFieldNumber):
        ok = reader.Bytes(&key->role);
        break;
      case BytesTag(v1::CacheKey::kKeyFieldNumber):
        ok = reader.Bytes(&key->key);
        break;
      default:
        break;
    }
    if (!ok) return false;
  }
  return true;
}

// --- writing

constexpr size_t VarintBytes(uint64_t value) {
  return static_cast<size_t>((63 - std::countl_zero(value | 1)) / 7 + 1);
}

char* WriteVarint(uint64_t value, char* at) {
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
  *at++ = static_cast<char>(value);
  return at;
}

char* WriteTagged(uint8_t tag, uint64_t value, char* at) {
  *at++ = static_cast<char>(tag);
  return WriteVarint(value, at);
}

// A number that is 0 is not written.
size_t NumberBytes(uint64_t value) { return value == 0 ? 0 : 1 + VarintBytes(value); }
char* WriteNumber(int field, uint64_t value, char* at) {
  return value == 0 ? at : WriteTagged(VarintTag(field), value, at);
}

size_t ValueBytes(const Found& found) {
  const size_t size = found.entry->value().size();
  return (size == 0 ? 0 : 1 + VarintBytes(size) + size) + NumberBytes(found.entry->version) +
         NumberBytes(static_cast<uint64_t>(found.ttl_left_ms)) +
         NumberBytes(static_cast<uint64_t>(found.age_ms)) + (found.entry->negative ? 2 : 0);
}

char* WriteValue(const Found& found, char* at) {
  const std::string_view value = found.entry->value();
  if (!value.empty()) {
    at = WriteTagged(BytesTag(v1::CacheValue::kValueFieldNumber), value.size(), at);
    std::memcpy(at, value.data(), value.size());
    at += value.size();
  }
  at = WriteNumber(v1::CacheValue::kVersionFieldNumber, found.entry->version, at);
  at = WriteNumber(v1::CacheValue::kTtlLeftMsFieldNumber, static_cast<uint64_t>(found.ttl_left_ms),
                   at);
  at = WriteNumber(v1::CacheValue::kAgeMsFieldNumber, static_cast<uint64_t>(found.age_ms), at);
  return WriteNumber(v1::CacheValue::kNegativeFieldNumber, found.entry->negative, at);
}

}  // namespace

bool ReadGetRequest(std::string_view bytes, KeyParts* key) {
  Reader reader(bytes);
  std::string_view message;
  return !reader.done() && reader.Tag() == BytesTag(v1::GetRequest::kKeyFieldNumber) &&
         reader.Bytes(&message) && reader.done() && ReadKey(message, key);
}

bool ReadGetManyRequest(std::string_view bytes, size_t max_count, Keys* keys) {
  for (Reader reader(bytes); !reader.done() && keys->size() <= max_count;) {
    std::string_view message;
    if (reader.Tag() != BytesTag(v1::GetManyRequest::kKeysFieldNumber) || !reader.Bytes(&message) ||
        !ReadKey(message, &keys->emplace_back())) {
      return false;
    }
  }
  return true;
}

size_t GetResponseBytes(const Found& found) {
  constexpr size_t kResultBytes = 2;
  if (found.freshness == Found::kMiss) return kResultBytes;
  constexpr size_t kTierBytes = 2;
  const size_t value = ValueBytes(found);
  return kResultBytes + 1 + VarintBytes(value) + value + kTierBytes;
}

char* WriteGetResponse(const Found& found, char* at) {
  const auto result = found.freshness == Found::kMiss    ? v1::GetResponse::MISS
                      : found.freshness == Found::kFresh ? v1::GetResponse::HIT
                                                         : v1::GetResponse::STALE;
  at = WriteNumber(v1::GetResponse::kResultFieldNumber, result, at);
  if (found.freshness == Found::kMiss) return at;
  at = WriteTagged(BytesTag(v1::GetResponse::kValueFieldNumber), ValueBytes(found), at);
  at = WriteValue(found, at);
  return WriteNumber(v1::GetResponse::kTierFieldNumber,
                     found.from_l2 ? v1::GetResponse::L2 : v1::GetResponse::L1, at);
}

size_t GetManyResponseBytes(absl::Span<const Found> found) {
  size_t bytes = 0;
  for (const Found& one : found) {
    const size_t size = GetResponseBytes(one);
    bytes += 1 + VarintBytes(size) + size;
  }
  return bytes;
}

char* WriteGetManyResponse(absl::Span<const Found> found, char* at) {
  for (const Found& one : found) {
    at = WriteTagged(BytesTag(v1::GetManyResponse::kResultsFieldNumber), GetResponseBytes(one), at);
    at = WriteGetResponse(one, at);
  }
  return at;
}

}  // namespace slipstream::cache::wire
