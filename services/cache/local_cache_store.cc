#include "services/cache/local_cache_store.h"

#include <algorithm>
#include <utility>

#include "services/cache/invalidation_walk.h"

namespace slipstream::cache {

Async<void> LocalCacheStore::Read(absl::Span<const ScopedKey> keys, int64_t now_ms,
                                  absl::Span<EntryRef> found, absl::Span<bool> from_l2) {
  memory_.Read(keys, now_ms, found);
  std::fill(from_l2.begin(), from_l2.end(), false);
  co_return;
}

Async<void> LocalCacheStore::Write(absl::Span<const WriteRequest> writes, int64_t now_ms,
                                   absl::Span<WriteResult> results) {
  for (size_t i = 0; i < writes.size(); ++i) {
    results[i] = memory_.Write(writes[i], slots_.Of(writes[i].tags), now_ms);
    if (!results[i].replaced) continue;
    const ScopedKey& key = *writes[i].key;
    watch_log_.Append(Invalidation::OfKey(key.id(), key.user_key()));
  }
  co_return;
}

Async<absl::StatusOr<Erased>> LocalCacheStore::Erase(absl::Span<const ScopedKey> keys,
                                                     int64_t now_ms) {
  Erased out;
  for (const auto& key : keys) {
    out.existed.push_back(memory_.Erase(key.id(), key.hash(), now_ms));
    out.done.position = watch_log_.Append(Invalidation::OfKey(key.id(), key.user_key()));
  }
  co_return out;
}

Async<absl::StatusOr<Invalidated>> LocalCacheStore::Invalidate(Invalidation what) {
  Invalidated out;
  if (what.kind == Invalidation::kGlob) {
    InvalidationWalk walk(memory_, *what.filter);
    co_await walk.Run();
    out.erased_count = walk.erased_count();
  } else {
    memory_.Invalidate(slots_.Of(what.tags));
  }
  out.position = watch_log_.Append(std::move(what));
  co_return out;
}

Async<SharedLease> LocalCacheStore::AcquireLease(const ScopedKey&, std::string_view, absl::Duration,
                                                 uint64_t) {
  co_return SharedLease{};
}

Async<void> LocalCacheStore::EndLease(const ScopedKey&, std::string_view) { co_return; }

}  // namespace slipstream::cache
