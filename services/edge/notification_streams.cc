#include "services/edge/notification_streams.h"

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "libs/async/deadline.h"
#include "libs/async/event.h"
#include "libs/status/status.h"
#include "services/edge/notifications/outbox.h"
#include "services/edge/stream_answer.h"
#include "slipstream/notification/v1/notification.pb.h"

namespace slipstream::edge {

namespace {

// Events for one write.
constexpr size_t kWriteBytes = 64 << 10;
// A client that is told to come back does so after up to this, by its own choice.
constexpr int kReconnectAfter_ms = 1000;

absl::Status StatusOf(const SubscriptionEnd& end, const std::string& cursor) {
  absl::StatusCode code = absl::StatusCode::kUnavailable;
  if (end.reason == "UNAUTHENTICATED" || end.reason == "TOKEN_EXPIRED") {
    code = absl::StatusCode::kUnauthenticated;
  } else if (end.reason == "PERMISSION_DENIED") {
    code = absl::StatusCode::kPermissionDenied;
  } else if (end.reason == "TOO_MANY_CONNECTIONS" || end.reason == "SLOW_READER") {
    code = absl::StatusCode::kResourceExhausted;
  } else if (end.reason == "INVALID_CURSOR") {
    return status::FieldError("cursor", end.message);
  } else if (end.reason == "INVALID_TYPES") {
    return status::FieldError("types", end.message);
  }
  return status::WithRetryAfter(status::Error(code, end.reason, end.message, {{"cursor", cursor}}),
                                absl::Seconds(1));
}

}  // namespace

class NotificationStreams::Receiver final : public EventReceiver {
 public:
  explicit Receiver(size_t queue_bytes) : outbox(queue_bytes) {}

  bool OnEvents(absl::Span<const EncodedEventPtr> events) override {
    const Outbox::Pushed pushed = outbox.Push(events);
    if (pushed == Outbox::Pushed::kOver) {
      OnEnd({"SLOW_READER",
             "what was not read exceeds edge.websocket.queue_bytes; connect again with the "
             "cursor and read faster"});
    }
    return pushed == Outbox::Pushed::kWake;
  }
  void Wake() override { changed.Notify(); }
  void OnEnd(const SubscriptionEnd& why) override {
    {
      sync::MutexLock lock(mutex_);
      if (!end_) end_ = why;
    }
    changed.Notify();
  }
  std::optional<SubscriptionEnd> end() const {
    sync::MutexLock lock(mutex_);
    return end_;
  }
  void Reconnect() {
    OnEvents({EncodeReconnect(kReconnectAfter_ms)});
    OnEnd({});
  }
  void Leave() {
    left = true;
    changed.Notify();
  }

  Outbox outbox;
  async::Event changed;
  std::atomic<bool> left{false};  // the client has gone

