#include "services/cache/cache_engine.h"

#include <algorithm>
#include <utility>

#include "absl/container/fixed_array.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::cache {

namespace {

constexpr size_t kTokenBytes = 16;
// Of one GetOrLease whose value changes while it asks.
constexpr int kMaxLeaseTries = 3;

// Of a compressed one, for an answer.
struct PlainEntry : Entry {
  std::string kept;  // its bytes
};

absl::StatusOr<uint64_t> VersionOf(const WriteResult& result) {
  if (result.outcome == WriteResult::kStored) return result.version;
  if (result.outcome == WriteResult::kFailed) return result.error;
  return status::Error(
      absl::StatusCode::kFailedPrecondition, "VERSION_MISMATCH",
      absl::StrCat("the key is at version ", result.version,
                   " (0: no value), not at if_version; read it again and decide anew"),
      {{"version", absl::StrCat(result.version)}});
}

}  // namespace

Found CacheEngine::Classify(EntryRef entry, int64_t now_ms) {
  Found out;
  // It may have ended while the answer was under way.
  if (entry == nullptr || now_ms >= entry->expires_at_ms) return out;
  out.freshness = now_ms < entry->stale_at_ms ? Found::kFresh : Found::kStale;
  out.ttl_left_ms = entry->expires_at_ms - now_ms;
  // The wall clock may have been set back.
  out.age_ms = std::max<int64_t>(0, now_ms - entry->stored_at_ms);
  out.entry = std::move(entry);
  return out;
}

void CacheEngine::CountReads(absl::Span<const ScopedKey> keys, absl::Span<const Found> found) {
  for (size_t begin = 0; begin < keys.size();) {
    const ScopedKey& key = keys[begin];
    const Found::Freshness freshness = found[begin].freshness;
    // Keys of one call are mostly alike: one count for all of them.
    size_t end = begin + 1;
    while (end < keys.size() && found[end].freshness == freshness &&
           keys[end].type() == key.type() && keys[end].space() == key.space()) {
      ++end;
    }
    stats_.Count(key,
                 freshness == Found::kFresh   ? CacheStats::kHit
                 : freshness == Found::kStale ? CacheStats::kStale
                                              : CacheStats::kMiss,
                 static_cast<int64_t>(end - begin));
    begin = end;
  }
}

Async<Found> CacheEngine::Peek(const ScopedKey& key) {
  EntryRef entry;
  bool from_l2 = false;
  const int64_t now_ms = NowMs();
  if (!deps_.store.ReadNow(absl::MakeConstSpan(&key, 1), now_ms, absl::MakeSpan(&entry, 1))) {
    co_await deps_.store.Read(absl::MakeConstSpan(&key, 1), now_ms, absl::MakeSpan(&entry, 1),
                              absl::MakeSpan(&from_l2, 1));
  }
  Found found = Classify(std::move(entry), NowMs());
  found.from_l2 = from_l2;
  Unpack(absl::MakeSpan(&found, 1));
  co_return found;
}

bool CacheEngine::GetNow(const ScopedKey& key, Found* found) {
  return GetManyNow(absl::MakeConstSpan(&key, 1), absl::MakeSpan(found, 1));
}

bool CacheEngine::GetManyNow(absl::Span<const ScopedKey> keys, absl::Span<Found> found) {
  if (keys.empty()) return true;
  const absl::Duration begin = deps_.clock.Monotonic();
  const int64_t now_ms = NowMs();
  absl::InlinedVector<EntryRef, 1> entries(keys.size());
  if (!deps_.store.ReadNow(keys, now_ms, absl::MakeSpan(entries))) return false;
  for (size_t i = 0; i < keys.size(); ++i) {
    found[i] = Classify(std::move(entries[i]), now_ms);
  }
  CountReads(keys, found);
  const auto count = static_cast<int64_t>(keys.size());
  stats_.reads().Add((deps_.clock.Monotonic() - begin) / count, keys.size());
  return true;
}

