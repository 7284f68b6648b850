#include "services/edge/notifications/notification_hub.h"

#include <grpcpp/impl/codegen/proto_utils.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <deque>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/event.h"
#include "libs/async/scope.h"
#include "libs/rpc/client_call.h"

namespace slipstream::edge {

namespace asio = boost::asio;
namespace v1 = slipstream::notification::v1;

namespace {

constexpr char kAttach[] = "/slipstream.notification.v1.NotificationService/Attach";
constexpr absl::Duration kMinBackoff = absl::Milliseconds(50);
constexpr absl::Duration kMaxBackoff = absl::Seconds(1);
// Of AttachRequest.Credit.subscriber_ids.
constexpr int kMaxCreditedCount = 1024;
constexpr size_t kMaxClientAddressBytes = 64;

std::string EdgeName() {
  char host[100] = {};
  if (gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
  return absl::StrCat("edge ", host, "/", getpid());
}

}  // namespace

// Everything below Subscribe and its siblings happens on the strand.
class NotificationHub::Impl : public std::enable_shared_from_this<NotificationHub::Impl> {
 public:
  explicit Impl(Deps deps)
      : deps_(std::move(deps)),
        strand_(asio::make_strand(deps_.executor)),
        round_timer_(strand_),
        scope_(Executor(strand_)) {}

  template <class Step>
  void Post(Step step) {
    asio::post(strand_,
               [self = shared_from_this(), step = std::move(step)]() mutable { step(*self); });
  }

  uint64_t NextId() { return next_id_.fetch_add(1, std::memory_order_relaxed); }

  void Add(uint64_t id, SubscriptionRequest request, std::shared_ptr<EventReceiver> receiver) {
    if (stopped_) return;
    Subscriber& subscriber = subscribers_[id];
    subscriber.receiver = std::move(receiver);
    subscriber.token = std::move(request.token);
    subscriber.cursor = std::move(request.cursor);
    subscriber.types = std::move(request.types);
    subscriber.client_address = request.client_address.substr(0, kMaxClientAddressBytes);
    if (linked_) Request(SubscribeMessage(id, subscriber));
    if (!std::exchange(running_, true)) {
      scope_.Spawn([this]() -> Async<void> { co_await Run(); });
    }
  }
  void Remove(uint64_t id) {
    if (subscribers_.erase(id) == 0 || !linked_) return;
    v1::AttachRequest request;
    request.mutable_unsubscribe()->set_subscriber_id(id);
    Request(std::move(request));
  }
  void Credit(uint64_t id) {
    if (!linked_ || !subscribers_.contains(id)) return;
    credit_due_.push_back(id);
    changed_.Notify();
  }
  void Refresh(uint64_t id, std::string token) {
    auto it = subscribers_.find(id);
    if (it == subscribers_.end()) return;
    it->second.token = std::move(token);
    if (!linked_) return;
    v1::AttachRequest request;
    request.mutable_refresh()->set_subscriber_id(id);
    request.mutable_refresh()->set_token(it->second.token);
    Request(std::move(request));
  }

  void Stop() {
    Post([](Impl& self) {
      self.stopped_ = true;
      self.subscribers_.clear();
      self.woken_.clear();
      self.round_timer_.cancel();
      if (self.call_) self.call_->Cancel();
      self.changed_.Notify();
    });
    scope_.Close();
  }

 private:
  using Call = rpc::BidiCall<v1::AttachRequest, v1::AttachResponse>;

  struct Subscriber {
    std::shared_ptr<EventReceiver> receiver;
    std::string token;
    std::string cursor;    // as asked for, until `started`
    ResumeCursor reached;  // after the last event handed to the receiver
    std::vector<std::string> types;
    std::string client_address;
    bool started = false;  // on this link or an earlier one
  };

  v1::AttachRequest SubscribeMessage(uint64_t id, const Subscriber& subscriber) const {
    v1::AttachRequest request;
    auto& to = *request.mutable_subscribe();
    to.set_subscriber_id(id);
    to.set_token(subscriber.token);
    to.set_cursor(subscriber.started ? subscriber.reached.ToString() : subscriber.cursor);
    to.mutable_types()->Assign(subscriber.types.begin(), subscriber.types.end());
    to.set_credit_count(kCreditCount);
    to.set_client_address(subscriber.client_address);
    return request;
  }

  void Request(v1::AttachRequest request) {
    requests_.push_back(std::move(request));
    changed_.Notify();
  }

