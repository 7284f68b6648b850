#include "services/cache/cache_service.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/rpc/handler.h"
#include "libs/status/status.h"
#include "services/cache/cache_messages.h"
#include "services/cache/stats_report.h"
#include "slipstream/cache/v1/cache.grpc.pb.h"

namespace slipstream::cache {

namespace {

constexpr size_t kMaxResultMessageBytes = 512;

// Where a single key stands in its request.
constexpr FieldPath kKeyField{.prefix = "key"};

SetItem ItemOf(const v1::SetRequest& request, const ScopedKey& key, FieldPath field) {
  SetItem item{&key, request.value(), &request.options(), std::nullopt, field};
  if (request.has_if_version()) item.if_version = request.if_version();
  return item;
}

absl::Status CheckBatch(const char* field, int count) {
  if (count >= 1 && count <= CacheService::kMaxBatchCount) return absl::OkStatus();
  return status::FieldError(field, absl::StrCat("must be 1-256, has ", count));
}

}  // namespace

class CacheService::Adapter final : public v1::CacheService::CallbackService {
 public:
  Adapter(CacheEngine& engine, const rpc::Dispatcher& dispatcher, CacheServiceOptions options)
      : engine_(engine),
        clock_(dispatcher.clock),
        options_(std::move(options)),
        rpc_(dispatcher, *rpc::MethodTable::ForService("slipstream.cache.v1.CacheService")) {}

 private:
  absl::Status HandleGet(rpc::CallContext& call, const v1::GetRequest& q, v1::GetResponse* p) {
    const auto key = CallerScopes(call.principal()).Key(q.key(), kKeyField);
    if (!key.ok()) return key.status();
    Put(engine_.Get(*key), p);
    return absl::OkStatus();
  }

  absl::Status HandleSet(rpc::CallContext& call, const v1::SetRequest& q, v1::SetResponse* p) {
    const auto key = CallerScopes(call.principal()).Key(q.key(), kKeyField);
    if (!key.ok()) return key.status();
    const auto version = engine_.Set(ItemOf(q, *key, {}));
    if (!version.ok()) return version.status();
    p->set_version(*version);
    return absl::OkStatus();
  }

  absl::Status HandleDelete(rpc::CallContext& call, const v1::DeleteRequest& q,
                            v1::DeleteResponse* p) {
    const auto key = CallerScopes(call.principal()).Key(q.key(), kKeyField);
    if (!key.ok()) return key.status();
    p->set_existed(engine_.Delete(*key));
    return absl::OkStatus();
  }

  absl::Status HandleGetMany(rpc::CallContext& call, const v1::GetManyRequest& q,
                             v1::GetManyResponse* p) {
    if (absl::Status bad = CheckBatch("keys", q.keys_size()); !bad.ok()) return bad;
    const CallerScopes scopes(call.principal());
    std::vector<ScopedKey> keys;
    keys.reserve(static_cast<size_t>(q.keys_size()));
    for (int i = 0; i < q.keys_size(); ++i) {
      auto key = scopes.Key(q.keys(i), {"keys", i});
      if (!key.ok()) return key.status();
      keys.push_back(*std::move(key));
    }
    std::vector<Found> found(keys.size());
    engine_.GetMany(keys, absl::MakeSpan(found));
    int64_t bytes = 0;
    for (const auto& one : found) {
      if (one.entry != nullptr) bytes += static_cast<int64_t>(one.entry->value().size()) + 64;
    }
    if (bytes > options_.max_response_bytes) {
      return status::Error(
          absl::StatusCode::kResourceExhausted, "RESPONSE_TOO_LARGE",
          absl::StrCat("the values have ", bytes, " bytes together, an answer holds ",
                       options_.max_response_bytes, "; ask for fewer keys at once"));
    }
    for (const auto& one : found) Put(one, p->add_results());
    return absl::OkStatus();
  }

  absl::Status HandleSetMany(rpc::CallContext& call, const v1::SetManyRequest& q,
                             v1::SetManyResponse* p) {
    if (absl::Status bad = CheckBatch("entries", q.entries_size()); !bad.ok()) return bad;
    int64_t bytes = 0;
    for (const auto& entry : q.entries()) bytes += static_cast<int64_t>(entry.value().size());
    if (bytes > kMaxBatchBytes) {
      return status::FieldError("entries", "the values must be at most 4 MiB together");
    }
    const CallerScopes scopes(call.principal());
    std::vector<absl::StatusOr<ScopedKey>> keys;
    for (int i = 0; i < q.entries_size(); ++i) {
      keys.push_back(scopes.Key(q.entries(i).key(), {"entries", i, "key"}));
    }
    std::vector<SetItem> items;
    for (int i = 0; i < q.entries_size(); ++i) {
      const auto& key = keys[static_cast<size_t>(i)];
      if (key.ok()) items.push_back(ItemOf(q.entries(i), *key, {"entries", i}));
    }
    const auto stored = engine_.SetMany(items);
    size_t next = 0;
    for (const auto& key : keys) {
      auto* result = p->add_results();
      const absl::Status status = key.ok() ? stored[next].status() : key.status();
      if (key.ok() && status.ok()) result->set_version(*stored[next]);
      if (key.ok()) ++next;
      if (status.ok()) continue;
      result->set_reason(status::Reason(status));
      result->set_message(status::BoundedText(status.message(), kMaxResultMessageBytes));
    }
    return absl::OkStatus();
  }