Async<Found> CacheEngine::Get(const ScopedKey& key) {
  Found found;
  co_await GetMany(absl::MakeConstSpan(&key, 1), absl::MakeSpan(&found, 1));
  co_return found;
}

Async<void> CacheEngine::GetMany(absl::Span<const ScopedKey> keys, absl::Span<Found> found) {
  if (GetManyNow(keys, found)) co_return;
  const absl::Duration begin = deps_.clock.Monotonic();
  std::vector<EntryRef> entries(keys.size());
  absl::FixedArray<bool> from_l2(keys.size(), false);
  co_await deps_.store.Read(keys, NowMs(), absl::MakeSpan(entries), absl::MakeSpan(from_l2));
  const int64_t now_ms = NowMs();
  for (size_t i = 0; i < keys.size(); ++i) {
    found[i] = Classify(std::move(entries[i]), now_ms);
    found[i].from_l2 = from_l2[i];
  }
  CountReads(keys, found);
  const auto count = static_cast<int64_t>(keys.size());
  stats_.reads().Add((deps_.clock.Monotonic() - begin) / count, keys.size());
}

absl::StatusOr<CacheEngine::Lifetime> CacheEngine::LifetimeOf(const SetItem& item, int64_t now_ms) {
  const v1::EntryOptions& options = *item.options;
  int64_t ttl_ms = options_.default_ttl_ms[static_cast<size_t>(item.key->type())];
  int64_t longest_soft_ms = ttl_ms;
  if (options.has_ttl_ms()) {
    if (options.ttl_ms() < 1 || options.ttl_ms() > kMaxTtlMs) {
      return status::FieldError(item.field.At("options.ttl_ms"),
                                "must be 1-2592000000 (30 days); leave it out for the type's own");
    }
    ttl_ms = longest_soft_ms = options.ttl_ms();
  } else {
    const int64_t most = ttl_ms * options_.default_ttl_jitter_percent / 100;
    if (most > 0) {
      ttl_ms -= static_cast<int64_t>(deps_.random.Uniform(static_cast<uint64_t>(most) + 1));
    }
  }
  int64_t soft_ms = ttl_ms;
  if (options.has_soft_ttl_ms()) {
    if (options.soft_ttl_ms() < 1 || options.soft_ttl_ms() > longest_soft_ms) {
      return status::FieldError(item.field.At("options.soft_ttl_ms"),
                                absl::StrCat("must be 1 to the lifetime, here ", longest_soft_ms));
    }
    soft_ms = std::min(options.soft_ttl_ms(), ttl_ms);
  }
  return Lifetime{now_ms + soft_ms, now_ms + ttl_ms};
}

absl::Status CacheEngine::Check(const SetItem& item) const {
  if (static_cast<int64_t>(item.value.size()) > options_.max_value_bytes) {
    return status::FieldError(item.field.At("value"),
                              absl::StrCat("has ", item.value.size(), " bytes, the limit is ",
                                           options_.max_value_bytes, " (cache.max_value_bytes)"));
  }
  if (item.options->negative() && !item.value.empty()) {
    return status::FieldError(item.field.At("value"), "must be empty when negative");
  }
  if (static_cast<size_t>(item.options->tags_size()) > kMaxTagsCount) {
    return status::FieldError(item.field.At("options.tags"), "at most 16");
  }
  for (const auto& tag : item.options->tags()) {
    if (tag.empty() || tag.size() > kMaxTagBytes) {
      return status::FieldError(item.field.At("options.tags"), "each must be 1-128 bytes");
    }
  }
  return absl::OkStatus();
}

absl::Status CacheEngine::RefuseSecrets(const SetItem& item) {
  if (absl::Status found = secrets_.Check(item.key->user_key(), item.field, "key.key");
      !found.ok()) {
    return found;
  }
  for (const auto& tag : item.options->tags()) {
    if (absl::Status found = secrets_.Check(tag, item.field, "options.tags"); !found.ok()) {
      return found;
    }
  }
  return secrets_.Check(item.value, item.field, "value");
}

