// A value as it lies in Redis: a head that the scripts read (redis_cache_scripts.cc, kValue), then
// what only nodes read.
//
//   generation 16, version 16, as_of 16, end_ms 16, count of slots 2, slots 5 each    decimal
//   stored_ms 16, stale_ms 16, flags 1, size of the caller's key 5                    decimal
//   the caller's key, the value
//
// Thread safety: free functions. Errors: nullopt for bytes that are not an entry.
#ifndef SERVICES_CACHE_REDIS_ENTRY_H_
#define SERVICES_CACHE_REDIS_ENTRY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "services/cache/cache_store.h"
#include "services/cache/tag_slots.h"

namespace slipstream::cache {

// What a walk by pattern must see of a value: head, flags and the longest key.
inline constexpr int kRedisHeadBytes =
    66 + 5 * (static_cast<int>(kMaxTagsCount) + 1) + 38 + static_cast<int>(kMaxKeyBytes);

// "0001234567890123", as the scripts have numbers.
std::string Padded(uint64_t number);
// "00007" for each.
std::string SlotDigits(absl::Span<const uint32_t> slots);

// From the stored time on; the scripts put the head before it.
std::string EncodeBody(const WriteRequest& write, int64_t now_ms);

struct RedisEntry {
  std::string_view generation;
  uint64_t version = 0;
  Offset as_of = 0;
  int64_t stored_at_ms = 0;
  int64_t stale_at_ms = 0;
  int64_t expires_at_ms = 0;
  bool negative = false;
  bool compressed = false;
  TagSlots::Slots slots;
  std::string_view user_key;
  std::string_view value;  // a part of it when the bytes were cut
};
// Views of `bytes`.
std::optional<RedisEntry> DecodeEntry(std::string_view bytes);

// For an answer.
EntryRef EntryOf(const RedisEntry& entry, std::string_view id);

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_REDIS_ENTRY_H_
