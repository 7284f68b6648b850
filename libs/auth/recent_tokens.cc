#include "libs/auth/recent_tokens.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

namespace slipstream::auth {

namespace {

std::atomic<uint64_t> next_instance{1};

// Looks at every byte whatever it finds.
bool EqualInConstantTime(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  uint64_t difference = 0;
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= a.size(); at += sizeof(uint64_t)) {
    uint64_t left, right;
    std::memcpy(&left, a.data() + at, sizeof(left));
    std::memcpy(&right, b.data() + at, sizeof(right));
    difference |= left ^ right;
  }
  for (; at < a.size(); ++at) difference |= static_cast<unsigned char>(a[at] ^ b[at]);
  return difference == 0;
}

}  // namespace

struct RecentTokens::Slot {
  uint64_t instance = 0;  // 0: free
  uint64_t generation = 0;
  std::string token;
  std::shared_ptr<const Principal> principal;
};

RecentTokens::RecentTokens() : instance_(next_instance.fetch_add(1, std::memory_order_relaxed)) {}

RecentTokens::Slot& RecentTokens::SlotOf(std::string_view token) {
  thread_local std::array<Slot, kMaxTokensCount> slots;
  // The end of a token is the end of its signature: as good as random for those that are verified,
  // and no others are kept.
  uint64_t tail = 0;
  const size_t size = std::min(token.size(), sizeof(tail));
  std::memcpy(&tail, token.data() + (token.size() - size), size);
  return slots[((tail * 0x9E3779B97F4A7C15u) >> 32) % kMaxTokensCount];
}

std::shared_ptr<const Principal> RecentTokens::Find(std::string_view token, uint64_t generation,
                                                    absl::Time now) {
  const Slot& slot = SlotOf(token);
  if (slot.instance != instance_ || slot.generation != generation ||
      !EqualInConstantTime(slot.token, token) || now >= slot.principal->expires_at) {
    return nullptr;
  }
  hits_total_.fetch_add(1, std::memory_order_relaxed);
  return slot.principal;
}

void RecentTokens::Keep(std::string_view token, uint64_t generation,
                        std::shared_ptr<const Principal> principal) {
  if (token.size() > kMaxTokenBytes) return;
  Slot& slot = SlotOf(token);
  slot.instance = instance_;
  slot.generation = generation;
  slot.token.assign(token);
  slot.principal = std::move(principal);
}

}  // namespace slipstream::auth