absl::Status CacheEngine::Prepare(const SetItem& item, int64_t now_ms, Parts* parts,
                                  WriteRequest* write) {
  if (absl::Status bad = Check(item); !bad.ok()) return bad;
  const auto lifetime = LifetimeOf(item, now_ms);
  if (!lifetime.ok()) return lifetime.status();
  if (absl::Status found = RefuseSecrets(item); !found.ok()) return found;
  parts->tags.push_back(CallerScopes::NamespaceOf(*item.key));
  for (const auto& tag : item.options->tags()) {
    parts->tags.push_back(CallerScopes::TagOf(*item.key, tag));
  }
  write->key = item.key;
  write->value = item.value;
  write->compressed = codec_.Compress(item.value, &parts->packed);
  if (write->compressed) {
    write->value = parts->packed;
    compression_saved_bytes_.fetch_add(
        static_cast<int64_t>(item.value.size() - parts->packed.size()), std::memory_order_relaxed);
  }
  write->negative = item.options->negative();
  write->stale_at_ms = lifetime->stale_at_ms;
  write->expires_at_ms = lifetime->expires_at_ms;
  write->tags = parts->tags;
  write->if_version = item.if_version;
  return absl::OkStatus();
}

Async<absl::StatusOr<uint64_t>> CacheEngine::Set(const SetItem& item) {
  auto stored = co_await SetMany(absl::MakeConstSpan(&item, 1));
  co_return std::move(stored[0]);
}

Async<std::vector<absl::StatusOr<uint64_t>>> CacheEngine::SetMany(absl::Span<const SetItem> items) {
  const int64_t now_ms = NowMs();
  std::vector<absl::StatusOr<uint64_t>> out(items.size());
  std::vector<Parts> parts(items.size());
  std::vector<WriteRequest> writes;
  std::vector<size_t> item_of_write;
  for (size_t i = 0; i < items.size(); ++i) {
    WriteRequest write;
    if (absl::Status bad = Prepare(items[i], now_ms, &parts[i], &write); !bad.ok()) {
      out[i] = std::move(bad);
      continue;
    }
    writes.push_back(write);
    item_of_write.push_back(i);
  }
  std::vector<WriteResult> results(writes.size());
  co_await deps_.store.Write(writes, now_ms, absl::MakeSpan(results));
  for (size_t w = 0; w < writes.size(); ++w) {
    const size_t i = item_of_write[w];
    out[i] = VersionOf(results[w]);
    if (!out[i].ok()) continue;
    stats_.Count(*items[i].key, CacheStats::kSet);
    // Whoever waits for a lease on the key has its value now; the lease's own fill is overtaken.
    leases_.Kill(items[i].key->id());
  }
  co_return out;
}

Async<absl::StatusOr<Erased>> CacheEngine::Delete(const ScopedKey& key) {
  auto erased = co_await deps_.store.Erase(absl::MakeConstSpan(&key, 1), NowMs());
  leases_.Kill(key.id());
  if (!erased.ok()) co_return erased;
  invalidations_count_.fetch_add(1, std::memory_order_relaxed);
  if (erased->existed[0]) stats_.Count(key, CacheStats::kDelete);
  co_return erased;
}

LeaseAnswer CacheEngine::Hit(const ScopedKey& key, LeaseAnswer answer) {
  answer.result = LeaseAnswer::kHit;
  CountReads(absl::MakeConstSpan(&key, 1), absl::MakeConstSpan(&answer.found, 1));
  return answer;
}

