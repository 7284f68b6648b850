#include "services/cache/cache_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/rpc/handler.h"
#include "libs/status/status.h"
#include "services/cache/cache_messages.h"
#include "services/cache/cache_reads.h"
#include "services/cache/stats_report.h"
#include "services/cache/watch_scope.h"
#include "slipstream/cache/v1/cache.grpc.pb.h"

namespace slipstream::cache {

namespace {

constexpr size_t kMaxResultMessageBytes = 512;

constexpr int kMaxWatchedNamespacesCount = 32;
// Invalidations that a watch takes from the log at once.
constexpr size_t kWatchPortionCount = 256;
constexpr absl::Duration kWatchRetryDelay = absl::Milliseconds(500);

// Where a single key stands in its request.
constexpr FieldPath kKeyField{.prefix = "key"};

SetItem ItemOf(const v1::SetRequest& request, const ScopedKey& key, FieldPath field) {
  SetItem item{&key, request.value(), &request.options(), std::nullopt, field};
  if (request.has_if_version()) item.if_version = request.if_version();
  return item;
}

// Everything but a key.
absl::StatusOr<Invalidation> TargetOf(const CallerScopes& scopes, const v1::InvalidateRequest& q) {
  switch (q.target_case()) {
    case v1::InvalidateRequest::kTag: {
      const auto tags = scopes.Tags(q.tag().namespace_(), q.tag().tag());
      if (!tags.ok()) return tags.status();
      return Invalidation::OfTags(Invalidation::kTag, *tags);
    }
    case v1::InvalidateRequest::kNamespace: {
      const auto tags = scopes.Namespace(q.namespace_());
      if (!tags.ok()) return tags.status();
      return Invalidation::OfTags(Invalidation::kNamespace, *tags);
    }
    case v1::InvalidateRequest::kGlob: {
      auto filter = scopes.Matching(q.glob());
      if (!filter.ok()) return filter.status();
      return Invalidation::OfGlob(*std::move(filter));
    }
    default:
      return status::FieldError("target", "set one of key, tag, namespace and glob");
  }
}

absl::Status CheckBatch(const char* field, int count) {
  if (count >= 1 && count <= CacheService::kMaxBatchCount) return absl::OkStatus();
  return status::FieldError(field, absl::StrCat("must be 1-256, has ", count));
}

}  // namespace

// Get and GetMany are taken as bytes (cache_reads.h), the others as messages.
using Methods = v1::CacheService::WithRawCallbackMethod_Get<
    v1::CacheService::WithRawCallbackMethod_GetMany<v1::CacheService::CallbackService>>;

class CacheService::Adapter final : public Methods {
 public:
  Adapter(CacheEngine& engine, const rpc::Dispatcher& dispatcher, CacheServiceOptions options)
      : engine_(engine),
        clock_(dispatcher.clock),
        options_(std::move(options)),
        reads_(engine, options_.max_response_bytes),
        rpc_(dispatcher, *rpc::MethodTable::ForService("slipstream.cache.v1.CacheService")) {}

 private:
  CallerScopes Writer(const rpc::CallContext& call) const {
    WriteRights rights;
    if (options_.permissions != nullptr) {
      rights.shared = options_.permissions->Allows(call.principal(), kPermissionWriteShared);
      rights.tenant = options_.permissions->Allows(call.principal(), kPermissionWriteTenant);
    }
    return CallerScopes(call.principal(), rights);
  }

  Async<absl::Status> HandleSet(rpc::CallContext& call, const v1::SetRequest& q,
                                v1::SetResponse* p) {
    const auto key = Writer(call).KeyToWrite(q.key(), kKeyField);
    if (!key.ok()) co_return key.status();
    const SetItem item = ItemOf(q, *key, {});
    const auto version = co_await engine_.Set(item);
    if (!version.ok()) co_return version.status();
    p->set_version(*version);
    co_return absl::OkStatus();
  }

  Async<absl::Status> HandleDelete(rpc::CallContext& call, const v1::DeleteRequest& q,
                                   v1::DeleteResponse* p) {
    const auto key = Writer(call).KeyToWrite(q.key(), kKeyField);
    if (!key.ok()) co_return key.status();
    const auto erased = co_await engine_.Delete(*key);
    if (!erased.ok()) co_return erased.status();
    p->set_existed(erased->existed[0]);
    co_return absl::OkStatus();
  }

