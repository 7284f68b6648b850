#include "libs/auth/verified_token_cache.h"

#include <utility>

namespace slipstream::auth {

VerifiedTokenCache::VerifiedTokenCache(size_t max_entry_count)
    : slots_per_shard_((max_entry_count + kShardCount - 1) / kShardCount),
      sha256_(EVP_MD_fetch(nullptr, "SHA256", nullptr)) {}

VerifiedTokenCache::Digest VerifiedTokenCache::DigestOf(std::string_view token) const {
  Digest digest{};
  // Of this thread: making one costs as much as the hash of a token. Init clears it.
  thread_local const MdCtxPtr context(EVP_MD_CTX_new());
  EVP_DigestInit_ex2(context.get(), sha256_.get(), nullptr);
  EVP_DigestUpdate(context.get(), token.data(), token.size());
  EVP_DigestFinal_ex(context.get(), digest.data(), nullptr);
  return digest;
}

bool VerifiedTokenCache::EnterGeneration(Shard& shard, uint64_t generation) {
  if (generation < shard.generation) return false;
  if (generation > shard.generation) {
    shard.index.clear();
    shard.slots.clear();
    shard.free_slots.clear();
    shard.hand = 0;
    shard.generation = generation;
  }
  return true;
}

std::shared_ptr<const Principal> VerifiedTokenCache::Find(const Digest& digest, uint64_t generation,
                                                          absl::Time now) {
  Shard& shard = ShardOf(digest);
  std::shared_ptr<const Principal> expired;  // let go after the lock
  sync::MutexLock lock(shard.mu);
  if (EnterGeneration(shard, generation)) {
    const auto it = shard.index.find(digest);
    if (it != shard.index.end()) {
      Slot& slot = shard.slots[it->second];
      if (now < slot.principal->expires_at) {
        slot.referenced = true;
        ++shard.stats.hits_total;
        return slot.principal;
      }
      expired = std::move(slot.principal);
      slot.principal = nullptr;
      shard.free_slots.push_back(it->second);
      shard.index.erase(it);
    }
  }
  ++shard.stats.misses_total;
  return nullptr;
}

uint32_t VerifiedTokenCache::TakeSlot(Shard& shard) {
  if (!shard.free_slots.empty()) {
    const uint32_t free = shard.free_slots.back();
    shard.free_slots.pop_back();
    return free;
  }
  if (shard.slots.size() < slots_per_shard_) {
    shard.slots.emplace_back();
    return static_cast<uint32_t>(shard.slots.size() - 1);
  }
  // No slot is free here, so every slot holds an entry. Ends within two rounds: the first clears
  // the bits.
  while (shard.slots[shard.hand].referenced) {
    shard.slots[shard.hand].referenced = false;
    shard.hand = (shard.hand + 1) % shard.slots.size();
  }
  const auto victim = static_cast<uint32_t>(shard.hand);
  shard.hand = (shard.hand + 1) % shard.slots.size();
  shard.index.erase(shard.slots[victim].digest);
  ++shard.stats.evictions_total;
  return victim;
}

void VerifiedTokenCache::Insert(const Digest& digest, uint64_t generation, absl::Time now,
                                std::shared_ptr<const Principal> principal) {
  if (slots_per_shard_ == 0 || principal == nullptr || now >= principal->expires_at) return;
  Shard& shard = ShardOf(digest);
  sync::MutexLock lock(shard.mu);
  if (!EnterGeneration(shard, generation)) return;
  if (shard.index.contains(digest)) return;  // another thread verified the same token meanwhile
  const uint32_t slot = TakeSlot(shard);
  shard.slots[slot] = {.digest = digest, .principal = std::move(principal), .referenced = false};
  shard.index.emplace(digest, slot);
}

VerifiedTokenCacheStats VerifiedTokenCache::Stats() const {
  VerifiedTokenCacheStats total;
  for (const Shard& shard : shards_) {
    sync::MutexLock lock(shard.mu);
    total.hits_total += shard.stats.hits_total;
    total.misses_total += shard.stats.misses_total;
    total.evictions_total += shard.stats.evictions_total;
    total.entry_count += shard.index.size();
  }
  return total;
}

}  // namespace slipstream::auth
