#include "services/notification/subscribe_stream.h"

#include <limits>
#include <utility>

#include "libs/status/status.h"
#include "services/notification/event_codec.h"

namespace slipstream::notification {

namespace {

// What waits for the writer beside the subscriber's own queue.
constexpr int64_t kLinkQueuedBytes = 64 << 10;
// gRPC's flow control and the byte bound stand in for credit.
constexpr int64_t kUnboundedCredit = std::numeric_limits<int64_t>::max() / 2;

v1::Event ToEvent(const SubscribedMessage& message) {
  v1::Event out;
  out.set_type("subscribed");
  out.set_cursor(message.cursor);
  out.set_recovered(message.recovered);
  return out;
}

v1::Event ToEvent(const DeliveryMessage& message) {
  v1::Event out = ToProto(*message.event);
  out.set_cursor(message.cursor);
  return out;
}

v1::Event ToEvent(const DrainMessage& message) {
  v1::Event out;
  out.set_type("reconnect");
  out.set_cursor(message.cursor);
  (*out.mutable_payload()->mutable_fields())["reconnect_after_ms"].set_number_value(
      static_cast<double>(absl::ToInt64Milliseconds(message.window)));
  return out;
}

absl::Status ToStatus(const ClosedMessage& message) {
  const auto code = message.reason == CloseReason::kTokenExpired
                        ? absl::StatusCode::kUnauthenticated
                        : absl::StatusCode::kResourceExhausted;
  const std::string_view reason = CloseReasonName(message.reason);
  return status::Error(code, absl::string_view(reason.data(), reason.size()), message.message,
                       {{"cursor", message.cursor}});
}

}  // namespace

Async<absl::Status> ServeSubscribe(const StreamDeps& deps, rpc::CallContext& call,
                                   const v1::SubscribeRequest& request,
                                   rpc::Sender<v1::Event>& out) {
  const bool by_header = !request.last_event_id().empty();
  auto cursor = ToCursor(by_header ? request.last_event_id() : request.cursor(),
                         by_header ? "last_event_id" : "cursor");
  if (!cursor.ok()) co_return cursor.status();
  auto types = ToTypes(request.types());
  if (!types.ok()) co_return types.status();

  auto opened = deps.engine.OpenLink({.single = true, .max_queued_bytes = kLinkQueuedBytes});
  if (!opened.ok()) co_return opened.status();
  const std::shared_ptr<Link> link = *std::move(opened);
  const LinkOwner owner(deps.engine, link);
  call.OnCancel([link] { link->End(); });

  SubscriberSpec spec;
  spec.id = kOnlySubscriber;
  spec.user = call.principal().user;
  spec.tenant = call.principal().tenant;
  spec.cursor = *cursor;
  spec.types = *types;
  spec.credit_count = kUnboundedCredit;
  spec.token_expires_at = call.principal().expires_at;
  absl::Status subscribed = co_await deps.engine.Subscribe(link, std::move(spec));
  if (!subscribed.ok()) co_return subscribed;

  for (;;) {
    const uint64_t version = link->version();
    const bool ended = link->ended();
    std::vector<LinkMessage> messages = deps.engine.Take(link, kTakeCount);
    for (LinkMessage& message : messages) {
      if (const auto* closed = std::get_if<ClosedMessage>(&message)) co_return ToStatus(*closed);
      v1::Event event;
      if (const auto* first = std::get_if<SubscribedMessage>(&message)) {
        event = ToEvent(*first);
      } else if (const auto* delivery = std::get_if<DeliveryMessage>(&message)) {
        event = ToEvent(*delivery);
      } else {
        event = ToEvent(std::get<DrainMessage>(message));
      }
      if (!co_await out.Write(std::move(event))) co_return absl::CancelledError("the reader left");
    }
    if (!messages.empty()) continue;
    if (ended) break;
    co_await link->Wait(version);
  }
  if (call.cancelled()) co_return absl::CancelledError("the reader left");
  co_return absl::OkStatus();
}

}  // namespace slipstream::notification