  Async<absl::Status> HandleSetMany(rpc::CallContext& call, const v1::SetManyRequest& q,
                                    v1::SetManyResponse* p) {
    if (absl::Status bad = CheckBatch("entries", q.entries_size()); !bad.ok()) co_return bad;
    int64_t bytes = 0;
    for (const auto& entry : q.entries()) bytes += static_cast<int64_t>(entry.value().size());
    if (bytes > kMaxBatchBytes) {
      co_return status::FieldError("entries", "the values must be at most 4 MiB together");
    }
    const CallerScopes scopes = Writer(call);
    std::vector<absl::StatusOr<ScopedKey>> keys;
    for (int i = 0; i < q.entries_size(); ++i) {
      keys.push_back(scopes.KeyToWrite(q.entries(i).key(), {"entries", i, "key"}));
    }
    std::vector<SetItem> items;
    for (int i = 0; i < q.entries_size(); ++i) {
      const auto& key = keys[static_cast<size_t>(i)];
      if (key.ok()) items.push_back(ItemOf(q.entries(i), *key, {"entries", i}));
    }
    const auto stored = co_await engine_.SetMany(items);
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
    co_return absl::OkStatus();
  }

  Async<absl::Status> HandleGetOrLease(rpc::CallContext& call, const v1::GetOrLeaseRequest& q,
                                       v1::GetOrLeaseResponse* p) {
    if (q.wait_ms() < 0 || q.wait_ms() > kMaxWaitMs) {
      co_return status::FieldError("wait_ms", "must be 0-30000");
    }
    if (q.lease_ms() != 0 && (q.lease_ms() < kMinLeaseMs || q.lease_ms() > kMaxLeaseMs)) {
      co_return status::FieldError("lease_ms", "must be 100-300000, or 0 for 10000");
    }
    const auto key = Writer(call).KeyToWrite(q.key(), kKeyField);
    if (!key.ok()) co_return key.status();
    if (absl::Status found = engine_.RefuseSecretKey(*key, kKeyField); !found.ok()) co_return found;
    const absl::Duration lease =
        q.lease_ms() == 0 ? CacheEngine::kDefaultLease : absl::Milliseconds(q.lease_ms());
    const absl::Duration give_up = clock_.Monotonic() + absl::Milliseconds(q.wait_ms());
    for (;;) {
      LeaseAnswer answer = co_await engine_.GetOrLease(*key, lease, q.accept_stale());
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

  Async<absl::Status> HandleFill(rpc::CallContext& call, const v1::FillRequest& q,
                                 v1::FillResponse* p) {
    const auto key = Writer(call).KeyToWrite(q.key(), kKeyField);
    if (!key.ok()) co_return key.status();
    if (q.lease_token().empty() || q.lease_token().size() > 64) {
      co_return status::FieldError("lease_token", "must be the token that came with the lease");
    }
    if (q.abandon()) {
      co_await engine_.Abandon(*key, q.lease_token());
      co_return absl::OkStatus();
    }
    const SetItem item{&*key, q.value(), &q.options(), std::nullopt, {}};
    const auto version = co_await engine_.Fill(item, q.lease_token());
    if (!version.ok()) co_return version.status();
    p->set_stored(version->has_value());
    p->set_version(version->value_or(0));
    co_return absl::OkStatus();
  }

  Async<absl::Status> HandleInvalidate(rpc::CallContext& call, const v1::InvalidateRequest& q,
                                       v1::InvalidateResponse* p) {
    const CallerScopes scopes = Writer(call);
    absl::StatusOr<Invalidated> done;
    if (q.target_case() == v1::InvalidateRequest::kKey) {
      const auto key = scopes.KeyToWrite(q.key(), kKeyField);
      if (!key.ok()) co_return key.status();
      const auto erased = co_await engine_.Delete(*key);
      if (!erased.ok()) co_return erased.status();
      done = erased->done;
    } else {
      auto what = TargetOf(scopes, q);
      if (!what.ok()) co_return what.status();
      done = co_await engine_.Invalidate(*std::move(what));
    }
    if (!done.ok()) co_return done.status();
    p->set_position(engine_.watch_log().Position(done->position));
    p->set_confirmed_nodes_count(done->confirmed_nodes_count);
    p->set_lapsed_nodes_count(done->lapsed_nodes_count);
    co_return absl::OkStatus();
  }

  Async<absl::Status> HandleClear(rpc::CallContext& call, const v1::ClearRequest& q,
                                  v1::ClearResponse* p) {
    auto filter = CallerScopes::MatchingInAllScopes(q.pattern());
    if (!filter.ok()) co_return filter.status();
    const auto done = co_await engine_.Invalidate(Invalidation::OfGlob(*std::move(filter)));
    const int64_t count = done.ok() ? done->erased_count : 0;
    call.set_audit(absl::StrCat("cache entries matching ", q.pattern()), "",
                   absl::StrCat(count, " cleared"));
    if (!done.ok()) co_return done.status();
    p->set_cleared_count(count);
    p->set_position(engine_.watch_log().Position(done->position));
    co_return absl::OkStatus();
  }

  Async<absl::Status> HandleWatch(rpc::CallContext& call, const v1::WatchRequest& q,
                                  rpc::Sender<v1::Invalidation>& out) {
    if (q.namespaces_size() > kMaxWatchedNamespacesCount) {
      co_return status::FieldError("namespaces", "at most 32");
    }
    WatchLog& log = engine_.watch_log();
    call.OnCancel([&log] { log.changed().Notify(); });
    const WatchScope scope(CallerScopes(call.principal()).AllScopes(),
                           {q.namespaces().begin(), q.namespaces().end()});
    std::string position = q.position().empty() ? log.Head() : q.position();
    while (!call.cancelled()) {
      if (log.closed()) {
        co_return status::WithRetryAfter(
            status::Error(absl::StatusCode::kUnavailable, "DRAINING",
                          "this server is ending; watch again with the last position"),
            kWatchRetryDelay);
      }
      const uint64_t seen = log.changed().version();
      const WatchLog::Portion portion = log.After(position, kWatchPortionCount);
      position = portion.position;
      if (portion.reset) {
        v1::Invalidation reset;
        reset.set_position(position);
        reset.set_reset(true);
        if (!co_await out.Write(std::move(reset))) break;
        continue;
      }
      for (const auto& item : portion.items) {
        v1::Invalidation message;
        message.set_position(absl::StrCat(portion.epoch, ":", item.offset));
        if (!scope.Put(*item.what, &message)) continue;
        if (!co_await out.Write(std::move(message))) co_return absl::OkStatus();
      }
      if (portion.items.empty()) co_await log.changed().Wait(seen);
    }
    co_return absl::CancelledError("the caller is gone");
  }

  absl::Status HandleGetStats(rpc::CallContext&, const v1::GetStatsRequest& q, v1::CacheStats* p) {
    Report(engine_.GetStats(), q.namespace_(), p);
    return absl::OkStatus();
  }

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

  template <class Now, class Later>
  grpc::ServerUnaryReactor* Read(const rpc::Method& method, grpc::CallbackServerContext* c,
                                 const grpc::ByteBuffer* q, grpc::ByteBuffer* p, Now now,
                                 Later later) {
    return rpc_.UnaryNowOrLater(
        method, c, q, p,
        [this, now](rpc::CallContext& call, const grpc::ByteBuffer& request,
                    grpc::ByteBuffer* answer,
                    absl::Status* status) { return (reads_.*now)(call, request, answer, status); },
        [this, later](rpc::CallContext& call, const grpc::ByteBuffer& request,
                      grpc::ByteBuffer* answer) { return (reads_.*later)(call, request, answer); });
  }

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* c, const grpc::ByteBuffer* q,
                                grpc::ByteBuffer* p) override {
    return Read(get_, c, q, p, &CacheReads::GetNow, &CacheReads::Get);
  }
  grpc::ServerUnaryReactor* Set(grpc::CallbackServerContext* c, const v1::SetRequest* q,
                                v1::SetResponse* p) override {
    return Unary("Set", c, q, p, &Adapter::HandleSet);
  }
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* c, const v1::DeleteRequest* q,
                                   v1::DeleteResponse* p) override {
    return Unary("Delete", c, q, p, &Adapter::HandleDelete);
  }
  grpc::ServerUnaryReactor* GetMany(grpc::CallbackServerContext* c, const grpc::ByteBuffer* q,
                                    grpc::ByteBuffer* p) override {
    return Read(get_many_, c, q, p, &CacheReads::GetManyNow, &CacheReads::GetMany);
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
        [this](rpc::CallContext& call, const v1::WatchRequest& request,
               rpc::Sender<v1::Invalidation>& out) { return HandleWatch(call, request, out); });
  }

  CacheEngine& engine_;
  const clock::Clock& clock_;
  const CacheServiceOptions options_;
  CacheReads reads_;
  rpc::Endpoint rpc_;
  const rpc::Method& get_ = rpc_.Find("Get");
  const rpc::Method& get_many_ = rpc_.Find("GetMany");
};

CacheService::CacheService(CacheEngine& engine, const rpc::Dispatcher& dispatcher,
                           CacheServiceOptions options)
    : adapter_(std::make_unique<Adapter>(engine, dispatcher, std::move(options))) {}

CacheService::~CacheService() = default;

grpc::Service* CacheService::grpc() { return adapter_.get(); }

}  // namespace slipstream::cache
