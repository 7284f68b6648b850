#include "libs/client/cache/cached_function.h"

#include <algorithm>
#include <utility>

#include "libs/async/deadline.h"

namespace slipstream::cache_client {

namespace {

// One exchange waits so long at most for another's value, so that a cache that dies meanwhile is
// noticed.
constexpr absl::Duration kWaitSlice = absl::Seconds(2);

// Two callers share an answer only when the cache would give both the same entry: the identity the
// call carries is part of the name.
std::string FlightName(const rpc::CallOptions& call, const cache::v1::CacheKey& key) {
  std::string name;
  const auto add = [&name](const std::string& part) {
    name.append(std::to_string(part.size())).append(":").append(part);
  };
  for (const std::string* part : {&call.bearer_token, &call.act_as_user, &call.act_as_tenant}) {
    add(*part);
  }
  for (const auto& [header, value] : call.metadata) {
    add(header);
    add(value);
  }
  add(key.SerializeAsString());
  return name;
}

}  // namespace

// What one Call wants; shared with what outlives it.
struct CachedFunction::Request {
  rpc::CallOptions call;
  cache::v1::CacheKey key;
  Compute compute;
  cache::v1::EntryOptions entry;

  // For an exchange that goes on when the caller is gone.
  rpc::CallOptions Detached(absl::Duration timeout) const {
    rpc::CallOptions out = call;
    out.parent = nullptr;
    out.timeout = timeout;
    return out;
  }
};

// Gives the lease up on every way out but a fill, also when its coroutine is destroyed.
class CachedFunction::HeldLease {
 public:
  HeldLease(CachedFunction& owner, RequestPtr request, LeaseAnswer answer)
      : owner_(owner), request_(std::move(request)), answer_(std::move(answer)) {}
  HeldLease(const HeldLease&) = delete;
  HeldLease& operator=(const HeldLease&) = delete;
  ~HeldLease() {
    if (!settled_) owner_.Abandon(request_, answer_.lease_token);
  }

  const RequestPtr& request() const { return request_; }
  const std::string& token() const { return answer_.lease_token; }
  const std::optional<CachedValue>& stale() const { return answer_.value; }
  void Settle() { settled_ = true; }

