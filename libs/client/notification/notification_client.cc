#include "libs/client/notification/notification_client.h"

// How protobuf messages travel; client_call.h leaves the choice to its user.
#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <optional>
#include <utility>

#include "libs/async/deadline.h"
#include "libs/rpc/client_call.h"
#include "libs/status/status.h"

namespace slipstream::notification_client {

namespace {

namespace asio = boost::asio;
namespace v1 = notification::v1;

constexpr char kMethod[] = "/slipstream.notification.v1.NotificationService/Subscribe";
constexpr int kMaxDoublings = 20;
// A token that is due at once is used so long all the same.
constexpr absl::Duration kMinTokenUse = absl::Milliseconds(500);

bool IsFinal(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsInvalidArgument(status) ||
         absl::IsUnimplemented(status);
}

}  // namespace

struct NotificationClient::Call {
  using Stream = rpc::BidiCall<v1::SubscribeRequest, v1::Event>;
  std::shared_ptr<Stream> stream;
  async::Event ended;  // notified once, when nothing reads any more
  std::atomic<bool> refreshing = false;
};

NotificationClient::NotificationClient(Deps deps, Options options)
    : deps_(std::move(deps)), options_(std::move(options)), cursor_(options_.cursor) {}
NotificationClient::~NotificationClient() = default;

void NotificationClient::Stop() {
  std::shared_ptr<Call> call;
  {
    sync::MutexLock lock(mutex_);
    stopped_ = true;
    call = call_;
  }
  if (call != nullptr) call->stream->Cancel();
  stop_event_.Notify();
}

bool NotificationClient::stopped() const {
  sync::MutexLock lock(mutex_);
  return stopped_;
}

std::string NotificationClient::cursor() const {
  sync::MutexLock lock(mutex_);
  return cursor_;
}

int64_t NotificationClient::connections_count() const {
  sync::MutexLock lock(mutex_);
  return connections_count_;
}

absl::Duration NotificationClient::Backoff(int failures_count) {
  const int doublings = std::clamp(failures_count - 1, 0, kMaxDoublings);
  const absl::Duration full =
      std::min(options_.backoff_max, options_.backoff_min * (int64_t{1} << doublings));
  return full * (0.5 + deps_.random.NextDouble() / 2);
}

// False when the client was stopped.
Async<bool> NotificationClient::Sleep(absl::Duration duration) {
  const uint64_t seen = stop_event_.version();
  if (stopped()) co_return false;
  co_return !co_await stop_event_.Wait(seen, async::After(duration));
}

Async<absl::Status> NotificationClient::Run(Handler& handler) {
  int failures_count = 0;
  int unauthenticated_count = 0;
  while (!stopped()) {
    const Ended ended = co_await Connect(handler);
    if (stopped()) break;
    if (IsFinal(ended.status)) co_return ended.status;
    if (ended.started) failures_count = unauthenticated_count = 0;
    if (ended.refresh) continue;
    // Its token was good when the stream began: a new one is due, and no failure.
    const bool expired = ended.started && absl::IsUnauthenticated(ended.status);
    if (absl::IsUnauthenticated(ended.status) && !expired &&
        ++unauthenticated_count >= options_.max_unauthenticated_count) {
      co_return ended.status;
    }
    absl::Duration wait = ended.wait.value_or(absl::ZeroDuration());
    if (!ended.wait || !ended.status.ok()) wait = std::max(wait, Backoff(++failures_count));
    if (!co_await Sleep(wait)) break;
  }
  co_return absl::OkStatus();
}

Async<NotificationClient::Ended> NotificationClient::Connect(Handler& handler) {
  Ended out;
  absl::StatusOr<Token> token = co_await deps_.token();
  if (!token.ok()) {
    out.status =
        status::Error(absl::StatusCode::kUnavailable, "NO_TOKEN",
                      "the token provider failed: " + std::string(token.status().message()));
    co_return out;
  }
  rpc::CallOptions call_options;
  call_options.timeout = absl::InfiniteDuration();
  call_options.bearer_token = token->text;
  v1::SubscribeRequest request;
  for (const std::string& type : options_.types) request.add_types(type);
  auto call = std::make_shared<Call>();
  {
    sync::MutexLock lock(mutex_);
    if (stopped_) co_return out;
    request.set_cursor(cursor_);
    call->stream = Call::Stream::Start(deps_.channel, kMethod, call_options);
    call_ = call;
  }
  (void)call->stream->Send(std::move(request));
  call->stream->SendsDone();
  const auto executor = co_await asio::this_coro::executor;
  if (token->expires_at != absl::InfiniteFuture()) {
    const absl::Duration left = token->expires_at - options_.refresh_before - deps_.clock.Now();
    // Ends with the call: it holds nothing of the client's.
    asio::co_spawn(
        executor,
        [](std::shared_ptr<Call> call, absl::Duration after) -> Async<void> {
          if (co_await call->ended.Wait(0, async::After(after))) co_return;
          call->refreshing = true;
          call->stream->Cancel();
        }(call, std::max(left, kMinTokenUse)),
        asio::detached);
  }
  co_await Read(call, handler, &out);
  call->ended.Notify();
  sync::MutexLock lock(mutex_);
  call_ = nullptr;
  co_return out;
}

Async<void> NotificationClient::Read(std::shared_ptr<Call> call, Handler& handler, Ended* out) {
  while (std::optional<v1::Event> message = co_await call->stream->Read()) {
    if (message->type() == "reconnect") {
      const auto& fields = message->payload().fields();
      auto it = fields.find("reconnect_after_ms");
      out->wait =
          absl::Milliseconds(it == fields.end() ? 0.0 : std::max(0.0, it->second.number_value()));
      continue;
    }
    std::string cursor = message->cursor();
    if (message->type() == "subscribed") {
      bool tell;
      {
        sync::MutexLock lock(mutex_);
        tell = !std::exchange(told_start_, true) || !message->recovered();
        if (!std::exchange(out->started, true)) ++connections_count_;
      }
      if (tell) handler.OnStart(message->recovered());
    } else {
      handler.OnEvent(ToEvent(*std::move(message)));
    }
    sync::MutexLock lock(mutex_);
    if (!cursor.empty()) cursor_ = std::move(cursor);
  }
  out->status = call->stream->status();
  out->refresh = call->refreshing;
  if (const auto wait = status::RetryAfter(out->status)) out->wait = *wait;
}

}  // namespace slipstream::notification_client
