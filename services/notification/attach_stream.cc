#include "services/notification/attach_stream.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <set>
#include <utility>

#include "libs/async/event.h"
#include "libs/status/status.h"
#include "libs/sync/mutex.h"
#include "services/notification/attach_writer.h"
#include "services/notification/event_codec.h"

namespace slipstream::notification {

namespace {

constexpr int64_t kLinkQueuedBytes = 16 << 20;
constexpr size_t kMaxEdgeNameBytes = 128;
constexpr int kMaxCreditCount = 10'000;
constexpr int kMaxCreditedCount = 1'024;
// Subscribers of one edge whose history is being read. One after the other, a thousand that come
// back would wait a thousand times for a store that is slow.
constexpr size_t kMaxReplaysCount = 256;
// What a subscriber's token must allow.
constexpr char kSubscribePermission[] = "notifications.subscribe";

// How the reading half ended.
class ReadingEnd {
 public:
  void Set(absl::Status status) {
    {
      sync::MutexLock lock(mutex_);
      status_ = std::move(status);
      ended_ = true;
    }
    event_.Notify();
  }
  Async<absl::Status> Wait() {
    for (;;) {
      const uint64_t version = event_.version();
      {
        sync::MutexLock lock(mutex_);
        if (ended_) co_return status_;
      }
      co_await event_.Wait(version);
    }
  }

 private:
  async::Event event_;
  sync::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

CloseReason ReasonOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnauthenticated:
      return CloseReason::kUnauthenticated;
    case absl::StatusCode::kPermissionDenied:
      return CloseReason::kPermissionDenied;
    case absl::StatusCode::kInvalidArgument:
      return CloseReason::kInvalidCursor;
    case absl::StatusCode::kResourceExhausted:
      return CloseReason::kTooManyConnections;
    default:
      return CloseReason::kStoreUnavailable;
  }
}

std::string Text(const absl::Status& status) { return status::BoundedText(status.message(), 512); }

// Reads and carries out the edge's requests.
class Requests {
 public:
  Requests(const StreamDeps& deps, std::shared_ptr<Link> link, rpc::Receiver<v1::AttachRequest>& in)
      : deps_(deps), link_(std::move(link)), in_(in) {}

  Async<absl::Status> ReadAll() {
    absl::Status status = co_await ReadToTheEnd();
    co_await UntilReplays(0);
    co_return status;
  }

 private:
  Async<absl::Status> ReadToTheEnd() {
    while (auto request = co_await in_.Read()) {
      // Answers wait in the link; while it has no room, nothing more is asked for.
      for (;;) {
        const uint64_t version = link_->version();
        if (link_->HasRoom() || link_->ended()) break;
        co_await link_->Wait(version);
      }
      absl::Status status = absl::OkStatus();
      if (request->has_subscribe()) {
        status = co_await Subscribe(request->subscribe());
      } else {
        status = Apply(*request);
      }
      if (!status.ok()) co_return status;
    }
    co_return absl::OkStatus();
  }

  // Until there are at most so many.
  Async<void> UntilReplays(size_t count) {
    for (;;) {
      const uint64_t version = replayed_.version();
      {
        sync::MutexLock lock(mutex_);
        if (replaying_.size() <= count) co_return;
      }
      co_await replayed_.Wait(version);
    }
  }
  bool IsReplaying(uint64_t id) {
    sync::MutexLock lock(mutex_);
    return replaying_.contains(id);
  }
  Async<void> Replay(SubscriberSpec spec) {
    const uint64_t id = spec.id;
    if (absl::Status replayed = co_await deps_.engine.Replay(link_, std::move(spec));
        !replayed.ok()) {
      Refuse(id, replayed);
    }
    // Nothing of this object is used once the last one is away.
    sync::MutexLock lock(mutex_);
    replaying_.erase(id);
    replayed_.Notify();
  }

  absl::StatusOr<std::shared_ptr<const auth::Principal>> Identify(const std::string& token) {
    auto principal = deps_.authenticator.AuthenticateToken(token);
    if (!principal.ok()) return principal.status();
    if (absl::Status allowed = deps_.permissions.Check(**principal, kSubscribePermission);
        !allowed.ok()) {
      return allowed;
    }
    return *std::move(principal);
  }