 private:
  CachedFunction& owner_;
  const RequestPtr request_;
  const LeaseAnswer answer_;
  bool settled_ = false;
};

namespace {

CachedAnswer AnswerOf(CachedValue value, CachedAnswer::Source source) {
  CachedAnswer out;
  if (!value.negative) out.value = std::move(value.value);
  out.source = source;
  return out;
}

}  // namespace

Async<absl::StatusOr<CachedAnswer>> CachedFunction::Call(rpc::CallOptions call,
                                                         cache::v1::CacheKey key, Compute compute) {
  return Call(std::move(call), std::move(key), std::move(compute), options_.entry);
}

Async<absl::StatusOr<CachedAnswer>> CachedFunction::Call(rpc::CallOptions call,
                                                         cache::v1::CacheKey key, Compute compute,
                                                         cache::v1::EntryOptions entry) {
  const std::string name = FlightName(call, key);
  const auto request = std::make_shared<const Request>(
      Request{std::move(call), std::move(key), std::move(compute), std::move(entry)});
  const auto deadline = async::After(options_.max_wait);
  for (;;) {
    SingleFlight::Seat seat(flights_, name);
    if (seat.leads()) {
      auto answer = co_await Lead(request, &seat);
      // The end of this caller's call is no answer for those who wait.
      if (absl::IsCancelled(answer.status())) {
        seat.GiveUp();
      } else if (answer.ok() && answer->source != CachedAnswer::kComputed) {
        // What was read may be older than the question of who joined since: they read themselves.
        seat.Disperse();
      } else {
        seat.Land(answer);
      }
      co_return answer;
    }
    std::optional<SingleFlight::Result> shared;
    switch (co_await seat.Wait(deadline, &shared)) {
      case SingleFlight::Seat::kLanded:
        if (shared->ok()) (*shared)->source = CachedAnswer::kShared;
        co_return *std::move(shared);
      case SingleFlight::Seat::kTimedOut:
        co_return co_await ComputeAlone(request);
      case SingleFlight::Seat::kDispersed:
        co_return co_await Lead(request, nullptr);
      case SingleFlight::Seat::kGivenUp:
        break;
    }
  }
}

Async<absl::StatusOr<CachedAnswer>> CachedFunction::ComputeAlone(RequestPtr request) {
  auto computed = co_await request->compute();
  if (!computed.ok()) co_return computed.status();
  co_return CachedAnswer{*std::move(computed), CachedAnswer::kComputed, absl::OkStatus()};
}

Async<absl::StatusOr<CachedAnswer>> CachedFunction::Lead(RequestPtr request,
                                                         SingleFlight::Seat* seat) {
  std::optional<LeaseAnswer> asked = co_await Ask(request);
  if (!asked) co_return co_await ComputeAlone(request);
  switch (asked->result) {
    case LeaseAnswer::kHit:
      co_return AnswerOf(*std::move(asked->value), CachedAnswer::kCache);
    case LeaseAnswer::kStale:
      co_return AnswerOf(*std::move(asked->value), CachedAnswer::kStale);
    case LeaseAnswer::kBusy:
      co_return co_await ComputeAlone(request);
    case LeaseAnswer::kLeased:
      break;
  }
  const auto lease = std::make_shared<HeldLease>(*this, request, *std::move(asked));
  if (options_.renew_in_background && options_.accept_stale && lease->stale()) {
    const bool spawned = deps_.scope.Spawn(
        [this, lease]() -> Async<void> { (void)co_await ComputeAndFill(lease, nullptr); });
    if (spawned) co_return AnswerOf(*lease->stale(), CachedAnswer::kStale);
  }
  co_return co_await ComputeAndFill(lease, seat);
}

Async<std::optional<LeaseAnswer>> CachedFunction::Ask(RequestPtr request) {
  const absl::Duration give_up = deps_.clock.Monotonic() + options_.max_wait;
  // The first exchange does not wait, so that a cache that hangs costs cache_timeout alone.
  absl::Duration wait = absl::ZeroDuration();
  for (;;) {
    if (IsAway()) co_return std::nullopt;
    rpc::CallOptions call = request->call;
    call.timeout = wait + options_.cache_timeout;
    auto answer = co_await deps_.client.GetOrLease(std::move(call), request->key,
                                                   {wait, options_.lease, options_.accept_stale});
    if (!answer.ok()) {
      NoteFailure(answer.status());
      co_return std::nullopt;
    }
    if (answer->result != LeaseAnswer::kBusy) co_return *std::move(answer);
    const absl::Duration left = give_up - deps_.clock.Monotonic();
    if (left < absl::Milliseconds(1)) co_return *std::move(answer);
    wait = std::min(left, kWaitSlice);
  }
}

Async<absl::StatusOr<CachedAnswer>> CachedFunction::ComputeAndFill(std::shared_ptr<HeldLease> lease,
                                                                   SingleFlight::Seat* seat) {
  auto computed = co_await lease->request()->compute();
  if (computed.ok()) {
    // Before the fill: whoever asks after it may also ask after an invalidation of it.
    if (seat != nullptr) seat->Close();
    const bool current = co_await Store(*lease, *computed);
    if (!current && seat != nullptr) seat->Disperse();
    co_return CachedAnswer{*std::move(computed), CachedAnswer::kComputed, absl::OkStatus()};
  }
  const auto& stale = lease->stale();
  if (stale && stale->age <= options_.max_age_on_error && !absl::IsCancelled(computed.status())) {
    CachedAnswer out = AnswerOf(*stale, CachedAnswer::kStaleOnError);
    out.error = computed.status();
    co_return out;
  }
  co_return computed.status();
}

Async<bool> CachedFunction::Store(HeldLease& lease, const std::optional<std::string>& value) {
  if (!value && options_.negative_ttl <= absl::ZeroDuration()) co_return true;
  const Request& request = *lease.request();
  cache::v1::EntryOptions entry = request.entry;
  if (!value) {
    entry.set_negative(true);
    entry.set_ttl_ms(absl::ToInt64Milliseconds(options_.negative_ttl));
    entry.clear_soft_ttl_ms();
  }
  // Detached: a value that was computed is worth keeping when its caller has gone.
  auto stored =
      co_await deps_.client.Fill(request.Detached(options_.cache_timeout), request.key,
                                 lease.token(), value.value_or(""), Jittered(std::move(entry)));
  // An error costs the next caller a computation, nothing else; the lease is given up for it.
  if (stored.ok())
    lease.Settle();
  else
    NoteFailure(stored.status());
  co_return stored.value_or(true);
}

void CachedFunction::Abandon(RequestPtr request, std::string token) {
  deps_.scope.Spawn([this, request, token]() -> Async<void> {
    (void)co_await deps_.client.Abandon(request->Detached(options_.cache_timeout), request->key,
                                        token);
  });
}

cache::v1::EntryOptions CachedFunction::Jittered(cache::v1::EntryOptions entry) {
  if (!entry.has_ttl_ms()) return entry;
  const int64_t most = entry.ttl_ms() * options_.ttl_jitter_percent / 100;
  if (most <= 0) return entry;
  entry.set_ttl_ms(entry.ttl_ms() -
                   static_cast<int64_t>(deps_.random.Uniform(static_cast<uint64_t>(most) + 1)));
  if (entry.has_soft_ttl_ms()) entry.set_soft_ttl_ms(std::min(entry.soft_ttl_ms(), entry.ttl_ms()));
  return entry;
}

bool CachedFunction::IsAway() const {
  return absl::ToInt64Nanoseconds(deps_.clock.Monotonic()) <
         away_until_ns_.load(std::memory_order_relaxed);
}

void CachedFunction::NoteFailure(const absl::Status& status) {
  if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return;
  away_until_ns_.store(absl::ToInt64Nanoseconds(deps_.clock.Monotonic() + options_.away_pause),
                       std::memory_order_relaxed);
}

}  // namespace slipstream::cache_client
