#include "services/cache/memory_cache_store.h"

#include <algorithm>
#include <utility>

#include "libs/sync/mutex.h"
#include "libs/sync/short_mutex_lock.h"
#include "services/cache/entry_memory.h"
#include "services/cache/memory_shard.h"
#include "services/cache/shard_groups.h"

namespace slipstream::cache {

namespace {

// What an entry costs beside its bytes and its Node: the control block, the allocation's rounding
// up, a table slot after doubling, frequencies and ghosts. Measured: `tools/bench cache-l1`
// compares what is accounted with what the allocator has handed out.
constexpr int64_t kBookkeepingBytes = 208;

// Largest values that a shard holds: hashing spreads few entries unevenly, so a shard is not small.
constexpr int64_t kLargestPerShard = 8;

// Dead entries removed under one hold of a shard's lock.
constexpr size_t kSweepBatchCount = 512;
constexpr int kCallsPerSweep = 8;

}  // namespace

MemoryCacheStore::MemoryCacheStore(const Options& options)
    : options_(options), tenant_bytes_(options.quota_bytes) {
  const int64_t fitting =
      options.max_bytes / (kLargestPerShard * std::max<int64_t>(options.max_value_bytes, 1));
  static_assert(kMaxShardsCount <= ShardGroups::kMaxShardsCount);
  const auto count = std::clamp<int64_t>(fitting, 1, kMaxShardsCount);
  for (int64_t i = 0; i < count; ++i) {
    shards_.push_back(std::make_unique<Shard>(options.max_bytes / count, tenant_bytes_));
  }
}

MemoryCacheStore::~MemoryCacheStore() = default;

void MemoryCacheStore::Read(absl::Span<const ScopedKey> keys, int64_t now_ms,
                            absl::Span<EntryRef> found) {
  if (keys.size() == 1) {
    Shard& shard = ShardOf(keys[0].hash());
    sync::ShortMutexLock lock(shard.mutex);
    found[0] = shard.Read({keys[0].id(), keys[0].hash()}, now_ms, epochs_);
    return;
  }
  for (; !keys.empty(); keys.remove_prefix(std::min(keys.size(), ShardGroups::kMaxKeysCount)),
                        found.remove_prefix(std::min(found.size(), ShardGroups::kMaxKeysCount))) {
    ReadSome(keys.first(std::min(keys.size(), ShardGroups::kMaxKeysCount)), now_ms, found);
  }
}

void MemoryCacheStore::ReadSome(absl::Span<const ScopedKey> keys, int64_t now_ms,
                                absl::Span<EntryRef> found) {
  const ShardGroups groups(keys.size(), [&](size_t i) { return ShardIndexOf(keys[i].hash()); });
  // Nearly all the time of a look-up is waiting for memory: for the shard, for the table's slot,
  // for the entry that it names, for the value. So each is asked for ahead for all keys.
  groups.ForEach([&](size_t index, absl::Span<const uint8_t>) { shards_[index]->FetchAhead(); });
  groups.ForEach([&](size_t index, absl::Span<const uint8_t> some) {
    Shard& shard = *shards_[index];
    sync::ShortMutexLock lock(shard.mutex);
    for (const uint8_t i : some) shard.table.contains(Shard::Probe{keys[i].hash(), 0});
  });
  groups.ForEach([&](size_t index, absl::Span<const uint8_t> some) {
    Shard& shard = *shards_[index];
    sync::ShortMutexLock lock(shard.mutex);
    for (const uint8_t i : some) {
      shard.table.contains(Shard::Probe{keys[i].hash(), keys[i].id().size()});
    }
  });
  groups.ForEach([&](size_t index, absl::Span<const uint8_t> some) {
    Shard& shard = *shards_[index];
    sync::ShortMutexLock lock(shard.mutex);
    for (const uint8_t i : some) {
      found[i] = shard.Read({keys[i].id(), keys[i].hash()}, now_ms, epochs_);
      if (found[i] == nullptr) continue;
      const std::string_view value = found[i]->value();
      FetchAhead(reinterpret_cast<uintptr_t>(value.data()), value.size());
    }
  });
}

WriteResult MemoryCacheStore::Write(const WriteRequest& write, absl::Span<const uint32_t> slots,
                                    int64_t now_ms, const Copy* copy) {
  Shard& shard = ShardOf(write.key->hash());
  const WriteResult result = WriteIn(shard, write, slots, now_ms, copy);
  const uint64_t owner = write.key->owner();
  if (tenant_bytes_.enabled() && tenant_bytes_.IsOver(owner)) {
    KeepToQuota(owner, ShardIndexOf(write.key->hash()));
  }
  return result;
}

void MemoryCacheStore::KeepToQuota(uint64_t owner, size_t first) {
  // The other shards in turn; the one that was written to comes last, with what was written.
  for (size_t i = 1; i <= shards_.size() && tenant_bytes_.IsOver(owner); ++i) {
    Shard& shard = *shards_[(first + i) % shards_.size()];
    sync::MutexLock lock(shard.mutex);
    shard.KeepToQuota(owner, nullptr);
  }
}

WriteResult MemoryCacheStore::WriteIn(Shard& shard, const WriteRequest& write,
                                      absl::Span<const uint32_t> slots, int64_t now_ms,
                                      const Copy* copy) {
  const ScopedKey& key = *write.key;
  auto node = MakeEntry<Node>(key.id(), key.user_key(), write.value);
  node->negative = write.negative;
  node->compressed = write.compressed;
  node->stored_at_ms = copy != nullptr ? copy->stored_at_ms : now_ms;
  node->stale_at_ms = write.stale_at_ms;
  node->expires_at_ms = write.expires_at_ms;
  node->kept_until_ms = copy != nullptr ? copy->kept_until_ms : write.expires_at_ms;
  node->hash = key.hash();
  node->owner = key.owner();
  node->slots.assign(slots.begin(), slots.end());
  node->weight_bytes = static_cast<uint32_t>(
      key.id().size() + key.user_key().size() + write.value.size() + sizeof(Node) +
      kBookkeepingBytes + (node->slots.size() > 2 ? node->slots.capacity() * 4 : 0));

  Shard::NodePtr replaced;  // freed after the lock is released
  sync::ShortMutexLock lock(shard.mutex);
  // Within the lock, so that a delete or invalidation that ended before this write is seen by it.
  node->born = write.fill ? write.fill->as_of : epochs_.now();
  const auto it = shard.FindLive({key.id(), key.hash()}, now_ms, epochs_);
  const uint64_t present = it == shard.table.end() ? 0 : (*it)->version;
  if (write.if_version && *write.if_version != present) {
    return {WriteResult::kVersionMismatch, present};
  }
  if (write.fill) {
    const bool killed = key_epochs_.NewerThan(EpochTable::SlotOf(key.hash()), node->born) ||
                        fills_refused_before_.load(std::memory_order_acquire) > node->born ||
                        epochs_.AnyNewerThan(node->slots, node->born);
    const bool overtaken = copy != nullptr ? present >= copy->version
                                           : present != 0 && present != write.fill->seen_version;
    if (killed || overtaken) return {WriteResult::kFillRefused, present};
  }
  node->version =
      copy != nullptr ? copy->version : (present != 0 ? present : shard.version_floor) + 1;
  if (node->weight_bytes > shard.max_bytes) {
    // It would push out all others and then itself.
    const uint64_t version = node->version;
    if (present != 0) shard.Remove(it, EvictionCause::kCapacity);
    shard.version_floor = std::max(shard.version_floor, version);
    return {WriteResult::kStored, version, present != 0};
  }
  shard.Account(*node, 1);
  if (present != 0) {
    replaced = *it;
    shard.policy.Replace(replaced.get(), node.get());
    shard.Account(*replaced, -1);
    shard.table.erase(it);
  } else {
    shard.policy.Insert(node.get());
  }
  const uint64_t version = node->version;
  const Node* stored = node.get();
  shard.table.insert(std::move(node));
  shard.MakeRoom();
  if (tenant_bytes_.enabled()) shard.KeepToQuota(key.owner(), stored);
  return {WriteResult::kStored, version, present != 0};
}

bool MemoryCacheStore::Erase(std::string_view id, size_t hash, int64_t now_ms) {
  // Before the lock: a fill either sees this epoch, or stored before and is erased below.
  key_epochs_.Raise(EpochTable::SlotOf(hash), epochs_.Next());
  Shard& shard = ShardOf(hash);
  sync::MutexLock lock(shard.mutex);
  const auto it = shard.FindLive({id, hash}, now_ms, epochs_);
  const bool existed = it != shard.table.end();
  if (existed) shard.Remove(it, EvictionCause::kInvalidated);
  return existed;
}

void MemoryCacheStore::Invalidate(absl::Span<const uint32_t> slots) {
  const Offset position = epochs_.Next();
  for (const uint32_t slot : slots) epochs_.Raise(slot, position);
}

void MemoryCacheStore::RefuseOlderFills() {
  const Offset position = epochs_.Next();
  Offset seen = fills_refused_before_.load(std::memory_order_relaxed);
  while (seen < position &&
         !fills_refused_before_.compare_exchange_weak(seen, position, std::memory_order_acq_rel)) {
  }
}

std::vector<EntryRef> MemoryCacheStore::List(int part) const {
  const Shard& shard = *shards_[static_cast<size_t>(part)];
  sync::MutexLock lock(shard.mutex);
  return std::vector<EntryRef>(shard.table.begin(), shard.table.end());
}

int64_t MemoryCacheStore::EraseListed(absl::Span<const EntryRef> entries, EvictionCause cause) {
  int64_t erased = 0;
  for (const auto& entry : entries) {
    const size_t hash = static_cast<const Node&>(*entry).hash;
    Shard& shard = ShardOf(hash);
    sync::MutexLock lock(shard.mutex);
    const auto it = shard.table.find(Shard::Lookup{entry->id(), hash});
    if (it == shard.table.end() || *it != entry) continue;
    shard.Remove(it, cause);
    ++erased;
  }
  return erased;
}

void MemoryCacheStore::Sweep(int part, int64_t now_ms) {
  Shard& shard = *shards_[static_cast<size_t>(part)];
  std::vector<EntryRef> dead;
  {
    sync::MutexLock lock(shard.mutex);
    for (const auto& node : shard.table) {
      if (!node->ExpiredAt(now_ms) && !epochs_.AnyNewerThan(node->slots, node->born)) continue;
      dead.push_back(node);
      if (dead.size() == kSweepBatchCount) break;
    }
  }
  for (const auto& entry : dead) {
    sync::MutexLock lock(shard.mutex);
    const auto it =
        shard.table.find(Shard::Lookup{entry->id(), static_cast<const Node&>(*entry).hash});
    if (it == shard.table.end() || *it != entry) continue;
    shard.Remove(
        it, entry->expires_at_ms <= now_ms ? EvictionCause::kExpired : EvictionCause::kInvalidated);
  }
}

void MemoryCacheStore::SweepNext(int64_t now_ms) {
  const int parts = parts_count();
  for (int i = 0; i < (parts + kCallsPerSweep - 1) / kCallsPerSweep; ++i) {
    const unsigned turn = next_sweep_.fetch_add(1, std::memory_order_relaxed);
    Sweep(static_cast<int>(turn % static_cast<unsigned>(parts)), now_ms);
  }
}

StoreUsage MemoryCacheStore::Usage() const {
  StoreUsage out;
  out.max_bytes = options_.max_bytes;
  auto add = [](StoreUsage::Held& to, const StoreUsage::Held& from) {
    to.bytes += from.bytes;
    to.entries_count += from.entries_count;
  };
  for (const auto& shard : shards_) {
    sync::MutexLock lock(shard->mutex);
    for (size_t i = 0; i < kTypeCount; ++i) {
      add(out.types[i], shard->types[i]);
      add(out.total, shard->types[i]);
    }
    for (const auto& [name, held] : shard->namespaces) add(out.namespaces[name], held);
    for (size_t i = 0; i < kEvictionCauseCount; ++i) out.evictions[i] += shard->evictions[i];
  }
  return out;
}

}  // namespace slipstream::cache