  Async<absl::Status> Subscribe(const v1::AttachRequest::Subscribe& request) {
    if (request.subscriber_id() == 0) {
      co_return status::FieldError("subscribe.subscriber_id", "above 0");
    }
    if (request.credit_count() < 1 || request.credit_count() > kMaxCreditCount) {
      co_return status::FieldError("subscribe.credit_count", "1 to 10,000");
    }
    auto principal = Identify(request.token());
    if (!principal.ok()) {
      Refuse(request.subscriber_id(), principal.status());
      co_return absl::OkStatus();
    }
    auto cursor = ToCursor(request.cursor(), "cursor");
    auto types = ToTypes(request.types());
    if (!cursor.ok()) {
      Refuse(request.subscriber_id(), cursor.status());
      co_return absl::OkStatus();
    }
    if (!types.ok()) {
      deps_.engine.Close(link_, request.subscriber_id(), CloseReason::kInvalidTypes,
                         Text(types.status()));
      co_return absl::OkStatus();
    }
    SubscriberSpec spec;
    spec.id = request.subscriber_id();
    spec.user = (*principal)->user;
    spec.tenant = (*principal)->tenant;
    spec.cursor = *cursor;
    spec.types = *types;
    spec.credit_count = request.credit_count();
    spec.token_expires_at = (*principal)->expires_at;
    // One that has left may still be replayed: what is read for it is not for the next of its id.
    absl::Status joined =
        IsReplaying(spec.id) ? SubscriberIdInUse() : deps_.engine.Join(link_, spec);
    if (absl::IsAlreadyExists(joined)) co_return joined;
    if (!joined.ok()) {
      Refuse(request.subscriber_id(), joined);
      co_return absl::OkStatus();
    }
    co_await UntilReplays(kMaxReplaysCount - 1);
    {
      sync::MutexLock lock(mutex_);
      replaying_.insert(spec.id);
    }
    boost::asio::co_spawn(co_await boost::asio::this_coro::executor, Replay(std::move(spec)),
                          [](std::exception_ptr error) {
                            if (error) std::rethrow_exception(error);
                          });
    co_return absl::OkStatus();
  }

  absl::Status Apply(const v1::AttachRequest& request) {
    switch (request.message_case()) {
      case v1::AttachRequest::kUnsubscribe:
        deps_.engine.Unsubscribe(link_, request.unsubscribe().subscriber_id());
        return absl::OkStatus();
      case v1::AttachRequest::kCredit: {
        const auto& credit = request.credit();
        if (credit.credit_count() < 1 || credit.credit_count() > kMaxCreditCount) {
          return status::FieldError("credit.credit_count", "1 to 10,000");
        }
        if (credit.subscriber_ids_size() < 1 || credit.subscriber_ids_size() > kMaxCreditedCount) {
          return status::FieldError("credit.subscriber_ids", "1 to 1,024");
        }
        deps_.engine.AddCredit(link_,
                               {credit.subscriber_ids().begin(), credit.subscriber_ids().end()},
                               credit.credit_count());
        return absl::OkStatus();
      }
      case v1::AttachRequest::kRefresh:
        return Refresh(request.refresh());
      case v1::AttachRequest::kHello:
        return status::FieldError("hello", "once, as the first message");
      default:
        return status::FieldError("message", "one must be set");
    }
  }

  absl::Status Refresh(const v1::AttachRequest::Refresh& request) {
    auto principal = Identify(request.token());
    if (!principal.ok()) {
      Refuse(request.subscriber_id(), principal.status());
    } else if (!deps_.engine.Refresh(link_, request.subscriber_id(), (*principal)->user,
                                     (*principal)->tenant, (*principal)->expires_at)) {
      deps_.engine.Close(link_, request.subscriber_id(), CloseReason::kPermissionDenied,
                         "the new token is of another user or tenant; connect again with it");
    }
    return absl::OkStatus();
  }

  void Refuse(uint64_t id, const absl::Status& status) {
    deps_.engine.Close(link_, id, ReasonOf(status), Text(status));
  }

  const StreamDeps& deps_;
  const std::shared_ptr<Link> link_;
  rpc::Receiver<v1::AttachRequest>& in_;
  async::Event replayed_;
  sync::Mutex mutex_;
  std::set<uint64_t> replaying_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

Async<absl::Status> ServeAttach(const StreamDeps& deps, rpc::CallContext& call,
                                rpc::Receiver<v1::AttachRequest>& in,
                                rpc::Sender<v1::AttachResponse>& out) {
  const auto hello = co_await in.Read();
  if (!hello) co_return absl::OkStatus();
  const std::string& name = hello->hello().edge_name();
  if (name.empty() || name.size() > kMaxEdgeNameBytes) {
    co_return status::FieldError("hello.edge_name",
                                 "the first message is `hello` with a name of 1 to 128 bytes");
  }
  auto opened = deps.engine.OpenLink({.single = false, .max_queued_bytes = kLinkQueuedBytes});
  if (!opened.ok()) co_return opened.status();
  const std::shared_ptr<Link> link = *std::move(opened);
  const LinkOwner owner(deps.engine, link);
  call.OnCancel([link] { link->End(); });

  v1::AttachResponse attached;
  attached.mutable_attached()->set_node_name(deps.node_name);
  attached.mutable_attached()->set_max_subscribers_count(deps.max_subscribers_count);
  if (!co_await out.Write(std::move(attached))) co_return absl::CancelledError("the edge left");

  // On this frame: it is left only when the reading half has ended.
  Requests requests(deps, link, in);
  ReadingEnd reading;
  auto read = [](Requests& r, ReadingEnd& end, NotificationEngine& engine,
                 std::shared_ptr<Link> l) -> Async<void> {
    absl::Status status = co_await r.ReadAll();
    // No more requests: its subscribers end, and the writer after what is queued.
    engine.CloseLink(l);
    end.Set(std::move(status));
  };
  boost::asio::co_spawn(co_await boost::asio::this_coro::executor,
                        read(requests, reading, deps.engine, link), [](std::exception_ptr error) {
                          if (error) std::rethrow_exception(error);
                        });
  co_await WriteToEdge(deps.engine, link, hello->hello().takes_batches(), out);
  link->End();
  in.Stop();
  co_return co_await reading.Wait();
}

}  // namespace slipstream::notification