  Async<void> Run() {
    absl::Duration backoff = kMinBackoff;
    away_since_ = deps_.clock.Monotonic();
    while (!stopped_ && !subscribers_.empty()) {
      if (co_await RunLink()) {
        backoff = kMinBackoff;
        away_since_ = deps_.clock.Monotonic();
      } else if (deps_.clock.Monotonic() - away_since_ >= kMaxAway) {
        EndAll();
      }
      if (stopped_ || !co_await scope_.SleepFor(backoff)) break;
      backoff = std::min(backoff * 2, kMaxBackoff);
    }
    running_ = false;
  }

  // One stream to its end. True when the node had taken it.
  Async<bool> RunLink() {
    rpc::CallOptions options = deps_.peers.OwnCall();
    options.timeout = absl::InfiniteDuration();
    call_ = Call::Start(deps_.peers.Channel("notification"), kAttach, options);
    v1::AttachRequest hello;
    hello.mutable_hello()->set_edge_name(EdgeName());
    hello.mutable_hello()->set_takes_batches(true);
    call_->Send(std::move(hello));
    bool attached = false;
    while (auto response = co_await call_->Read()) {
      if (stopped_) continue;  // to its end, as the call wants
      if (response->has_attached() && !attached) {
        attached = true;
        Attached(response->attached().node_name());
      } else {
        Handle(*response);
      }
    }
    const absl::Status status = call_->status();
    if (!stopped_) {
      deps_.logger.Warning("the notification stream ended",
                           {{"status", status}, {"attached", attached}});
    }
    linked_ = false;
    changed_.Notify();
    while (writing_) {
      const uint64_t version = changed_.version();
      if (!writing_) break;
      co_await changed_.Wait(version);
    }
    call_.reset();
    requests_.clear();
    credit_due_.clear();
    co_return attached;
  }

  void Attached(const std::string& node_name) {
    deps_.logger.Info("attached to a notification node",
                      {{"node", node_name}, {"subscribers", subscribers_.size()}});
    linked_ = true;
    for (const auto& [id, subscriber] : subscribers_) {
      requests_.push_back(SubscribeMessage(id, subscriber));
    }
    writing_ = scope_.Spawn([this]() -> Async<void> { co_await WriteRequests(); });
  }

  // The requests, and credit for many subscribers in one message.
  Async<void> WriteRequests() {
    const std::shared_ptr<Call> call = call_;
    bool open = true;
    while (linked_ && open) {
      const uint64_t version = changed_.version();
      if (!requests_.empty()) {
        v1::AttachRequest request = std::move(requests_.front());
        requests_.pop_front();
        open = co_await call->Write(std::move(request));
      } else if (!credit_due_.empty()) {
        v1::AttachRequest request;
        auto& credit = *request.mutable_credit();
        const size_t count = std::min<size_t>(credit_due_.size(), kMaxCreditedCount);
        credit.mutable_subscriber_ids()->Assign(
            credit_due_.begin(), credit_due_.begin() + static_cast<ptrdiff_t>(count));
        credit.set_credit_count(kCreditQuantum);
        credit_due_.erase(credit_due_.begin(), credit_due_.begin() + static_cast<ptrdiff_t>(count));
        open = co_await call->Write(std::move(request));
      } else {
        co_await changed_.Wait(version);
      }
    }
    writing_ = false;
    changed_.Notify();
  }

  void Handle(v1::AttachResponse& response) {
    switch (response.message_case()) {
      case v1::AttachResponse::kDelivery:
        Deliver(response.mutable_delivery());
        WakeInRounds();
        break;
      case v1::AttachResponse::kDeliveryBatch:
        for (auto& delivery : *response.mutable_delivery_batch()->mutable_deliveries()) {
          Deliver(&delivery);
        }
        WakeInRounds();
        break;
      case v1::AttachResponse::kSubscribed:
        Started(response.subscribed());
        break;
      case v1::AttachResponse::kClosed:
        Closed(response.closed());
        break;
      default:
        break;  // a drain ends with the stream; the next one goes to another node
    }
  }

  void Deliver(v1::AttachResponse::Delivery* delivery) {
    std::vector<EncodedEventPtr> events;
    const auto add = [&events](v1::Event* event) {
      if (EncodedEventPtr encoded = EncodeEvent(std::move(*event))) {
        events.push_back(std::move(encoded));
      }
    };
    add(delivery->mutable_event());
    for (v1::Event& event : *delivery->mutable_more_events()) add(&event);
    if (events.empty()) return;
    for (const uint64_t id : delivery->subscriber_ids()) {
      auto it = subscribers_.find(id);
      if (it == subscribers_.end()) continue;  // has left meanwhile
      for (const EncodedEventPtr& event : events) {
        if (event->position.epoch != 0) it->second.reached.Advance(event->channel, event->position);
      }
      if (it->second.receiver->OnEvents(events)) woken_.push_back(it->second.receiver);
    }
  }

