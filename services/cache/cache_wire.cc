#include "services/cache/cache_wire.h"

#include <algorithm>
#include <cstdint>

#include "libs/protowire/protowire.h"

namespace slipstream::cache::wire {

namespace {

using protowire::BytesFieldBytes;
using protowire::BytesTag;
using protowire::NumberBytes;
using protowire::Reader;
using protowire::VarintBytes;
using protowire::VarintTag;
using protowire::WriteNumber;
using protowire::WriteTagged;

// --- reading

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

size_t ValueBytes(const Found& found) {
  return BytesFieldBytes(found.entry->value().size()) + NumberBytes(found.entry->version) +
         NumberBytes(static_cast<uint64_t>(found.ttl_left_ms)) +
         NumberBytes(static_cast<uint64_t>(found.age_ms)) + NumberBytes(found.entry->negative);
}

char* WriteValue(const Found& found, char* at) {
  at = protowire::WriteBytes(v1::CacheValue::kValueFieldNumber, found.entry->value(), at);
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
    // Keys of one call are mostly of one size, and at most max_count + 1 are read.
    if (keys->size() == 1) {
      keys->reserve(std::min(bytes.size() / std::max<size_t>(message.size(), 1), max_count) + 1);
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

char* WriteGetManyResponse(absl::Span<const Found> found, size_t room_bytes, char* at) {
  // A large answer's memory has mostly left the processor's cache since it was last used: it is
  // asked for some lines before it is written.
  constexpr size_t kCacheLineBytes = 64;
  constexpr std::ptrdiff_t kAheadBytes = 48 * kCacheLineBytes;
  const char* fetched = at;
  const char* const end = at + room_bytes;
  for (const Found& one : found) {
    const size_t bytes = GetResponseBytes(one);
    const char* const until = at + std::min(end - at, kAheadBytes);
    fetched = std::max<const char*>(fetched, at);
    for (; fetched < until; fetched += kCacheLineBytes) __builtin_prefetch(fetched, 1);
    at = WriteTagged(BytesTag(v1::GetManyResponse::kResultsFieldNumber), bytes, at);
    at = WriteGetResponse(one, at);
  }
  return at;
}

}  // namespace slipstream::cache::wire
