#include "services/cache/cache_stats.h"

#include <algorithm>
#include <cmath>

namespace slipstream::cache {

namespace {

void Bump(Counters& counters, CacheStats::Event event) {
  switch (event) {
    case CacheStats::kHit:
      ++counters.hits_count;
      break;
    case CacheStats::kMiss:
      ++counters.misses_count;
      break;
    case CacheStats::kStale:
      ++counters.stale_count;
      break;
    case CacheStats::kSet:
      ++counters.sets_count;
      break;
    case CacheStats::kDelete:
      ++counters.deletes_count;
      break;
  }
}

void Add(TypeCounters& to, const TypeCounters& from) {
  for (size_t i = 0; i < kTypeCount; ++i) to[i] += from[i];
}

}  // namespace

Counters& Counters::operator+=(const Counters& other) {
  hits_count += other.hits_count;
  misses_count += other.misses_count;
  stale_count += other.stale_count;
  sets_count += other.sets_count;
  deletes_count += other.deletes_count;
  return *this;
}

void LatencyHistogram::Add(absl::Duration duration, uint64_t count) {
  const double ns = std::max(1.0, absl::ToDoubleNanoseconds(duration));
  const int bucket = std::clamp(static_cast<int>(std::log2(ns) * 4), 0, kBucketsCount - 1);
  counts_[static_cast<size_t>(bucket)].fetch_add(count, std::memory_order_relaxed);
}

double LatencyHistogram::PercentileUs(double share) const {
  uint64_t total = 0;
  for (const auto& count : counts_) total += count.load(std::memory_order_relaxed);
  if (total == 0) return 0;
  const auto wanted = static_cast<uint64_t>(std::ceil(share * static_cast<double>(total)));
  uint64_t seen = 0;
  int i = 0;
  for (; i < kBucketsCount - 1; ++i) {
    seen += counts_[static_cast<size_t>(i)].load(std::memory_order_relaxed);
    if (seen >= wanted) break;
  }
  return std::exp2((i + 1) / 4.0) / 1000;
}

void CacheStats::Count(const ScopedKey& key, Event event) {
  Stripe& stripe = stripes_[(key.hash() >> 32) % kStripesCount];
  const size_t type = static_cast<size_t>(key.type());
  const absl::string_view space(key.space().data(), key.space().size());
  sync::MutexLock lock(stripe.mutex);
  auto it = stripe.namespaces.find(space);
  if (it == stripe.namespaces.end()) {
    if (stripe.namespaces.size() >= kMaxNamespacesCount) {
      Bump(stripe.other[type], event);
      return;
    }
    it = stripe.namespaces.try_emplace(std::string(space)).first;
  }
  Bump(it->second[type], event);
}

CacheStats::Snapshot CacheStats::Take() const {
  Snapshot out;
  for (const auto& stripe : stripes_) {
    sync::MutexLock lock(stripe.mutex);
    Add(out.types, stripe.other);
    for (const auto& [space, counters] : stripe.namespaces) {
      Add(out.types, counters);
      Add(out.namespaces[space], counters);
    }
  }
  return out;
}

}  // namespace slipstream::cache
