// One shard of a MemoryCacheStore: a table, an eviction policy and a share of the byte limit under
// one lock. Only memory_cache_store.cc includes it.
//
// Thread safety: `mutex` guards it, as the annotations say.
#ifndef SERVICES_CACHE_MEMORY_SHARD_H_
#define SERVICES_CACHE_MEMORY_SHARD_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "libs/sync/mutex.h"
#include "services/cache/epoch_table.h"
#include "services/cache/eviction/adaptive_policy.h"
#include "services/cache/memory_cache_store.h"
#include "services/cache/tenant_quota.h"

namespace slipstream::cache {

// For a read that comes soon, so that it does not wait for one key's memory after the other.
inline void FetchAhead(uintptr_t begin, size_t bytes) {
  // Beyond that the processor sees for itself where a value goes on.
  constexpr size_t kCacheLineBytes = 64, kMaxFetchedBytes = 8 * kCacheLineBytes;
  const uintptr_t end = begin + std::min(bytes, kMaxFetchedBytes);
  for (begin -= begin % kCacheLineBytes; begin < end; begin += kCacheLineBytes) {
    __builtin_prefetch(reinterpret_cast<const void*>(begin));
  }
}

// What a read looks at stands together at the begin, next to the reference count.
struct MemoryCacheStore::Liveness {
  int64_t kept_until_ms = 0;  // not above expires_at_ms
  Offset born = 0;
  absl::InlinedVector<uint32_t, 2> slots;  // of its tags in epochs_

  bool ExpiredAt(int64_t now_ms) const { return now_ms >= kept_until_ms; }
};

// Behind it are the entry's bytes (entry_memory.h).
struct MemoryCacheStore::Node : Liveness, Entry, EntryLink, OwnedLink {};

struct MemoryCacheStore::Shard {
  using NodePtr = std::shared_ptr<Node>;
  struct Lookup {
    std::string_view id;
    size_t hash;
  };
  // Is no entry's key: who looks for it fetches what it is compared with.
  struct Probe {
    size_t hash;
    size_t id_size;  // 0: only the slots that name the entries
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(const NodePtr& node) const { return node->hash; }
    size_t operator()(const Lookup& lookup) const { return lookup.hash; }
    size_t operator()(const Probe& probe) const { return probe.hash; }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const NodePtr& a, const NodePtr& b) const { return a->id() == b->id(); }
    bool operator()(const NodePtr& a, const Lookup& b) const { return a->id() == b.id; }
    bool operator()(const Lookup& a, const NodePtr& b) const { return a.id == b->id(); }
    bool operator()(const NodePtr& a, const Probe& b) const {
      if (b.id_size == 0) {
        __builtin_prefetch(&a);
        return false;
      }
      const auto at = reinterpret_cast<uintptr_t>(a.get());
      // The reference count is before it, and will be written.
      __builtin_prefetch(reinterpret_cast<const void*>(at - 1), 1);
      slipstream::cache::FetchAhead(at, sizeof(Node) + b.id_size);
      return false;
    }
    bool operator()(const Probe& a, const NodePtr& b) const { return (*this)(b, a); }
  };
  using Table = absl::flat_hash_set<NodePtr, Hash, Equal>;
  using NamespaceName = std::string;

  // Of each shard's bytes, one in so many is for what the policy keeps beside the entries.
  static constexpr int64_t kShadowsPart = 16;

  // `share_bytes` of the whole, of which a part is the shadows'.
  Shard(int64_t share_bytes, TenantBytes& tenants)
      : max_bytes(share_bytes - share_bytes / kShadowsPart),
        tenant_bytes(tenants),
        policy({.max_bytes = max_bytes,
                .max_records_count = static_cast<size_t>(share_bytes / kShadowsPart) /
                                     AdaptivePolicy::kBytesPerRecord}) {}

  // What a read of this shard itself writes and looks at: the lines that processors take from each
  // other. Only their addresses are used, so without the lock.
  void FetchAhead() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    __builtin_prefetch(&mutex, 1);
    __builtin_prefetch(&table);
    policy.FetchAhead();
  }

  void Account(Node& node, int sign) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (tenant_bytes.enabled() && node.owner != 0) {
      tenant_bytes.Add(node.owner, sign * int64_t{node.weight_bytes});
      if (sign > 0)
        owned.Add(&node);
      else
        owned.Remove(&node);
    }
    const IdParts parts = ParseId(node.id());
    auto add = [&](StoreUsage::Held& held) {
      held.bytes += sign * int64_t{node.weight_bytes};
      held.entries_count += sign;
    };
    add(types[static_cast<size_t>(parts.type)]);
    auto it = namespaces.find(absl::string_view(parts.space.data(), parts.space.size()));
    if (it == namespaces.end()) it = namespaces.try_emplace(NamespaceName(parts.space)).first;
    add(it->second);
    if (it->second.entries_count == 0) namespaces.erase(it);
  }

  // The policy no longer has it.
  void Forget(Node& node, EvictionCause cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Account(node, -1);
    version_floor = std::max(version_floor, node.version);
    ++evictions[static_cast<size_t>(cause)];
  }

  void Remove(Table::iterator it, EvictionCause cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    policy.Remove(it->get());
    Forget(**it, cause);
    table.erase(it);
  }

  // The live entry, or end(); a dead one is removed on the way.
  Table::iterator FindLive(const Lookup& key, int64_t now_ms, const EpochTable& epochs)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    auto it = table.find(key);
    if (it == table.end()) return it;
    const Node& node = **it;
    if (node.ExpiredAt(now_ms)) {
      Remove(it, EvictionCause::kExpired);
    } else if (epochs.AnyNewerThan(node.slots, node.born)) {
      Remove(it, EvictionCause::kInvalidated);
    } else {
      return it;
    }
    return table.end();
  }

  // The live entry, or null.
  EntryRef Read(const Lookup& key, int64_t now_ms, const EpochTable& epochs)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    const auto it = FindLive(key, now_ms, epochs);
    if (it == table.end()) return nullptr;
    policy.Touch(it->get());
    return *it;
  }

  void MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    while (policy.bytes() > max_bytes) {
      Node* victim = static_cast<Node*>(policy.Evict());
      Forget(*victim, EvictionCause::kCapacity);
      table.erase(table.find(Lookup{victim->id(), victim->hash}));
    }
  }

  // Until the owner is within its quota, or has no more here than `spared`.
  void KeepToQuota(uint64_t owner, const Node* spared) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    while (tenant_bytes.IsOver(owner)) {
      Node* oldest = static_cast<Node*>(owned.Oldest(owner));
      if (oldest == nullptr || oldest == spared) return;
      Remove(table.find(Lookup{oldest->id(), oldest->hash}), EvictionCause::kQuota);
    }
  }

  mutable sync::Mutex mutex;
  const int64_t max_bytes;
  TenantBytes& tenant_bytes;  // of all shards
  OwnedEntries owned ABSL_GUARDED_BY(mutex);
  Table table ABSL_GUARDED_BY(mutex);
  AdaptivePolicy policy ABSL_GUARDED_BY(mutex);
  // At least the version of everything that was removed: a key that comes back goes on above it,
  // with no tombstone kept.
  uint64_t version_floor ABSL_GUARDED_BY(mutex) = 0;
  std::array<StoreUsage::Held, kTypeCount> types ABSL_GUARDED_BY(mutex){};
  absl::flat_hash_map<NamespaceName, StoreUsage::Held> namespaces ABSL_GUARDED_BY(mutex);
  std::array<uint64_t, kEvictionCauseCount> evictions ABSL_GUARDED_BY(mutex){};
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_MEMORY_SHARD_H_
