#include "services/notification/attach_writer.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "services/notification/event_codec.h"
#include "services/notification/stream_deps.h"

namespace slipstream::notification {

namespace {

constexpr std::chrono::milliseconds kBatchInterval(2);
// gRPC takes messages of 4 MiB; an event and its receivers are far below.
constexpr size_t kMaxBatchBytes = 256 << 10;

void ToProto(const DeliveryMessage& delivery, v1::AttachResponse::Delivery* out) {
  out->mutable_subscriber_ids()->Assign(delivery.subscriber_ids.begin(),
                                        delivery.subscriber_ids.end());
  *out->mutable_event() = ToProto(*delivery.event);
}

v1::AttachResponse ToResponse(LinkMessage& message) {
  v1::AttachResponse out;
  if (const auto* delivery = std::get_if<DeliveryMessage>(&message)) {
    ToProto(*delivery, out.mutable_delivery());
  } else if (auto* subscribed = std::get_if<SubscribedMessage>(&message)) {
    auto& to = *out.mutable_subscribed();
    to.set_subscriber_id(subscribed->subscriber_id);
    to.set_cursor(std::move(subscribed->cursor));
    to.set_recovered(subscribed->recovered);
    to.set_user(std::move(subscribed->user));
    to.set_tenant(std::move(subscribed->tenant));
    to.mutable_token_expires_at()->set_seconds(absl::ToUnixSeconds(subscribed->token_expires_at));
  } else if (auto* closed = std::get_if<ClosedMessage>(&message)) {
    auto& to = *out.mutable_closed();
    to.set_subscriber_id(closed->subscriber_id);
    to.set_reason(std::string(CloseReasonName(closed->reason)));
    to.set_message(std::move(closed->message));
    to.set_cursor(std::move(closed->cursor));
  } else {
    const auto& drain = std::get<DrainMessage>(message);
    out.mutable_drain()->set_window_ms(
        static_cast<int32_t>(absl::ToInt64Milliseconds(drain.window)));
  }
  return out;
}

// The deliveries from `from` on that follow each other, as one response; `from` is then after them.
v1::AttachResponse TakeBatch(const std::vector<LinkMessage>& messages, size_t* from) {
  v1::AttachResponse out;
  auto& batch = *out.mutable_delivery_batch();
  const DeliveryMessage* last = nullptr;
  for (size_t bytes = 0; *from < messages.size() && bytes < kMaxBatchBytes; ++*from) {
    const auto* delivery = std::get_if<DeliveryMessage>(&messages[*from]);
    if (delivery == nullptr) break;
    bytes += delivery->event->HeldBytes();
    if (last != nullptr && last->subscriber_ids == delivery->subscriber_ids) {
      *batch.mutable_deliveries()->rbegin()->add_more_events() = ToProto(*delivery->event);
      continue;
    }
    bytes += delivery->subscriber_ids.size() * sizeof(uint64_t);
    ToProto(*delivery, batch.add_deliveries());
    last = delivery;
  }
  return out;
}

}  // namespace

Async<void> WriteToEdge(NotificationEngine& engine, std::shared_ptr<Link> link, bool takes_batches,
                        rpc::Sender<v1::AttachResponse>& out) {
  boost::asio::steady_timer pause(co_await boost::asio::this_coro::executor);
  bool pausing = false;
  for (;;) {
    if (std::exchange(pausing, false)) co_await pause.async_wait(boost::asio::use_awaitable);
    const uint64_t version = link->version();
    const bool ended = link->ended();
    std::vector<LinkMessage> messages = engine.Take(link, kTakeCount);
    if (messages.empty()) {
      if (ended) co_return;
      co_await link->Wait(version);
      continue;
    }
    // After a full hand the rest follows at once.
    if (takes_batches && messages.size() < kTakeCount) {
      pause.expires_after(kBatchInterval);
      pausing = true;
    }
    for (size_t next = 0; next < messages.size();) {
      v1::AttachResponse response =
          takes_batches && std::holds_alternative<DeliveryMessage>(messages[next])
              ? TakeBatch(messages, &next)
              : ToResponse(messages[next++]);
      if (!co_await out.Write(std::move(response))) co_return;
    }
  }
}

}  // namespace slipstream::notification
