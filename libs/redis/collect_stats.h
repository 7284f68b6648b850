// A client's figures as series (redis_metrics.h), read at each scrape.
//
// Thread safety: a free function without state.
#ifndef LIBS_REDIS_COLLECT_STATS_H_
#define LIBS_REDIS_COLLECT_STATS_H_

#include <string_view>

#include "libs/metrics/registry.h"
#include "libs/redis/client.h"

namespace slipstream::redis {

void CollectStats(const Stats& stats, std::string_view client_name, metrics::Samples& samples);

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_COLLECT_STATS_H_
