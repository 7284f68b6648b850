#include "services/notification/notification_service.h"

#include <utility>
#include <vector>

#include "libs/rpc/handler.h"
#include "libs/status/status.h"
#include "services/notification/attach_stream.h"
#include "services/notification/event_codec.h"
#include "services/notification/notification_stats.h"
#include "services/notification/subscribe_stream.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"

namespace slipstream::notification {

namespace {

constexpr char kServiceName[] = "slipstream.notification.v1.NotificationService";
constexpr int kMaxPresenceUsersCount = 100;

class NotificationServiceImpl final : public v1::NotificationService::CallbackService {
 public:
  NotificationServiceImpl(const rpc::Dispatcher& dispatcher, rpc::MethodTable methods,
                          ServiceDeps deps)
      : rpc_(dispatcher, std::move(methods)), deps_(std::move(deps)) {}

  grpc::ServerUnaryReactor* Publish(grpc::CallbackServerContext* context,
                                    const v1::PublishRequest* request,
                                    v1::PublishResponse* response) override {
    return rpc_.Unary("Publish", context, request, response,
                      [this](rpc::CallContext& call, const v1::PublishRequest& q,
                             v1::PublishResponse* p) { return HandlePublish(call, q, p); });
  }
  grpc::ServerUnaryReactor* PublishMany(grpc::CallbackServerContext* context,
                                        const v1::PublishManyRequest* request,
                                        v1::PublishManyResponse* response) override {
    return rpc_.Unary("PublishMany", context, request, response,
                      [this](rpc::CallContext& call, const v1::PublishManyRequest& q,
                             v1::PublishManyResponse* p) { return HandlePublishMany(call, q, p); });
  }
  grpc::ServerUnaryReactor* Broadcast(grpc::CallbackServerContext* context,
                                      const v1::BroadcastRequest* request,
                                      v1::PublishResponse* response) override {
    return rpc_.Unary("Broadcast", context, request, response,
                      [this](rpc::CallContext& call, const v1::BroadcastRequest& q,
                             v1::PublishResponse* p) { return HandleBroadcast(call, q, p); });
  }
  grpc::ServerWriteReactor<v1::Event>* Subscribe(grpc::CallbackServerContext* context,
                                                 const v1::SubscribeRequest* request) override {
    return rpc_.ServerStream<v1::Event>(
        "Subscribe", context, request,
        [this](rpc::CallContext& call, const v1::SubscribeRequest& q, rpc::Sender<v1::Event>& out) {
          return ServeSubscribe(deps_.streams, call, q, out);
        });
  }
  grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* Attach(
      grpc::CallbackServerContext* context) override {
    return rpc_.BidiStream<v1::AttachRequest, v1::AttachResponse>(
        "Attach", context,
        [this](rpc::CallContext& call, rpc::Receiver<v1::AttachRequest>& in,
               rpc::Sender<v1::AttachResponse>& out) {
          return ServeAttach(deps_.streams, call, in, out);
        });
  }
  grpc::ServerUnaryReactor* Ack(grpc::CallbackServerContext* context, const v1::AckRequest* request,
                                v1::AckResponse* response) override {
    return rpc_.Unary("Ack", context, request, response,
                      [this](rpc::CallContext& call, const v1::AckRequest& q, v1::AckResponse* p) {
                        return HandleAck(call, q, p);
                      });
  }
  grpc::ServerUnaryReactor* GetPresence(grpc::CallbackServerContext* context,
                                        const v1::GetPresenceRequest* request,
                                        v1::GetPresenceResponse* response) override {
    return rpc_.Unary("GetPresence", context, request, response,
                      [this](rpc::CallContext& call, const v1::GetPresenceRequest& q,
                             v1::GetPresenceResponse* p) { return HandlePresence(call, q, p); });
  }
  grpc::ServerUnaryReactor* GetStats(grpc::CallbackServerContext* context,
                                     const v1::GetStatsRequest* request,
                                     v1::NotificationStats* response) override {
    return rpc_.Unary("GetStats", context, request, response,
                      [this](rpc::CallContext& call, const v1::GetStatsRequest& q,
                             v1::NotificationStats* p) { return HandleStats(call, q, p); });
  }

 private:
  NotificationEngine& engine() { return deps_.streams.engine; }

  Async<absl::StatusOr<Appended>> PublishOne(rpc::CallContext& call,
                                             const v1::PublishRequest& request) {
    auto append = ToAppend(request, "", call.correlation_id(), deps_.clock, deps_.random);
    if (!append.ok()) co_return append.status();
    std::vector<AppendRequest> requests;
    requests.push_back(*std::move(append));
    auto appended = co_await engine().Publish(std::move(requests));
    if (!appended.ok()) co_return appended.status();
    co_return std::move(appended->front());
  }