  Async<absl::Status> HandleGetOrLease(rpc::CallContext& call, const v1::GetOrLeaseRequest& q,
                                       v1::GetOrLeaseResponse* p) {
    if (q.wait_ms() < 0 || q.wait_ms() > kMaxWaitMs) {
      co_return status::FieldError("wait_ms", "must be 0-30000");
    }
    if (q.lease_ms() != 0 && (q.lease_ms() < kMinLeaseMs || q.lease_ms() > kMaxLeaseMs)) {
      co_return status::FieldError("lease_ms", "must be 100-300000, or 0 for 10000");
    }
    const auto key = CallerScopes(call.principal()).Key(q.key(), kKeyField);
    if (!key.ok()) co_return key.status();
    const absl::Duration lease =
        q.lease_ms() == 0 ? CacheEngine::kDefaultLease : absl::Milliseconds(q.lease_ms());
    const absl::Duration give_up = clock_.Monotonic() + absl::Milliseconds(q.wait_ms());
    for (;;) {
      LeaseAnswer answer = engine_.GetOrLease(*key, lease, q.accept_stale());
      if (answer.result != LeaseAnswer::kHeld) {
        Put(answer, lease, p);
        co_return absl::OkStatus();
      }
      if (call.cancelled()) co_return absl::CancelledError("the caller is gone");
      const absl::Duration left = std::min(give_up, answer.held.until) - clock_.Monotonic();
      if (clock_.Monotonic() >= give_up) {
        engine_.GaveUpWaiting(*key);
        Put(answer, lease, p);
        co_return absl::OkStatus();
      }
      call.OnCancel([ended = answer.held.ended] { ended->Notify(); });
      co_await answer.held.ended->Wait(answer.held.seen_version,
                                       async::After(std::max(left, absl::Milliseconds(1))));
    }
  }

  absl::Status HandleFill(rpc::CallContext& call, const v1::FillRequest& q, v1::FillResponse* p) {
    const auto key = CallerScopes(call.principal()).Key(q.key(), kKeyField);
    if (!key.ok()) return key.status();
    if (q.lease_token().empty() || q.lease_token().size() > 64) {
      return status::FieldError("lease_token", "must be the token that came with the lease");
    }
    if (q.abandon()) {
      engine_.Abandon(*key, q.lease_token());
      return absl::OkStatus();
    }
    const auto version =
        engine_.Fill({&*key, q.value(), &q.options(), std::nullopt, {}}, q.lease_token());
    if (!version.ok()) return version.status();
    p->set_stored(version->has_value());
    p->set_version(version->value_or(0));
    return absl::OkStatus();
  }

  Async<absl::Status> HandleInvalidate(rpc::CallContext& call, const v1::InvalidateRequest& q,
                                       v1::InvalidateResponse* p) {
    const CallerScopes scopes(call.principal());
    Offset position = 0;
    switch (q.target_case()) {
      case v1::InvalidateRequest::kKey: {
        const auto key = scopes.Key(q.key(), kKeyField);
        if (!key.ok()) co_return key.status();
        engine_.Delete(*key);
        position = engine_.CurrentOffset();
        break;
      }
      case v1::InvalidateRequest::kTag: {
        const auto tags = scopes.Tags(q.tag().namespace_(), q.tag().tag());
        if (!tags.ok()) co_return tags.status();
        position = engine_.InvalidateTags(*tags);
        break;
      }
      case v1::InvalidateRequest::kNamespace: {
        const auto tags = scopes.Namespace(q.namespace_());
        if (!tags.ok()) co_return tags.status();
        position = engine_.InvalidateTags(*tags);
        break;
      }
      case v1::InvalidateRequest::kGlob: {
        auto filter = scopes.Matching(q.glob());
        if (!filter.ok()) co_return filter.status();
        InvalidationWalk walk = engine_.InvalidateMatching(*std::move(filter));
        if (absl::Status ended = co_await Run(call, walk); !ended.ok()) co_return ended;
        position = walk.position();
        break;
      }
      case v1::InvalidateRequest::TARGET_NOT_SET:
        co_return status::FieldError("target", "set one of key, tag, namespace and glob");
    }
    p->set_position(Position(position));
    p->set_confirmed_nodes_count(1);
    co_return absl::OkStatus();
  }

  Async<absl::Status> HandleClear(rpc::CallContext& call, const v1::ClearRequest& q,
                                  v1::ClearResponse* p) {
    auto filter = CallerScopes::MatchingInAllScopes(q.pattern());
    if (!filter.ok()) co_return filter.status();
    InvalidationWalk walk = engine_.InvalidateMatching(*std::move(filter));
    const absl::Status ended = co_await Run(call, walk);
    call.set_audit(absl::StrCat("cache entries matching ", q.pattern()), "",
                   absl::StrCat(walk.erased_count(), " cleared"));
    if (!ended.ok()) co_return ended;
    p->set_cleared_count(walk.erased_count());
    p->set_position(Position(walk.position()));
    co_return absl::OkStatus();
  }

