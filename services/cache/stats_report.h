// The engine's figures as the CacheStats message and as metrics.
#ifndef SERVICES_CACHE_STATS_REPORT_H_
#define SERVICES_CACHE_STATS_REPORT_H_

#include <string_view>

#include "services/cache/cache_engine.h"

namespace slipstream::cache {

inline constexpr size_t kMaxReportedNamespacesCount = 100;

// `space` empty: everything.
void Report(const CacheEngine::Stats& stats, std::string_view space, v1::CacheStats* out);

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_STATS_REPORT_H_