Async<LeaseAnswer> CacheEngine::GetOrLease(const ScopedKey& key, absl::Duration lease,
                                           bool accept_stale) {
  for (int tries = 0; tries < kMaxLeaseTries; ++tries) {
    LeaseAnswer out;
    // Taken before the look, so that no invalidation after it escapes the guard.
    FillGuard guard{deps_.store.CurrentOffset(), 0};
    out.found = co_await Peek(key);
    if (out.found.freshness == Found::kFresh) co_return Hit(key, std::move(out));
    // What is damaged is overwritten like what has been seen.
    guard.seen_version =
        out.found.entry != nullptr ? out.found.entry->version : out.found.damaged_version;
    const absl::Duration now = deps_.clock.Monotonic();
    std::string token = deps_.random.Bytes(kTokenBytes);
    auto answer = leases_.Acquire(key, token, guard, now, now + lease);
    if (auto* held = std::get_if<LeaseTable::Held>(&answer)) {
      const bool take_stale = accept_stale && out.found.freshness == Found::kStale;
      // Without the other tier a lease is not worth a wait: its fill will not be stored.
      out.result = take_stale               ? LeaseAnswer::kStale
                   : deps_.store.attached() ? LeaseAnswer::kHeld
                                            : LeaseAnswer::kBusy;
      out.held = std::move(*held);
      if (take_stale) CountReads(absl::MakeConstSpan(&key, 1), absl::MakeConstSpan(&out.found, 1));
      if (out.result == LeaseAnswer::kBusy) stats_.Count(key, CacheStats::kMiss);
      co_return out;
    }
    if (std::holds_alternative<LeaseTable::Full>(answer)) break;
    // The holder before may have stored its value between our look and our lease.
    if (Found again = co_await Peek(key); again.freshness == Found::kFresh) {
      leases_.Release(key, token);
      out.found = std::move(again);
      co_return Hit(key, std::move(out));
    }
    out = co_await Compete(key, std::move(token), std::move(out), lease, guard.seen_version);
    if (out.result == LeaseAnswer::kHit) continue;  // changed: look again
    if (out.result == LeaseAnswer::kHeld && accept_stale && out.found.freshness == Found::kStale) {
      out.result = LeaseAnswer::kStale;
      CountReads(absl::MakeConstSpan(&key, 1), absl::MakeConstSpan(&out.found, 1));
    }
    co_return out;
  }
  stats_.Count(key, CacheStats::kMiss);
  co_return LeaseAnswer{};  // kBusy
}

Async<LeaseAnswer> CacheEngine::Compete(const ScopedKey& key, std::string token, LeaseAnswer answer,
                                        absl::Duration lease, uint64_t seen_version) {
  const SharedLease shared = co_await deps_.store.AcquireLease(key, token, lease, seen_version);
  switch (shared.result) {
    case SharedLease::kChanged:
      leases_.Release(key, token);
      answer.result = LeaseAnswer::kHit;
      co_return answer;
    case SharedLease::kHeld:
      // All callers of this process wait on the local lease, which ends with a hint or at the next
      // poll: whoever takes it over then asks for all.
      if (auto held = leases_.Shorten(key, token, deps_.clock.Monotonic() + kSharedLeasePoll)) {
        answer.result = LeaseAnswer::kHeld;
        answer.held = *std::move(held);
      } else {
        answer.result = LeaseAnswer::kHit;  // a hint came already
      }
      co_return answer;
    case SharedLease::kDetached: {
      // What was asked for may still be granted, at any time: after a delete, it would let a value
      // in that was computed before. So nobody gets to know the token that was sent.
      std::string unshared = deps_.random.Bytes(kTokenBytes);
      leases_.Rename(key, token, unshared);
      token = std::move(unshared);
      break;
    }
    case SharedLease::kGranted:
      break;
  }
  answer.result = LeaseAnswer::kLeased;
  answer.token = std::move(token);
  leases_granted_count_.fetch_add(1, std::memory_order_relaxed);
  stats_.Count(key, CacheStats::kMiss);
  co_return answer;
}