  // At once, or when the last round is written and has had its time.
  void WakeInRounds() {
    if (woken_.empty() || round_busy_) return;
    round_busy_ = true;
    const absl::Duration now = deps_.clock.Monotonic();
    if (now >= next_round_at_) {
      WakeAll();
      return;
    }
    round_timer_.expires_after(absl::ToChronoNanoseconds(next_round_at_ - now));
    round_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& ec) {
      if (!ec) self->WakeAll();  // only Stop cancels it
    });
  }
  void WakeAll() {
    next_round_at_ =
        deps_.clock.Monotonic() +
        std::min(kRoundIntervalEach * static_cast<double>(woken_.size()), kMaxRoundInterval);
    for (const auto& receiver : woken_) receiver->Wake();
    woken_.clear();
    // The executor is first in, first out: this comes when all of them have written.
    asio::post(deps_.executor, [self = shared_from_this()] {
      self->Post([](Impl& impl) {
        impl.round_busy_ = false;
        impl.WakeInRounds();
      });
    });
  }

  void Started(const v1::AttachResponse::Subscribed& subscribed) {
    auto it = subscribers_.find(subscribed.subscriber_id());
    if (it == subscribers_.end()) return;
    Subscriber& subscriber = it->second;
    subscriber.reached = ResumeCursor::Parse(subscribed.cursor()).value_or(ResumeCursor());
    const bool again = std::exchange(subscriber.started, true);
    subscriber.cursor = {};
    if (again && subscribed.recovered()) return;  // goes on as if nothing had been
    if (subscriber.receiver->OnEvents({EncodeStart(subscriber.reached, subscribed.recovered())})) {
      woken_.push_back(subscriber.receiver);
      WakeInRounds();
    }
  }

  void Closed(const v1::AttachResponse::Closed& closed) {
    auto it = subscribers_.find(closed.subscriber_id());
    if (it == subscribers_.end()) return;
    const std::shared_ptr<EventReceiver> receiver = std::move(it->second.receiver);
    subscribers_.erase(it);
    receiver->OnEnd({closed.reason(), closed.message()});
  }

  void EndAll() {
    auto ended = std::exchange(subscribers_, {});
    for (auto& [id, subscriber] : ended) {
      subscriber.receiver->OnEnd({"UPSTREAM_UNAVAILABLE",
                                  "the notification service cannot be reached; try again with the "
                                  "cursor after a pause"});
    }
  }

  const Deps deps_;
  const asio::strand<Executor> strand_;
  std::atomic<uint64_t> next_id_{1};

  std::unordered_map<uint64_t, Subscriber> subscribers_;
  std::deque<v1::AttachRequest> requests_;  // of this link; bounded by the subscribers
  std::vector<uint64_t> credit_due_;
  std::vector<std::shared_ptr<EventReceiver>> woken_;  // of the next round
  absl::Duration next_round_at_;                       // by the clock's Monotonic
  boost::asio::steady_timer round_timer_;
  bool round_busy_ = false;  // one waits for its time or is being written
  async::Event changed_;
  std::shared_ptr<Call> call_;
  absl::Duration away_since_;
  bool linked_ = false;   // the node has taken the stream
  bool writing_ = false;  // WriteRequests runs
  bool running_ = false;  // Run runs
  bool stopped_ = false;

  async::Scope scope_;
};

NotificationHub::NotificationHub(Deps deps) : impl_(std::make_shared<Impl>(std::move(deps))) {}
NotificationHub::~NotificationHub() { Stop(); }

uint64_t NotificationHub::Subscribe(SubscriptionRequest request,
                                    std::shared_ptr<EventReceiver> receiver) {
  const uint64_t id = impl_->NextId();
  impl_->Post([id, request = std::move(request), receiver = std::move(receiver)](
                  Impl& impl) mutable { impl.Add(id, std::move(request), std::move(receiver)); });
  return id;
}

void NotificationHub::Unsubscribe(uint64_t id) {
  impl_->Post([id](Impl& impl) { impl.Remove(id); });
}

void NotificationHub::AddCredit(uint64_t id) {
  impl_->Post([id](Impl& impl) { impl.Credit(id); });
}

void NotificationHub::Refresh(uint64_t id, std::string token) {
  impl_->Post(
      [id, token = std::move(token)](Impl& impl) mutable { impl.Refresh(id, std::move(token)); });
}

void NotificationHub::Stop() { impl_->Stop(); }

}  // namespace slipstream::edge