 private:
  mutable sync::Mutex mutex_;
  std::optional<SubscriptionEnd> end_ ABSL_GUARDED_BY(mutex_);  // empty reason: reconnect
};

NotificationStreams::NotificationStreams(NotificationStreamOptions options, Deps deps)
    : options_(options), deps_(deps) {}
NotificationStreams::~NotificationStreams() = default;

bool NotificationStreams::Add(const std::shared_ptr<Receiver>& receiver) {
  sync::MutexLock lock(mutex_);
  if (!draining_) receivers_.insert(receiver);
  return !draining_;
}

void NotificationStreams::Drain() {
  std::set<std::shared_ptr<Receiver>> receivers;
  {
    sync::MutexLock lock(mutex_);
    draining_ = true;
    receivers = receivers_;
  }
  for (const auto& receiver : receivers) receiver->Reconnect();
}

Async<absl::Status> NotificationStreams::Answer(Exchange& exchange, const RequestScope& scope,
                                                const google::protobuf::Message& request) {
  slipstream::notification::v1::SubscribeRequest subscribe;
  if (!subscribe.ParseFromString(request.SerializeAsString())) {
    co_return absl::InternalError("the request does not fit its own type");
  }
  SubscriptionRequest subscription;
  subscription.client_address =
      ClientAddress(exchange.peer_address(), exchange.header("x-forwarded-for").value_or(""),
                    options_.proxy_hops_count);
  auto place = deps_.limits.Enter(subscription.client_address);
  if (!place.ok()) co_return place.status();
  if (absl::Status signed_in = place->SignIn(scope.principal->user); !signed_in.ok()) {
    co_return signed_in;
  }
  subscription.token = scope.bearer_token;
  subscription.cursor =
      subscribe.last_event_id().empty() ? subscribe.cursor() : subscribe.last_event_id();
  subscription.types.assign(subscribe.types().begin(), subscribe.types().end());

  auto receiver = std::make_shared<Receiver>(options_.queue_bytes);
  if (!Add(receiver)) {
    co_return StatusOf({"DRAINING", "this edge is going away; connect again"}, "");
  }
  const uint64_t id = deps_.hub.Subscribe(std::move(subscription), receiver);
  absl::Status status = co_await Write(exchange, scope, *receiver, id);
  deps_.hub.Unsubscribe(id);
  sync::MutexLock lock(mutex_);
  receivers_.erase(receiver);
  co_return status;
}

Async<absl::Status> NotificationStreams::Write(Exchange& exchange, const RequestScope& scope,
                                               Receiver& receiver, uint64_t id) {
  const bool sse = ChooseStreamFormat(*slipstream::notification::v1::Event::descriptor(),
                                      exchange.header("accept").value_or("")) == StreamFormat::kSse;
  // A refusal is a plain problem: the headers wait for the subscription's start.
  for (;;) {
    const uint64_t version = receiver.changed.version();
    if (!receiver.outbox.empty()) break;
    if (const auto end = receiver.end()) co_return StatusOf(*end, "");
    co_await receiver.changed.Wait(version);
  }
  HttpResponse head;
  head.content_type = sse ? "text/event-stream" : "application/x-ndjson";
  head.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  bool open = co_await exchange.StartStream(std::move(head));
  exchange.OnDisconnect([&receiver] { receiver.Leave(); });
  if (open && sse) open = co_await exchange.WriteChunk(": open\n\n");
  int uncredited_count = 0;
  while (open && !receiver.left) {
    const uint64_t version = receiver.changed.version();
    const auto end = receiver.end();
    std::string records;
    const Outbox::Taken taken =
        receiver.outbox.Take(kWriteBytes, [&](const EncodedEvent& event, ResumeCursor* cursor) {
          std::string json;
          event.AppendJson(cursor, &json);
          if (sse) {
            const std::string place = cursor->ToString();
            if (!place.empty()) records += "id: " + place + "\n";
            records += "data: " + json + "\n\n";
          } else {
            records += json + "\n";
          }
        });
    if (taken.events_count > 0) {
      open = co_await exchange.WriteChunk(std::move(records));
      uncredited_count += taken.credited_count;
      for (; uncredited_count >= NotificationHub::kCreditQuantum;
           uncredited_count -= NotificationHub::kCreditQuantum) {
        deps_.hub.AddCredit(id);
      }
      continue;
    }
    if (end) {
      const absl::Status status = end->reason.empty()
                                      ? absl::OkStatus()
                                      : StatusOf(*end, receiver.outbox.cursor().ToString());
      const std::string last =
          sse ? SseEnd(status, scope.correlation_id) : NdjsonEnd(status, scope.correlation_id);
      if (!last.empty()) co_await exchange.WriteChunk(last);
      co_await exchange.EndStream();
      break;
    }
    if (!co_await receiver.changed.Wait(version, async::After(options_.heartbeat))) {
      open = co_await exchange.WriteChunk(sse ? ": beat\n\n" : "\n");
    }
  }
  exchange.OnDisconnect([] {});
  co_return absl::OkStatus();
}

}  // namespace slipstream::edge
