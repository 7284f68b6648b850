// The engine's answers as messages.
#ifndef SERVICES_CACHE_CACHE_MESSAGES_H_
#define SERVICES_CACHE_CACHE_MESSAGES_H_

#include "absl/time/time.h"
#include "services/cache/cache_engine.h"

namespace slipstream::cache {

// REQUIRES: not a miss.
void Put(const Found& found, v1::CacheValue* out);
// `lease` is the time that was asked for. kHeld becomes BUSY: the caller's wait is over.
void Put(const LeaseAnswer& answer, absl::Duration lease, v1::GetOrLeaseResponse* out);

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_MESSAGES_H_
