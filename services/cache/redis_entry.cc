#include "services/cache/redis_entry.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/cache/entry_memory.h"

namespace slipstream::cache {

namespace {

constexpr size_t kNumberDigits = 16;
constexpr size_t kSlotDigits = 5;
constexpr char kNegative = 'n';
constexpr char kPlain = '-';
constexpr char kCompressed = 'z';

// Takes digits from the front; false when there are none.
template <class Number>
bool Take(std::string_view& bytes, size_t digits, Number* out) {
  if (bytes.size() < digits) return false;
  const bool ok = absl::SimpleAtoi(absl::string_view(bytes.data(), digits), out);
  bytes.remove_prefix(digits);
  return ok;
}

}  // namespace

std::string Padded(uint64_t number) { return absl::StrFormat("%016d", number); }

std::string SlotDigits(absl::Span<const uint32_t> slots) {
  std::string out;
  for (const uint32_t slot : slots) absl::StrAppendFormat(&out, "%05d", slot);
  return out;
}

std::string EncodeBody(const WriteRequest& write, int64_t now_ms) {
  const ScopedKey& key = *write.key;
  std::string out;
  out.reserve(2 * kNumberDigits + 1 + kSlotDigits + key.user_key().size() + write.value.size());
  absl::StrAppendFormat(&out, "%016d%016d", now_ms, write.stale_at_ms);
  out += write.negative ? kNegative : write.compressed ? kCompressed : kPlain;
  absl::StrAppendFormat(&out, "%05d", key.user_key().size());
  out.append(key.user_key()).append(write.value);
  return out;
}

std::optional<RedisEntry> DecodeEntry(std::string_view bytes) {
  RedisEntry out;
  if (bytes.size() < kNumberDigits) return std::nullopt;
  out.generation = bytes.substr(0, kNumberDigits);
  bytes.remove_prefix(kNumberDigits);
  int slots_count = 0;
  size_t key_size = 0;
  if (!Take(bytes, kNumberDigits, &out.version) || !Take(bytes, kNumberDigits, &out.as_of) ||
      !Take(bytes, kNumberDigits, &out.expires_at_ms) || !Take(bytes, 2, &slots_count)) {
    return std::nullopt;
  }
  for (int i = 0; i < slots_count; ++i) {
    uint32_t slot = 0;
    if (!Take(bytes, kSlotDigits, &slot) || slot >= EpochTable::kSlotsCount) return std::nullopt;
    out.slots.push_back(slot);
  }
  if (!Take(bytes, kNumberDigits, &out.stored_at_ms) ||
      !Take(bytes, kNumberDigits, &out.stale_at_ms) || bytes.empty()) {
    return std::nullopt;
  }
  out.negative = bytes[0] == kNegative;
  out.compressed = bytes[0] == kCompressed;
  bytes.remove_prefix(1);
  if (!Take(bytes, kSlotDigits, &key_size) || key_size > bytes.size()) return std::nullopt;
  out.user_key = bytes.substr(0, key_size);
  out.value = bytes.substr(key_size);
  return out;
}

EntryRef EntryOf(const RedisEntry& entry, std::string_view id) {
  auto out = MakeEntry<Entry>(id, entry.user_key, entry.value);
  out->negative = entry.negative;
  out->compressed = entry.compressed;
  out->version = entry.version;
  out->stored_at_ms = entry.stored_at_ms;
  out->stale_at_ms = entry.stale_at_ms;
  out->expires_at_ms = entry.expires_at_ms;
  return out;
}

}  // namespace slipstream::cache