  // To the walk's end, giving way to others after each step.
  static Async<absl::Status> Run(rpc::CallContext& call, InvalidationWalk& walk) {
    const Executor executor = co_await boost::asio::this_coro::executor;
    while (!walk.Step()) {
      if (call.cancelled()) {
        co_return absl::CancelledError("the caller is gone; a part of what matched is erased");
      }
      co_await boost::asio::post(executor, boost::asio::use_awaitable);
    }
    co_return absl::OkStatus();
  }

  absl::Status HandleGetStats(rpc::CallContext&, const v1::GetStatsRequest& q, v1::CacheStats* p) {
    Report(engine_.GetStats(), q.namespace_(), p);
    return absl::OkStatus();
  }

  std::string Position(Offset offset) const { return absl::StrCat(options_.epoch, ":", offset); }

  // gRPC's side: each override hands its call to the handler above.
  template <class Request, class Response, class Handler>
  grpc::ServerUnaryReactor* Unary(std::string_view method, grpc::CallbackServerContext* c,
                                  const Request* q, Response* p, Handler handler) {
    return rpc_.Unary(
        method, c, q, p,
        [this, handler](rpc::CallContext& call, const Request& request, Response* response) {
          return (this->*handler)(call, request, response);
        });
  }

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* c, const v1::GetRequest* q,
                                v1::GetResponse* p) override {
    return Unary("Get", c, q, p, &Adapter::HandleGet);
  }
  grpc::ServerUnaryReactor* Set(grpc::CallbackServerContext* c, const v1::SetRequest* q,
                                v1::SetResponse* p) override {
    return Unary("Set", c, q, p, &Adapter::HandleSet);
  }
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* c, const v1::DeleteRequest* q,
                                   v1::DeleteResponse* p) override {
    return Unary("Delete", c, q, p, &Adapter::HandleDelete);
  }
  grpc::ServerUnaryReactor* GetMany(grpc::CallbackServerContext* c, const v1::GetManyRequest* q,
                                    v1::GetManyResponse* p) override {
    return Unary("GetMany", c, q, p, &Adapter::HandleGetMany);
  }
  grpc::ServerUnaryReactor* SetMany(grpc::CallbackServerContext* c, const v1::SetManyRequest* q,
                                    v1::SetManyResponse* p) override {
    return Unary("SetMany", c, q, p, &Adapter::HandleSetMany);
  }
  grpc::ServerUnaryReactor* GetOrLease(grpc::CallbackServerContext* c,
                                       const v1::GetOrLeaseRequest* q,
                                       v1::GetOrLeaseResponse* p) override {
    return Unary("GetOrLease", c, q, p, &Adapter::HandleGetOrLease);
  }
  grpc::ServerUnaryReactor* Fill(grpc::CallbackServerContext* c, const v1::FillRequest* q,
                                 v1::FillResponse* p) override {
    return Unary("Fill", c, q, p, &Adapter::HandleFill);
  }
  grpc::ServerUnaryReactor* Invalidate(grpc::CallbackServerContext* c,
                                       const v1::InvalidateRequest* q,
                                       v1::InvalidateResponse* p) override {
    return Unary("Invalidate", c, q, p, &Adapter::HandleInvalidate);
  }
  grpc::ServerUnaryReactor* Clear(grpc::CallbackServerContext* c, const v1::ClearRequest* q,
                                  v1::ClearResponse* p) override {
    return Unary("Clear", c, q, p, &Adapter::HandleClear);
  }
  grpc::ServerUnaryReactor* GetStats(grpc::CallbackServerContext* c, const v1::GetStatsRequest* q,
                                     v1::CacheStats* p) override {
    return Unary("GetStats", c, q, p, &Adapter::HandleGetStats);
  }
  grpc::ServerWriteReactor<v1::Invalidation>* Watch(grpc::CallbackServerContext* c,
                                                    const v1::WatchRequest* q) override {
    return rpc_.ServerStream<v1::Invalidation>(
        "Watch", c, q,
        [](rpc::CallContext&, const v1::WatchRequest&, rpc::Sender<v1::Invalidation>&)
            -> Async<absl::Status> { co_return status::NotBuiltYet("CacheService.Watch"); });
  }

  CacheEngine& engine_;
  const clock::Clock& clock_;
  const CacheServiceOptions options_;
  rpc::Endpoint rpc_;
};

CacheService::CacheService(CacheEngine& engine, const rpc::Dispatcher& dispatcher,
                           CacheServiceOptions options)
    : adapter_(std::make_unique<Adapter>(engine, dispatcher, std::move(options))) {}

CacheService::~CacheService() = default;

grpc::Service* CacheService::grpc() { return adapter_.get(); }

}  // namespace slipstream::cache
