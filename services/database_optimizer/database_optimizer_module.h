// The database optimizer as a module: see libs/service/module.h.
#ifndef SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_MODULE_H_
#define SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_MODULE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "libs/service/context.h"
#include "libs/service/module.h"

namespace slipstream::database_optimizer {

// INVALID_ARGUMENT when database_optimizer.postgres_url cannot be read.
absl::StatusOr<std::unique_ptr<service::Module>> MakeDatabaseOptimizerModule(
    service::Context& context);

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_MODULE_H_