Async<absl::StatusOr<std::optional<uint64_t>>> CacheEngine::Fill(const SetItem& item,
                                                                 std::string_view token) {
  const int64_t now_ms = NowMs();
  Parts parts;
  WriteRequest write;
  if (absl::Status bad = Prepare(item, now_ms, &parts, &write); !bad.ok()) {
    // What it computed can't be kept: those who wait need not wait for its lease to end.
    if (status::Reason(bad) == kSecretRefused) co_await Abandon(*item.key, token);
    co_return bad;
  }
  write.fill = leases_.Find(*item.key, token, deps_.clock.Monotonic());
  write.lease_token = token;
  if (!write.fill && !deps_.store.shares_leases()) {
    fills_refused_count_.fetch_add(1, std::memory_order_relaxed);
    co_return std::nullopt;
  }
  WriteResult result;
  co_await deps_.store.Write(absl::MakeConstSpan(&write, 1), now_ms, absl::MakeSpan(&result, 1));
  // Only now, so that nobody gets the lease between the two and computes the same again.
  leases_.Release(*item.key, token);
  if (result.outcome == WriteResult::kFailed) co_return result.error;
  if (result.outcome != WriteResult::kStored) {
    fills_refused_count_.fetch_add(1, std::memory_order_relaxed);
    co_return std::nullopt;
  }
  stats_.Count(*item.key, CacheStats::kSet);
  co_return result.version;
}

Async<void> CacheEngine::Abandon(const ScopedKey& key, std::string_view token) {
  co_await deps_.store.EndLease(key, token);
  leases_.Release(key, token);
}

Async<absl::StatusOr<Invalidated>> CacheEngine::Invalidate(Invalidation what) {
  auto done = co_await deps_.store.Invalidate(std::move(what));
  if (done.ok()) invalidations_count_.fetch_add(1, std::memory_order_relaxed);
  co_return done;
}

void CacheEngine::Unpack(absl::Span<Found> found) {
  for (Found& one : found) {
    if (one.entry == nullptr || !one.entry->compressed) continue;
    auto plain = std::make_shared<PlainEntry>();
    const std::string_view id = one.entry->id(), user_key = one.entry->user_key();
    std::string& kept = plain->kept;
    kept.reserve(id.size() + user_key.size() + one.ValueBytes());
    kept.append(id).append(user_key);
    if (!codec_.Decompress(one.entry->value(), &kept)) {
      damaged_values_count_.fetch_add(1, std::memory_order_relaxed);
      const uint64_t version = one.entry->version;
      one = Found();
      one.damaged_version = version;
      continue;
    }
    plain->SetBytes(kept.data(), id.size(), user_key.size(),
                    kept.size() - id.size() - user_key.size());
    plain->version = one.entry->version;
    plain->stored_at_ms = one.entry->stored_at_ms;
    plain->stale_at_ms = one.entry->stale_at_ms;
    plain->expires_at_ms = one.entry->expires_at_ms;
    one.entry = std::move(plain);
  }
}

void CacheEngine::Tick() {
  leases_.Sweep(deps_.clock.Monotonic());
  deps_.store.Sweep(NowMs());
}

CacheEngine::Stats CacheEngine::GetStats() const {
  Stats out;
  out.since = since_;
  out.counters = stats_.Take();
  out.held = deps_.store.Usage();
  out.second_tier = deps_.store.second_tier();
  out.read_p50_us = stats_.reads().PercentileUs(0.5);
  out.read_p99_us = stats_.reads().PercentileUs(0.99);
  out.leases_granted_count = leases_granted_count_.load(std::memory_order_relaxed);
  out.leases_count = static_cast<int64_t>(leases_.count());
  out.fills_refused_count = fills_refused_count_.load(std::memory_order_relaxed);
  out.invalidations_count = invalidations_count_.load(std::memory_order_relaxed);
  out.secrets_refused = secrets_.counts();
  out.compression_saved_bytes = compression_saved_bytes_.load(std::memory_order_relaxed);
  out.damaged_values_count = damaged_values_count_.load(std::memory_order_relaxed);
  out.policy = deps_.store.policy();
  return out;
}

}  // namespace slipstream::cache
