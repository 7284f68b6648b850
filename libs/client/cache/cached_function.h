// Get-or-compute through the cache: a function whose answers are kept, computed once however many
// ask for one at the same time.
//
//   CachedFunction drafts({client, scope, clock, random}, options);
//   auto answer = co_await drafts.Call(peers.CallFor(user, tenant), key,
//       [=]() -> Async<Computed> { co_return co_await Draft(prompt); });
//
// - Single-flight: in this process, coroutines that ask for one key on behalf of one caller share
//   one computation; across processes the cache's lease lets one compute while the others wait for
//   its value, up to max_wait, and then compute for themselves.
// - Stale-while-revalidate (accept_stale): past its soft lifetime a value is given to everybody but
//   the one who renews it; with renew_in_background to that one too.
// - Stale-on-error: when a computation fails, the stale value is given for max_age_on_error.
// - Negative entries (negative_ttl): "there is none" is kept as well.
// - What the cache promises about invalidations holds: a computation is shared with those who asked
//   before it was stored, and only when it was; one that an invalidation has overtaken is its own
//   caller's alone, and the others compute anew.
// - A lease is given up when the computation fails or is cancelled, so that the next one need not
//   wait for its end.
// - The cache only ever speeds up: when it is away or answers an error, the value is computed. At
// most
//   cache_timeout is spent on it, and after a failure nothing for away_pause.
//
// Thread safety: Call from any coroutine. The object outlives all its calls and what it spawned in
// the scope. Errors: those of the computation.
#ifndef LIBS_CLIENT_CACHE_CACHED_FUNCTION_H_
#define LIBS_CLIENT_CACHE_CACHED_FUNCTION_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "libs/async/scope.h"
#include "libs/client/cache/cache_client.h"
#include "libs/client/cache/single_flight.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"

namespace slipstream::cache_client {

// A value; nullopt: there is none, which is an answer and not an error.
using Computed = absl::StatusOr<std::optional<std::string>>;

struct CachedFunctionOptions {
  // Lifetimes and tags of what is stored; `negative` is set by the answer.
  cache::v1::EntryOptions entry;
  // Lifetimes stated in `entry` are shortened by up to this share at random, so that what was
  // stored together does not end together. (The cache does the same with its own default
  // lifetimes.)
  int ttl_jitter_percent = 10;
  bool accept_stale = true;
  // The computation may then run after Call has answered: it must own what it uses.
  bool renew_in_background = false;
  // Age up to which a stale value is given instead of a computation's error; 0: never.
  absl::Duration max_age_on_error = absl::Hours(1);
  // How long "there is none" is kept; 0: not at all.
  absl::Duration negative_ttl = absl::Seconds(30);
  // For another's computation; then this caller computes and does not store. At most 5 minutes.
  absl::Duration max_wait = absl::Seconds(30);
  // How long a computation is expected to take at most: later, another one may begin. 100 ms - 5
  // min.
  absl::Duration lease = absl::Seconds(10);
  // For one exchange with the cache, beyond the wait for another's computation.
  absl::Duration cache_timeout = absl::Milliseconds(250);
  // After the cache could not be reached, it is not asked for so long.
  absl::Duration away_pause = absl::Seconds(1);
};

struct CachedAnswer {
  std::optional<std::string> value;  // nullopt: there is none
  enum Source {
    kCache,         // fresh
    kStale,         // past its soft lifetime; somebody renews it
    kStaleOnError,  // past it, and `error` says why it could not be renewed
    kComputed,
    kShared,  // of another coroutine's flight
  } source = kComputed;
  absl::Status error;
};

class CachedFunction {
 public:
  using Compute = std::function<Async<Computed>()>;
  using Answer = CachedAnswer;

  // All outlive it. `scope` owns renewals in the background and the giving up of leases.
  struct Deps {
    CacheClient& client;
    async::Scope& scope;
    const clock::Clock& clock;
    random::Random& random;
  };
  CachedFunction(const Deps& deps, CachedFunctionOptions options)
      : deps_(deps), options_(std::move(options)) {}

  // `call` says on whose behalf, and so in whose scope the key is; its timeout is not used.
  // `entry` of this call, such as tags that depend on the key, instead of the options' own.
  Async<absl::StatusOr<Answer>> Call(rpc::CallOptions call, cache::v1::CacheKey key,
                                     Compute compute);
  Async<absl::StatusOr<Answer>> Call(rpc::CallOptions call, cache::v1::CacheKey key,
                                     Compute compute, cache::v1::EntryOptions entry);

 private:
  struct Request;
  class HeldLease;
  using RequestPtr = std::shared_ptr<const Request>;

  // `seat` is null for who leads no flight.
  Async<absl::StatusOr<Answer>> Lead(RequestPtr request, SingleFlight::Seat* seat);
  Async<absl::StatusOr<Answer>> ComputeAlone(RequestPtr request);
  // Until there is a value, a lease, or no time left; nullopt: do without the cache.
  Async<std::optional<LeaseAnswer>> Ask(RequestPtr request);
  Async<absl::StatusOr<Answer>> ComputeAndFill(std::shared_ptr<HeldLease> lease,
                                               SingleFlight::Seat* seat);
  // False when an invalidation, or the lease's end, came first.
  Async<bool> Store(HeldLease& lease, const std::optional<std::string>& value);
  void Abandon(RequestPtr request, std::string token);

  cache::v1::EntryOptions Jittered(cache::v1::EntryOptions entry);
  bool IsAway() const;
  void NoteFailure(const absl::Status& status);

  const Deps deps_;
  const CachedFunctionOptions options_;
  SingleFlight flights_;
  std::atomic<int64_t> away_until_ns_{0};  // monotonic
};

}  // namespace slipstream::cache_client

#endif  // LIBS_CLIENT_CACHE_CACHED_FUNCTION_H_
