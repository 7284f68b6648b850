#include "services/cache/cache_stats.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace slipstream::cache {

namespace {

void Bump(Counters& counters, CacheStats::Event event, int64_t count) {
  switch (event) {
    case CacheStats::kHit:
      counters.hits_count += count;
      break;
    case CacheStats::kMiss:
      counters.misses_count += count;
      break;
    case CacheStats::kStale:
      counters.stale_count += count;
      break;
    case CacheStats::kSet:
      counters.sets_count += count;
      break;
    case CacheStats::kDelete:
      counters.deletes_count += count;
      break;
  }
}

// Which quarter of its power of two `ns` is in: the whole part of 4 * log2(ns) modulo 4.
int QuarterOf(uint64_t ns) {
  // 2 to the power of 63.25, 63.5 and 63.75.
  constexpr uint64_t kEdges[] = {10968499650544839023u, 13043817825332782212u,
                                 15511800964685064948u};
  const uint64_t scaled = ns << std::countl_zero(ns);
  return (scaled >= kEdges[0]) + (scaled >= kEdges[1]) + (scaled >= kEdges[2]);
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
  const auto ns = static_cast<uint64_t>(std::max<int64_t>(1, absl::ToInt64Nanoseconds(duration)));
  const int bucket = std::min(4 * (63 - std::countl_zero(ns)) + QuarterOf(ns), kBucketsCount - 1);
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

void CacheStats::Count(const ScopedKey& key, Event event, int64_t count) {
  Stripe& stripe = stripes_[(key.hash() >> 32) % kStripesCount];
  const size_t type = static_cast<size_t>(key.type());
  const absl::string_view space(key.space().data(), key.space().size());
  sync::MutexLock lock(stripe.mutex);
  auto it = stripe.namespaces.find(space);
  if (it == stripe.namespaces.end()) {
    if (stripe.namespaces.size() >= kMaxNamespacesCount) {
      Bump(stripe.other[type], event, count);
      return;
    }
    it = stripe.namespaces.try_emplace(std::string(space)).first;
  }
  Bump(it->second[type], event, count);
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
