// BudgetService: designed and announced, not built yet. Every call that auth lets through is
// answered UNIMPLEMENTED with reason NOT_BUILT_YET.
//
// Thread safety: as gRPC calls it, from many threads at once.
#ifndef SERVICES_TASK_QUEUE_BUDGET_BUDGET_SERVICE_H_
#define SERVICES_TASK_QUEUE_BUDGET_BUDGET_SERVICE_H_

#include <string>
#include <utility>

#include "libs/rpc/handler.h"
#include "libs/status/status.h"
#include "slipstream/budget/v1/budget.grpc.pb.h"

namespace slipstream::budget {

class BudgetService final : public v1::BudgetService::CallbackService {
 public:
  BudgetService(const rpc::Dispatcher& dispatcher, rpc::MethodTable methods)
      : rpc_(dispatcher, std::move(methods)) {}

  grpc::ServerUnaryReactor* GetBudgetStatus(grpc::CallbackServerContext* context,
                                            const v1::GetBudgetStatusRequest* request,
                                            v1::BudgetStatus* response) override {
    return Refuse("GetBudgetStatus", context, request, response);
  }
  grpc::ServerUnaryReactor* ListBudgetHistory(grpc::CallbackServerContext* context,
                                              const v1::ListBudgetHistoryRequest* request,
                                              v1::ListBudgetHistoryResponse* response) override {
    return Refuse("ListBudgetHistory", context, request, response);
  }
  grpc::ServerUnaryReactor* SetBudgetLimit(grpc::CallbackServerContext* context,
                                           const v1::SetBudgetLimitRequest* request,
                                           v1::BudgetStatus* response) override {
    return Refuse("SetBudgetLimit", context, request, response);
  }

 private:
  template <class Request, class Response>
  grpc::ServerUnaryReactor* Refuse(std::string method, grpc::CallbackServerContext* context,
                                   const Request* request, Response* response) {
    return rpc_.Unary(method, context, request, response,
                      [method](rpc::CallContext&, const Request&, Response*) {
                        return status::NotBuiltYet("BudgetService." + method);
                      });
  }

  rpc::Endpoint rpc_;
};

}  // namespace slipstream::budget

#endif  // SERVICES_TASK_QUEUE_BUDGET_BUDGET_SERVICE_H_
