// The store that the configuration asks for: this process's memory alone, or with Redis behind it.
//
// Thread safety: a free function. Errors: INVALID_ARGUMENT for a Redis URL or certificate that
// can't be used. A Redis that does not answer is no error: the cache begins degraded.
#ifndef SERVICES_CACHE_OPEN_CACHE_STORE_H_
#define SERVICES_CACHE_OPEN_CACHE_STORE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "libs/service/context.h"
#include "services/cache/cache_store.h"

namespace slipstream::cache {

absl::StatusOr<std::unique_ptr<CacheStore>> OpenCacheStore(service::Context& context);

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_OPEN_CACHE_STORE_H_
