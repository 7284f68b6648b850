// slipstream.database_optimizer.v1.DatabaseOptimizerService over the engine.
//
// Thread safety: the handlers run on any thread; those that wait are coroutines.
#ifndef SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_SERVICE_H_
#define SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_SERVICE_H_

#include <memory>

#include "libs/rpc/dispatcher.h"
#include "services/database_optimizer/database_optimizer_engine.h"

namespace grpc {
class Service;
}

namespace slipstream::database_optimizer {

class QueryEngine;
class RecommendationEngine;

// What a configured database brings with it; all null while none is.
struct DatabaseOptimizerParts {
  QueryEngine* query = nullptr;
  RecommendationEngine* recommendations = nullptr;
};

class DatabaseOptimizerService {
 public:
  // All outlive this.
  DatabaseOptimizerService(DatabaseOptimizerEngine& engine, const DatabaseOptimizerParts& parts,
                           const rpc::Dispatcher& dispatcher);
  ~DatabaseOptimizerService();

  grpc::Service* grpc();

 private:
  class Adapter;
  std::unique_ptr<Adapter> adapter_;
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_DATABASE_OPTIMIZER_SERVICE_H_
