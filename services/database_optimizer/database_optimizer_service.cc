#include "services/database_optimizer/database_optimizer_service.h"

#include <utility>

#include "libs/async/ready.h"
#include "libs/postgres/pool.h"
#include "libs/rpc/arena_messages.h"
#include "libs/rpc/handler.h"
#include "services/database_optimizer/query/query_engine.h"
#include "services/database_optimizer/recommendations/recommendation_engine.h"
#include "slipstream/database_optimizer/v1/database_optimizer.grpc.pb.h"

namespace slipstream::database_optimizer {

class DatabaseOptimizerService::Adapter final
    : public v1::DatabaseOptimizerService::CallbackService {
 public:
  Adapter(DatabaseOptimizerEngine& engine, const DatabaseOptimizerParts& parts,
          const rpc::Dispatcher& dispatcher)
      : engine_(engine),
        query_engine_(parts.query),
        recommendations_(parts.recommendations),
        clock_(dispatcher.clock),
        rpc_(dispatcher, *rpc::MethodTable::ForService(
                             "slipstream.database_optimizer.v1.DatabaseOptimizerService")),
        query_(rpc_.Find("Query")) {
    SetMessageAllocatorFor_Query(&query_messages_);
  }

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
    return rpc_.Unary(
        "Optimize", c, q, p,
        [this](rpc::CallContext& call, const v1::OptimizeRequest& request,
               v1::OptimizeResponse* response) -> Async<absl::Status> {
          if (recommendations_ == nullptr) co_return engine_.NotConfigured();
          auto found = co_await recommendations_->Optimize(request, call.principal().user,
                                                           call.deadline() - clock_.Now());
          call.set_audit(
              request.apply() ? "apply" : "dry run", "",
              found.ok() ? std::to_string(found->recommendations_size()) + " recommendations" : "");
          if (!found.ok()) co_return found.status();
          *response = *std::move(found);
          co_return absl::OkStatus();
        });
  }
  grpc::ServerUnaryReactor* ListRecommendations(grpc::CallbackServerContext* c,
                                                const v1::ListRecommendationsRequest* q,
                                                v1::ListRecommendationsResponse* p) override {
    return rpc_.Unary("ListRecommendations", c, q, p,
                      [this](rpc::CallContext& call, const v1::ListRecommendationsRequest& request,
                             v1::ListRecommendationsResponse* response) -> Async<absl::Status> {
                        if (recommendations_ == nullptr) co_return engine_.NotConfigured();
                        auto page = co_await recommendations_->List(request,
                                                                    call.deadline() - clock_.Now());
                        if (!page.ok()) co_return page.status();
                        *response = *std::move(page);
                        co_return absl::OkStatus();
                      });
  }
  grpc::ServerUnaryReactor* GetRecommendation(grpc::CallbackServerContext* c,
                                              const v1::GetRecommendationRequest* q,
                                              v1::Recommendation* p) override {
    return rpc_.Unary("GetRecommendation", c, q, p,
                      [this](rpc::CallContext& call, const v1::GetRecommendationRequest& request,
                             v1::Recommendation* response) -> Async<absl::Status> {
                        if (recommendations_ == nullptr) co_return engine_.NotConfigured();
                        auto found = co_await recommendations_->Get(request.recommendation_id(),
                                                                    call.deadline() - clock_.Now());
                        if (!found.ok()) co_return found.status();
                        *response = *std::move(found);
                        co_return absl::OkStatus();
                      });
  }
  grpc::ServerUnaryReactor* ApplyRecommendation(grpc::CallbackServerContext* c,
                                                const v1::ApplyRecommendationRequest* q,
                                                v1::ApplyRecommendationResponse* p) override {
    return rpc_.Unary(
        "ApplyRecommendation", c, q, p,
        [this](rpc::CallContext& call, const v1::ApplyRecommendationRequest& request,
               v1::ApplyRecommendationResponse* response) -> Async<absl::Status> {
          if (recommendations_ == nullptr) co_return engine_.NotConfigured();
          call.set_audit(request.recommendation_id(), "", request.confirm() ? "apply" : "dry run");
          auto applied = co_await recommendations_->Apply(request, call.principal().user,
                                                          call.deadline() - clock_.Now());
          if (!applied.ok()) co_return applied.status();
          *response = *std::move(applied);
          const auto& r = response->recommendation();
          call.set_audit(r.recommendation_id(), "PROPOSED",
                         v1::Recommendation::Status_Name(r.status()) +
                             (r.apply_statements().empty() ? "" : " " + r.apply_statements(0)));
          co_return absl::OkStatus();
        });
  }
  grpc::ServerUnaryReactor* RevertRecommendation(grpc::CallbackServerContext* c,
                                                 const v1::RevertRecommendationRequest* q,
                                                 v1::Recommendation* p) override {
    return rpc_.Unary("RevertRecommendation", c, q, p,
                      [this](rpc::CallContext& call, const v1::RevertRecommendationRequest& request,
                             v1::Recommendation* response) -> Async<absl::Status> {
                        if (recommendations_ == nullptr) co_return engine_.NotConfigured();
                        call.set_audit(request.recommendation_id(), "", "");
                        auto reverting = co_await recommendations_->Revert(
                            request.recommendation_id(), call.principal().user,
                            call.deadline() - clock_.Now());
                        if (!reverting.ok()) co_return reverting.status();
                        *response = *std::move(reverting);
                        call.set_audit(request.recommendation_id(), "",
                                       v1::Recommendation::Status_Name(response->status()));
                        co_return absl::OkStatus();
                      });
  }
  grpc::ServerUnaryReactor* ExplainQuery(grpc::CallbackServerContext* c,
                                         const v1::ExplainQueryRequest* q,
                                         v1::ExplainQueryResponse* p) override {
    return rpc_.Unary("ExplainQuery", c, q, p,
                      [this](rpc::CallContext& call, const v1::ExplainQueryRequest& request,
                             v1::ExplainQueryResponse* response) -> Async<absl::Status> {
                        auto plan =
                            co_await engine_.ExplainQuery(request, call.deadline() - clock_.Now());
                        if (!plan.ok()) co_return plan.status();
                        *response = *std::move(plan);
                        co_return absl::OkStatus();
                      });
  }
  grpc::ServerUnaryReactor* Query(grpc::CallbackServerContext* c, const v1::QueryRequest* q,
                                  v1::QueryResponse* p) override {
    return rpc_.Unary(query_, c, q, p,
                      [this](rpc::CallContext& call, const v1::QueryRequest& request,
                             v1::QueryResponse* response) -> Async<absl::Status> {
                        if (query_engine_ == nullptr) return async::Ready(engine_.NotConfigured());
                        return query_engine_->Query(request, CallerOf(call), response);
                      });
  }
  grpc::ServerUnaryReactor* InvalidateTables(grpc::CallbackServerContext* c,
                                             const v1::InvalidateTablesRequest* q,
                                             v1::InvalidateTablesResponse* p) override {
    return rpc_.Unary("InvalidateTables", c, q, p,
                      [this](rpc::CallContext& call, const v1::InvalidateTablesRequest& request,
                             v1::InvalidateTablesResponse* response) -> Async<absl::Status> {
                        if (query_engine_ == nullptr) co_return engine_.NotConfigured();
                        auto count =
                            co_await query_engine_->InvalidateTables(request, CallerOf(call));
                        if (!count.ok()) co_return count.status();
                        response->set_tables_count(*count);
                        co_return absl::OkStatus();
                      });
  }

 private:
  postgres::Caller CallerOf(const rpc::CallContext& call) const {
    return {.holder = std::string(call.method().name),
            .trace_id = call.trace().trace_id,
            .timeout = call.deadline() - clock_.Now()};
  }

  DatabaseOptimizerEngine& engine_;
  QueryEngine* const query_engine_;
  RecommendationEngine* const recommendations_;
  const clock::Clock& clock_;
  rpc::Endpoint rpc_;
  // Called most; its rows have many parts.
  const rpc::Method& query_;
  rpc::ArenaMessages<v1::QueryRequest, v1::QueryResponse> query_messages_;
};

DatabaseOptimizerService::DatabaseOptimizerService(DatabaseOptimizerEngine& engine,
                                                   const DatabaseOptimizerParts& parts,
                                                   const rpc::Dispatcher& dispatcher)
    : adapter_(std::make_unique<Adapter>(engine, parts, dispatcher)) {}
DatabaseOptimizerService::~DatabaseOptimizerService() = default;
grpc::Service* DatabaseOptimizerService::grpc() { return adapter_.get(); }

}  // namespace slipstream::database_optimizer
