// The cache as a part of a process; open_cache_store.cc chooses its store.
#ifndef SERVICES_CACHE_CACHE_MODULE_H_
#define SERVICES_CACHE_CACHE_MODULE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "libs/service/context.h"
#include "libs/service/module.h"

namespace slipstream::cache {

// FAILED_PRECONDITION or INVALID_ARGUMENT when config asks for what can't work; the message says
// what to change.
absl::StatusOr<std::unique_ptr<service::Module>> MakeCacheModule(service::Context& context);

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_MODULE_H_
