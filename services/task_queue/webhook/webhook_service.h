// WebhookService: designed and announced, not built yet. Every call that auth lets through is
// answered UNIMPLEMENTED with reason NOT_BUILT_YET.
//
// Thread safety: as gRPC calls it, from many threads at once.
#ifndef SERVICES_TASK_QUEUE_WEBHOOK_WEBHOOK_SERVICE_H_
#define SERVICES_TASK_QUEUE_WEBHOOK_WEBHOOK_SERVICE_H_

#include <string>
#include <utility>

#include "libs/rpc/handler.h"
#include "libs/status/status.h"
#include "slipstream/webhook/v1/webhook.grpc.pb.h"

namespace slipstream::webhook {

class WebhookService final : public v1::WebhookService::CallbackService {
 public:
  WebhookService(const rpc::Dispatcher& dispatcher, rpc::MethodTable methods)
      : rpc_(dispatcher, std::move(methods)) {}

  grpc::ServerUnaryReactor* CreateWebhook(grpc::CallbackServerContext* context,
                                          const v1::CreateWebhookRequest* request,
                                          v1::CreateWebhookResponse* response) override {
    return Refuse("CreateWebhook", context, request, response);
  }
  grpc::ServerUnaryReactor* GetWebhook(grpc::CallbackServerContext* context,
                                       const v1::GetWebhookRequest* request,
                                       v1::Webhook* response) override {
    return Refuse("GetWebhook", context, request, response);
  }
  grpc::ServerUnaryReactor* ListWebhooks(grpc::CallbackServerContext* context,
                                         const v1::ListWebhooksRequest* request,
                                         v1::ListWebhooksResponse* response) override {
    return Refuse("ListWebhooks", context, request, response);
  }
  grpc::ServerUnaryReactor* UpdateWebhook(grpc::CallbackServerContext* context,
                                          const v1::UpdateWebhookRequest* request,
                                          v1::Webhook* response) override {
    return Refuse("UpdateWebhook", context, request, response);
  }
  grpc::ServerUnaryReactor* DeleteWebhook(grpc::CallbackServerContext* context,
                                          const v1::DeleteWebhookRequest* request,
                                          google::protobuf::Empty* response) override {
    return Refuse("DeleteWebhook", context, request, response);
  }
  grpc::ServerUnaryReactor* RotateWebhookSecret(
      grpc::CallbackServerContext* context, const v1::RotateWebhookSecretRequest* request,
      v1::RotateWebhookSecretResponse* response) override {
    return Refuse("RotateWebhookSecret", context, request, response);
  }
  grpc::ServerUnaryReactor* ListWebhookDeliveries(
      grpc::CallbackServerContext* context, const v1::ListWebhookDeliveriesRequest* request,
      v1::ListWebhookDeliveriesResponse* response) override {
    return Refuse("ListWebhookDeliveries", context, request, response);
  }
  grpc::ServerUnaryReactor* ReplayWebhookDelivery(grpc::CallbackServerContext* context,
                                                  const v1::ReplayWebhookDeliveryRequest* request,
                                                  v1::WebhookDelivery* response) override {
    return Refuse("ReplayWebhookDelivery", context, request, response);
  }

 private:
  template <class Request, class Response>
  grpc::ServerUnaryReactor* Refuse(std::string method, grpc::CallbackServerContext* context,
                                   const Request* request, Response* response) {
    return rpc_.Unary(method, context, request, response,
                      [method](rpc::CallContext&, const Request&, Response*) {
                        return status::NotBuiltYet("WebhookService." + method);
                      });
  }

  rpc::Endpoint rpc_;
};

}  // namespace slipstream::webhook

#endif  // SERVICES_TASK_QUEUE_WEBHOOK_WEBHOOK_SERVICE_H_
