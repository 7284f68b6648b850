#include "libs/client/cache/cached_function.h"

#include <chrono>
#include <optional>
#include <utility>

#include "libs/async/deadline.h"

namespace slipstream::cache_client {

namespace {

// Two callers share an answer only when the cache would give both the same entry: the identity the
// call carries is part of the name.
std::string FlightName(const rpc::CallOptions& call, const cache::v1::CacheKey& key) {
  std::string name;
  const std::string serialized = key.SerializeAsString();
  for (const std::string* part :
       {&call.bearer_token, &call.act_as_user, &call.act_as_tenant, &serialized}) {
    name.append(std::to_string(part->size())).append(":").append(*part);
  }
  return name;
}

}  // namespace

struct CachedFunction::Flight {
  async::Event landed;
  sync::Mutex mutex;
  std::optional<absl::StatusOr<std::string>> result ABSL_GUARDED_BY(mutex);

  std::optional<absl::StatusOr<std::string>> Result() {
    sync::MutexLock lock(mutex);
    return result;
  }
};

// Ends the flight on every way out, also when the leading coroutine is destroyed while it waits.
class CachedFunction::Leader {
 public:
  Leader(CachedFunction& owner, std::string name, std::shared_ptr<Flight> flight)
      : owner_(owner), name_(std::move(name)), flight_(std::move(flight)) {}
  Leader(const Leader&) = delete;
  Leader& operator=(const Leader&) = delete;
  ~Leader() { Land(absl::AbortedError("the computation was given up")); }

  void Land(absl::StatusOr<std::string> result) {
    {
      sync::MutexLock lock(flight_->mutex);
      if (flight_->result) return;
      flight_->result = std::move(result);
    }
    {
      sync::MutexLock lock(owner_.mutex_);
      owner_.flights_.erase(name_);
    }
    flight_->landed.Notify();
  }

 private:
  CachedFunction& owner_;
  const std::string name_;
  const std::shared_ptr<Flight> flight_;
};

Async<absl::StatusOr<CachedFunction::Answer>> CachedFunction::Call(rpc::CallOptions call,
                                                                   cache::v1::CacheKey key,
                                                                   cache::v1::EntryOptions options,
                                                                   Compute compute,
                                                                   absl::Duration max_wait) {
  const std::string name = FlightName(call, key);
  std::shared_ptr<Flight> flight;
  bool leads = false;
  {
    sync::MutexLock lock(mutex_);
    auto [it, inserted] = flights_.try_emplace(name);
    if (inserted) it->second = std::make_shared<Flight>();
    flight = it->second;
    leads = inserted;
  }
  if (!leads) {
    const auto deadline = async::After(max_wait);
    for (uint64_t seen = flight->landed.version();; seen = flight->landed.version()) {
      if (auto result = flight->Result()) {
        if (!result->ok()) co_return result->status();
        co_return Answer{**std::move(result), Answer::kShared};
      }
      if (!co_await flight->landed.Wait(seen, deadline)) break;
    }
    auto computed = co_await compute();
    if (!computed.ok()) co_return computed.status();
    co_return Answer{*std::move(computed), Answer::kComputed};
  }

  Leader leader(*this, name, flight);
  auto cached = co_await client_.Get(call, key);
  if (cached.ok() && cached->has_value() && !(*cached)->stale && !(*cached)->negative) {
    leader.Land((*cached)->value);
    co_return Answer{std::move((*cached)->value), Answer::kCache};
  }
  auto computed = co_await compute();
  leader.Land(computed);
  if (!computed.ok()) co_return computed.status();
  // An error here costs the next caller a computation, nothing else.
  (void)co_await client_.Set(call, key, *computed, options);
  co_return Answer{*std::move(computed), Answer::kComputed};
}

}  // namespace slipstream::cache_client
