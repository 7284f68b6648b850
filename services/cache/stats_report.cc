#include "services/cache/stats_report.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "libs/timestamp/timestamp.h"
#include "services/cache/cache_metrics.h"

namespace slipstream::cache {

namespace {

constexpr v1::CacheStats::EvictionCause kCauses[kEvictionCauseCount] = {
    v1::CacheStats::CAPACITY, v1::CacheStats::EXPIRED, v1::CacheStats::INVALIDATED,
    v1::CacheStats::FENCED, v1::CacheStats::QUOTA};
constexpr std::string_view kCauseLabels[kEvictionCauseCount] = {"capacity", "expired",
                                                                "invalidated", "fenced", "quota"};

Counters Sum(const TypeCounters& types) {
  Counters out;
  for (const auto& counters : types) out += counters;
  return out;
}

int64_t Reads(const Counters& c) { return c.hits_count + c.misses_count + c.stale_count; }

void Put(const Counters& from, v1::CacheStats::Counters* to) {
  to->set_hits_count(from.hits_count);
  to->set_misses_count(from.misses_count);
  to->set_stale_count(from.stale_count);
  to->set_sets_count(from.sets_count);
  to->set_deletes_count(from.deletes_count);
  const int64_t reads = Reads(from);
  if (reads > 0) {
    to->set_hit_ratio(static_cast<double>(from.hits_count + from.stale_count) /
                      static_cast<double>(reads));
  }
}

void PutNamespaces(const CacheEngine::Stats& stats, std::string_view space, v1::CacheStats* out) {
  std::vector<std::pair<Counters, std::string_view>> busiest;
  for (const auto& [name, types] : stats.counters.namespaces) {
    if (space.empty() || space == name) busiest.emplace_back(Sum(types), name);
  }
  std::sort(busiest.begin(), busiest.end(), [](const auto& a, const auto& b) {
    return Reads(a.first) + a.first.sets_count > Reads(b.first) + b.first.sets_count;
  });
  if (busiest.size() > kMaxReportedNamespacesCount) busiest.resize(kMaxReportedNamespacesCount);
  for (const auto& [counters, name] : busiest) {
    auto* item = out->add_namespaces();
    item->set_namespace_(std::string(name));
    Put(counters, item->mutable_counters());
    const auto held = stats.held.namespaces.find(name);
    if (held != stats.held.namespaces.end()) item->set_l1_bytes(held->second.bytes);
  }
}

void PutSecondTier(const SecondTier& from, v1::CacheStats* out) {
  out->set_degraded(from.degraded);
  auto* l2 = out->add_tiers();
  l2->set_tier(v1::GetResponse::L2);
  Counters counters;
  counters.hits_count = from.hits_count;
  counters.misses_count = from.misses_count + from.failed_reads_count;
  counters.sets_count = from.sets_count;
  counters.deletes_count = from.deletes_count;
  Put(counters, l2->mutable_counters());
  l2->set_bytes(from.bytes);
  l2->set_max_bytes(from.max_bytes);
  l2->set_entries_count(from.entries_count);
  l2->set_read_p50_us(from.read_p50_us);
  l2->set_read_p99_us(from.read_p99_us);
  auto* redis = out->mutable_redis();
  redis->set_version(from.server.version);
  redis->set_used_memory_bytes(from.server.used_memory_bytes);
  redis->set_max_memory_bytes(from.server.max_memory_bytes);
  redis->set_evicted_keys_count(from.server.evicted_keys_count);
  redis->set_hit_ratio(from.server.hit_ratio);
  redis->set_command_p50_ms(from.command_p50_ms);
  redis->set_command_p99_ms(from.command_p99_ms);
}

// What the memory answered, of what callers asked.
Counters FirstTier(const CacheEngine::Stats& stats) {
  Counters out = Sum(stats.counters.types);
  if (!stats.second_tier) return out;
  // A stale value of the other tier counts there as a hit.
  const int64_t theirs = std::min(stats.second_tier->hits_count, out.hits_count);
  out.hits_count -= theirs;
  out.misses_count += theirs;
  return out;
}

}  // namespace

void Report(const CacheEngine::Stats& stats, std::string_view space, v1::CacheStats* out) {
  *out->mutable_since() = timestamp::FromTime(stats.since);

  TypeCounters types = stats.counters.types;
  if (!space.empty()) {
    const auto found = stats.counters.namespaces.find(space);
    types = found == stats.counters.namespaces.end() ? TypeCounters{} : found->second;
  }
  Put(Sum(types), out->mutable_total());
  for (size_t i = 1; i < kTypeCount; ++i) {
    auto* item = out->add_types();
    item->set_type(static_cast<Type>(i));
    Put(types[i], item->mutable_counters());
    if (!space.empty()) continue;  // what is held is not kept per type and namespace
    item->set_l1_bytes(stats.held.types[i].bytes);
    item->set_l1_entries_count(stats.held.types[i].entries_count);
  }
  auto* l1 = out->add_tiers();
  l1->set_tier(v1::GetResponse::L1);
  Put(FirstTier(stats), l1->mutable_counters());
  l1->set_bytes(stats.held.total.bytes);
  l1->set_max_bytes(stats.held.max_bytes);
  l1->set_entries_count(stats.held.total.entries_count);
  l1->set_read_p50_us(stats.read_p50_us);
  l1->set_read_p99_us(stats.read_p99_us);
  if (stats.second_tier) PutSecondTier(*stats.second_tier, out);
  PutNamespaces(stats, space, out);
  for (size_t i = 0; i < kEvictionCauseCount; ++i) {
    auto* item = out->add_evictions();
    item->set_cause(kCauses[i]);
    item->set_count(static_cast<int64_t>(stats.held.evictions[i]));
  }
  out->set_leases_granted_count(stats.leases_granted_count);
  out->set_fills_refused_count(stats.fills_refused_count);
  int64_t secrets_refused = 0;
  for (const int64_t count : stats.secrets_refused) secrets_refused += count;
  out->set_secrets_refused_count(secrets_refused);
  out->set_compression_saved_bytes(stats.compression_saved_bytes);
  out->set_damaged_values_count(stats.damaged_values_count);
  out->set_policy(std::string(stats.policy));
}

metrics::Registry::Registration AddCacheMetrics(metrics::Registry& registry,
                                                const CacheEngine& engine) {
  return registry.AddCollector([&engine](metrics::Samples& out) {
    const CacheEngine::Stats stats = engine.GetStats();
    const auto value = [](auto count) { return static_cast<double>(count); };
    for (size_t i = 1; i < kTypeCount; ++i) {
      const std::string_view type = TypeName(static_cast<Type>(i));
      const Counters& counters = stats.counters.types[i];
      out.Add(kReads, value(counters.hits_count), {type, "hit"});
      out.Add(kReads, value(counters.misses_count), {type, "miss"});
      out.Add(kReads, value(counters.stale_count), {type, "stale"});
      out.Add(kSets, value(counters.sets_count), {type});
      out.Add(kDeletes, value(counters.deletes_count), {type});
      out.Add(kL1Bytes, value(stats.held.types[i].bytes), {type});
      out.Add(kL1Entries, value(stats.held.types[i].entries_count), {type});
    }
    for (size_t i = 0; i < kEvictionCauseCount; ++i) {
      out.Add(kEvictions, value(stats.held.evictions[i]), {kCauseLabels[i]});
    }
    out.Add(kL1MaxBytes, value(stats.held.max_bytes));
    out.Add(kInvalidations, value(stats.invalidations_count));
    out.Add(kLeasesGranted, value(stats.leases_granted_count));
    out.Add(kLeases, value(stats.leases_count));
    out.Add(kFillsRefused, value(stats.fills_refused_count));
    out.Add(kCompressionSaved, value(stats.compression_saved_bytes));
    out.Add(kDamagedValues, value(stats.damaged_values_count));
    for (size_t i = 0; i < secrets::kKindCount; ++i) {
      out.Add(kSecretsRefused, value(stats.secrets_refused[i]), {secrets::kKindNames[i]});
    }
    if (!stats.second_tier) return;
    const SecondTier& l2 = *stats.second_tier;
    out.Add(kDegraded, l2.degraded ? 1 : 0);
    out.Add(kL2Reads, value(l2.hits_count), {"hit"});
    out.Add(kL2Reads, value(l2.misses_count), {"miss"});
    out.Add(kL2Reads, value(l2.failed_reads_count), {"failed"});
    out.Add(kL2Sets, value(l2.sets_count));
    out.Add(kL2NotKept, value(l2.not_kept_count));
    out.Add(kL2Bytes, value(l2.bytes));
    out.Add(kL2MaxBytes, value(l2.max_bytes));
    out.Add(kL2Entries, value(l2.entries_count));
    out.Add(kNodes, value(l2.nodes_count));
    out.Add(kFences, value(l2.fences_count));
  });
}

}  // namespace slipstream::cache
