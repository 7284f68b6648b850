#include "services/database_optimizer/database_optimizer_service.h"

#include <utility>

#include "libs/rpc/handler.h"
#include "slipstream/database_optimizer/v1/database_optimizer.grpc.pb.h"

namespace slipstream::database_optimizer {

class DatabaseOptimizerService::Adapter final
    : public v1::DatabaseOptimizerService::CallbackService {
 public:
  Adapter(DatabaseOptimizerEngine& engine, const rpc::Dispatcher& dispatcher)
      : engine_(engine),
        clock_(dispatcher.clock),
        rpc_(dispatcher, *rpc::MethodTable::ForService(
                             "slipstream.database_optimizer.v1.DatabaseOptimizerService")) {}

  grpc::ServerUnaryReactor* GetStats(grpc::CallbackServerContext* c, const v1::GetStatsRequest* q,
                                     v1::GetStatsResponse* p) override {
    return rpc_.Unary("GetStats", c, q, p,
                      [this](rpc::CallContext& call, const v1::GetStatsRequest& request,
                             v1::GetStatsResponse* response) -> Async<absl::Status> {
                        auto stats =
                            co_await engine_.GetStats(request, call.deadline() - clock_.Now());
                        if (!stats.ok()) co_return stats.status();
                        *response = *std::move(stats);
                        co_return absl::OkStatus();
                      });
  }

  grpc::ServerUnaryReactor* Optimize(grpc::CallbackServerContext* c, const v1::OptimizeRequest* q,
                                     v1::OptimizeResponse* p) override {
    return NotBuiltYet("Optimize", c, q, p);
  }
  grpc::ServerUnaryReactor* ListRecommendations(grpc::CallbackServerContext* c,
                                                const v1::ListRecommendationsRequest* q,
                                                v1::ListRecommendationsResponse* p) override {
    return NotBuiltYet("ListRecommendations", c, q, p);
  }
  grpc::ServerUnaryReactor* GetRecommendation(grpc::CallbackServerContext* c,
                                              const v1::GetRecommendationRequest* q,
                                              v1::Recommendation* p) override {
    return NotBuiltYet("GetRecommendation", c, q, p);
  }
  grpc::ServerUnaryReactor* ApplyRecommendation(grpc::CallbackServerContext* c,
                                                const v1::ApplyRecommendationRequest* q,
                                                v1::ApplyRecommendationResponse* p) override {
    return NotBuiltYet("ApplyRecommendation", c, q, p);
  }
  grpc::ServerUnaryReactor* RevertRecommendation(grpc::CallbackServerContext* c,
                                                 const v1::RevertRecommendationRequest* q,
                                                 v1::Recommendation* p) override {
    return NotBuiltYet("RevertRecommendation", c, q, p);
  }
  grpc::ServerUnaryReactor* ExplainQuery(grpc::CallbackServerContext* c,
                                         const v1::ExplainQueryRequest* q,
                                         v1::ExplainQueryResponse* p) override {
    return NotBuiltYet("ExplainQuery", c, q, p);
  }
  grpc::ServerUnaryReactor* Query(grpc::CallbackServerContext* c, const v1::QueryRequest* q,
                                  v1::QueryResponse* p) override {
    return NotBuiltYet("Query", c, q, p);
  }
  grpc::ServerUnaryReactor* InvalidateTables(grpc::CallbackServerContext* c,
                                             const v1::InvalidateTablesRequest* q,
                                             v1::InvalidateTablesResponse* p) override {
    return NotBuiltYet("InvalidateTables", c, q, p);
  }

 private:
  template <class Q, class P>
  grpc::ServerUnaryReactor* NotBuiltYet(const char* rpc, grpc::CallbackServerContext* c, const Q* q,
                                        P* p) {
    return rpc_.Unary(rpc, c, q, p, [this, rpc](rpc::CallContext&, const Q&, P*) {
      return engine_.NotBuiltYet(rpc);
    });
  }

  DatabaseOptimizerEngine& engine_;
  const clock::Clock& clock_;
  rpc::Endpoint rpc_;
};

DatabaseOptimizerService::DatabaseOptimizerService(DatabaseOptimizerEngine& engine,
                                                   const rpc::Dispatcher& dispatcher)
    : adapter_(std::make_unique<Adapter>(engine, dispatcher)) {}
DatabaseOptimizerService::~DatabaseOptimizerService() = default;
grpc::Service* DatabaseOptimizerService::grpc() { return adapter_.get(); }

}  // namespace slipstream::database_optimizer
