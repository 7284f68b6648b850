// The series of the cache: the one table.
#ifndef SERVICES_CACHE_CACHE_METRICS_H_
#define SERVICES_CACHE_CACHE_METRICS_H_

#include "libs/metrics/registry.h"
#include "services/cache/cache_engine.h"

namespace slipstream::cache {

inline constexpr metrics::CounterDef kReads{"slipstream_cache_reads_total",
                                            "Reads, by what they found: hit, miss or stale.",
                                            {"type", "result"}};
inline constexpr metrics::CounterDef kSets{
    "slipstream_cache_sets_total", "Values stored, fills included.", {"type"}};
inline constexpr metrics::CounterDef kDeletes{
    "slipstream_cache_deletes_total", "Values removed by their key.", {"type"}};
inline constexpr metrics::CounterDef kInvalidations{
    "slipstream_cache_invalidations_total",
    "Deletes and invalidations, whether or not something was there."};
inline constexpr metrics::CounterDef kEvictions{
    "slipstream_cache_evictions_total", "Entries that left, by cause.", {"cause"}};
inline constexpr metrics::GaugeDef kL1Bytes{
    "slipstream_cache_l1_bytes", "Bytes held in process: keys, values, bookkeeping.", {"type"}};
inline constexpr metrics::GaugeDef kL1Entries{
    "slipstream_cache_l1_entries", "Entries held in process.", {"type"}};
inline constexpr metrics::GaugeDef kL1MaxBytes{"slipstream_cache_l1_max_bytes",
                                               "Most bytes the process may hold."};
inline constexpr metrics::CounterDef kLeasesGranted{"slipstream_cache_leases_granted_total",
                                                    "Leases given to compute a value."};
inline constexpr metrics::GaugeDef kLeases{"slipstream_cache_leases", "Leases that are held now."};
inline constexpr metrics::CounterDef kFillsRefused{
    "slipstream_cache_fills_refused_total",
    "Fills refused because their lease had ended or was killed."};

inline constexpr metrics::CounterDef kSecretsRefused{
    "slipstream_cache_secrets_refused_total",
    "Writes refused because key or value carried a secret, by its kind.",
    {"kind"}};
// With Redis behind it.
inline constexpr metrics::GaugeDef kDegraded{
    "slipstream_cache_degraded", "1 while Redis is away: reads miss, writes are refused."};
inline constexpr metrics::CounterDef kL2Reads{
    "slipstream_cache_l2_reads_total",
    "Keys asked of Redis: hit, miss or failed (answered as a miss).",
    {"result"}};
inline constexpr metrics::CounterDef kL2Sets{"slipstream_cache_l2_sets_total",
                                             "Values stored in Redis by this node."};
inline constexpr metrics::CounterDef kL2NotKept{"slipstream_cache_l2_not_kept_total",
                                                "Values that Redis had no room for."};
inline constexpr metrics::GaugeDef kL2Bytes{"slipstream_cache_l2_bytes",
                                            "Bytes that the whole cache holds in Redis."};
inline constexpr metrics::GaugeDef kL2MaxBytes{"slipstream_cache_l2_max_bytes",
                                               "Most bytes that it may hold there."};
inline constexpr metrics::GaugeDef kL2Entries{"slipstream_cache_l2_entries",
                                              "Entries that the whole cache holds in Redis."};
inline constexpr metrics::GaugeDef kNodes{"slipstream_cache_nodes",
                                          "Nodes that hold a lease, this one included."};
inline constexpr metrics::CounterDef kFences{
    "slipstream_cache_fences_total", "How often this node had to empty itself and join anew."};

inline constexpr metrics::CounterDef kCompressionSaved{
    "slipstream_cache_compression_saved_bytes_total",
    "Bytes of values that compression kept from being stored."};
inline constexpr metrics::CounterDef kDamagedValues{
    "slipstream_cache_damaged_values_total",
    "Reads that missed because the stored value was damaged."};

// Reads the engine's figures at each scrape, so that a call pays for counting once.
// `engine` outlives the registration.
metrics::Registry::Registration AddCacheMetrics(metrics::Registry& registry,
                                                const CacheEngine& engine);

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_METRICS_H_