  Async<absl::Status> HandlePublish(rpc::CallContext& call, const v1::PublishRequest& request,
                                    v1::PublishResponse* response) {
    auto appended = co_await PublishOne(call, request);
    if (!appended.ok()) co_return appended.status();
    *response = ToProto(*appended);
    co_return absl::OkStatus();
  }

  Async<absl::Status> HandlePublishMany(rpc::CallContext& call,
                                        const v1::PublishManyRequest& request,
                                        v1::PublishManyResponse* response) {
    if (request.events().empty() ||
        request.events_size() > static_cast<int>(PublishQueue::kMaxBatchCount)) {
      co_return status::FieldError("events", "1 to 256 events");
    }
    std::vector<AppendRequest> requests;
    for (int i = 0; i < request.events_size(); ++i) {
      auto append = ToAppend(request.events(i), "events[" + std::to_string(i) + "].",
                             call.correlation_id(), deps_.clock, deps_.random);
      if (!append.ok()) co_return append.status();
      requests.push_back(*std::move(append));
    }
    auto appended = co_await engine().Publish(std::move(requests));
    if (!appended.ok()) co_return appended.status();
    for (const Appended& one : *appended) *response->add_results() = ToProto(one);
    co_return absl::OkStatus();
  }

  Async<absl::Status> HandleBroadcast(rpc::CallContext& call, const v1::BroadcastRequest& request,
                                      v1::PublishResponse* response) {
    v1::PublishRequest publish;
    publish.set_channel("broadcast");
    publish.set_type(request.type().empty() ? "system_alert" : request.type());
    const auto type = ParseEventType(publish.type());
    if (type != EventType::kSystemAlert && type != EventType::kPerformanceAlert) {
      co_return status::FieldError("type", "system_alert (also when empty) or performance_alert");
    }
    if (!request.has_payload()) co_return status::FieldError("payload", "needed");
    *publish.mutable_payload() = request.payload();
    publish.set_idempotency_key(request.idempotency_key());
    auto appended = co_await PublishOne(call, publish);
    if (!appended.ok()) co_return appended.status();
    call.set_audit("broadcast", "", appended->event_id);
    *response = ToProto(*appended);
    co_return absl::OkStatus();
  }

  Async<absl::Status> HandleAck(rpc::CallContext& call, const v1::AckRequest& request,
                                v1::AckResponse* response) {
    auto cursor = ToCursor(request.cursor(), "cursor");
    if (!cursor.ok()) co_return cursor.status();
    if (!*cursor) co_return status::FieldError("cursor", "needed: that of the last event seen");
    auto pending =
        co_await engine().Acknowledge(call.principal().user, call.principal().tenant, **cursor);
    if (!pending.ok()) co_return pending.status();
    response->set_pending_count(*pending);
    co_return absl::OkStatus();
  }

  Async<absl::Status> HandlePresence(rpc::CallContext& call, const v1::GetPresenceRequest& request,
                                     v1::GetPresenceResponse* response) {
    if (request.users_size() > kMaxPresenceUsersCount) {
      co_return status::FieldError("users", "at most 100");
    }
    std::vector<std::string> users(request.users().begin(), request.users().end());
    if (users.empty()) users.push_back(call.principal().user);
    for (const UserPresence& presence : co_await engine().FindPresence(std::move(users))) {
      if (!MaySeePresence(call.principal(), presence)) {
        co_return status::Error(absl::StatusCode::kNotFound, "USER_NOT_FOUND",
                                "there is no such user that you may see",
                                {{"user", presence.user}});
      }
      *response->add_presences() = ToProto(presence);
    }
    co_return absl::OkStatus();
  }

  absl::Status HandleStats(rpc::CallContext& call, const v1::GetStatsRequest& request,
                           v1::NotificationStats* response) {
    if (absl::Status allowed = MaySeeStats(call.principal(), request); !allowed.ok()) {
      return allowed;
    }
    *response = ToProto(engine().Stats(request.user(), request.tenant()));
    response->set_store(deps_.store_name);
    return absl::OkStatus();
  }

  rpc::Endpoint rpc_;
  const ServiceDeps deps_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<grpc::Service>> MakeNotificationService(
    const rpc::Dispatcher& dispatcher, ServiceDeps deps) {
  auto methods = rpc::MethodTable::ForService(kServiceName);
  if (!methods.ok()) return methods.status();
  return std::make_unique<NotificationServiceImpl>(dispatcher, *std::move(methods),
                                                   std::move(deps));
}

}  // namespace slipstream::notification
