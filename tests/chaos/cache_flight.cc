// Many callers miss one key at the same time, spread over several cache servers: how often is the
// origin called? Each caller does what a client does: GetOrLease; with a lease, compute and Fill;
// with BUSY, ask again.
//
// With --holder_dies the first holder of a lease never fills. Prints
// {"callers", "origin_calls", "wrong_values", "errors", "seconds"}.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <iostream>
#include <memory>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "libs/sync/mutex.h"
#include "nlohmann/json.hpp"
#include "tests/chaos/cache_calls.h"

ABSL_FLAG(std::vector<std::string>, address, {}, "the cache servers");
ABSL_FLAG(std::string, token, "", "bearer token of all calls");
ABSL_FLAG(std::string, key, "flight", "the key");
ABSL_FLAG(int, callers, 1000, "at the same time");
ABSL_FLAG(int, compute_ms, 300, "how long the origin takes");
ABSL_FLAG(int, lease_ms, 2000, "how long a lease holds");
ABSL_FLAG(bool, holder_dies, false, "the first holder never fills");

namespace slipstream::chaos {
namespace {

namespace v1 = cache::v1;

constexpr absl::Duration kTimeout = absl::Seconds(20);
constexpr int kWaitMs = 10'000;

struct Flight {
  const CacheCalls& calls;
  v1::CacheKey key;
  std::atomic<int> origin_calls{0}, wrong_values{0}, errors{0};
  sync::Mutex mu;
  sync::CondVar changed;
  int flying ABSL_GUARDED_BY(mu) = 0;
  std::vector<std::thread> origins ABSL_GUARDED_BY(mu);  // one for each call of the origin

  void Landed() {
    sync::MutexLock lock(mu);
    if (--flying == 0) changed.Signal();
  }
};

// One caller; owned by its call in progress.
struct Caller : std::enable_shared_from_this<Caller> {
  Caller(Flight& of, size_t at) : flight(of), server(at) {}

  void Ask() {
    context = std::make_unique<grpc::ClientContext>();
    flight.calls.Prepare(*context, kTimeout);
    v1::GetOrLeaseRequest request;
    *request.mutable_key() = flight.key;
    request.set_wait_ms(kWaitMs);
    request.set_lease_ms(absl::GetFlag(FLAGS_lease_ms));
    asked = std::move(request);
    flight.calls.At(server).async()->GetOrLease(
        context.get(), &asked, &answer,
        [self = shared_from_this()](const grpc::Status& status) { self->Answered(status); });
  }

  void Answered(const grpc::Status& status) {
    if (!status.ok()) {
      std::cerr << status.error_message() << std::endl;
      flight.errors.fetch_add(1);
      return flight.Landed();
    }
    switch (answer.result()) {
      case v1::GetOrLeaseResponse::HIT:
      case v1::GetOrLeaseResponse::STALE:
        if (answer.value().value() != "computed") flight.wrong_values.fetch_add(1);
        return flight.Landed();
      case v1::GetOrLeaseResponse::LEASED:
        return Compute();
      default:
        return Ask();
    }
  }

  void Compute() {
    const bool dies = flight.origin_calls.fetch_add(1) == 0 && absl::GetFlag(FLAGS_holder_dies);
    if (dies) return flight.Landed();
    sync::MutexLock lock(flight.mu);
    flight.origins.emplace_back([self = shared_from_this()] {
      std::this_thread::sleep_for(std::chrono::milliseconds(absl::GetFlag(FLAGS_compute_ms)));
      v1::FillRequest request;
      *request.mutable_key() = self->flight.key;
      request.set_lease_token(self->answer.lease_token());
      request.set_value("computed");
      v1::FillResponse response;
      const grpc::Status status = self->flight.calls.Call(&CacheCalls::Stub::Fill, self->server,
                                                          request, &response, kTimeout);
      if (!status.ok() || !response.stored()) self->flight.errors.fetch_add(1);
      self->flight.Landed();
    });
  }

  Flight& flight;
  const size_t server;
  std::unique_ptr<grpc::ClientContext> context;
  v1::GetOrLeaseRequest asked;
  v1::GetOrLeaseResponse answer;
};

// Until every server takes writes: one that has just started has not joined the others yet, and
// gives leases of its own.
bool AwaitServers(const CacheCalls& calls) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  for (size_t server = 0; server < calls.servers_count();) {
    v1::SetRequest request;
    request.mutable_key()->set_namespace_("flight");
    request.mutable_key()->set_type(v1::CacheKey::SEARCH_RESULTS);
    request.mutable_key()->set_scope(v1::CacheKey::USER);
    request.mutable_key()->set_key(absl::StrCat("server ", server));
    v1::SetResponse response;
    if (calls.Call(&CacheCalls::Stub::Set, server, request, &response, kTimeout).ok()) {
      ++server;
    } else if (std::chrono::steady_clock::now() > give_up) {
      return false;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  return true;
}

int Main() {
  const CacheCalls calls(absl::GetFlag(FLAGS_address), absl::GetFlag(FLAGS_token));
  if (!AwaitServers(calls)) {
    std::cerr << "a server takes no writes" << std::endl;
    return 1;
  }
  Flight flight{.calls = calls};
  flight.key.set_namespace_("flight");
  flight.key.set_type(v1::CacheKey::SEARCH_RESULTS);
  flight.key.set_scope(v1::CacheKey::USER);
  flight.key.set_key(absl::GetFlag(FLAGS_key));
  const int callers = absl::GetFlag(FLAGS_callers);
  const auto begin = std::chrono::steady_clock::now();
  {
    sync::MutexLock lock(flight.mu);
    flight.flying = callers;
  }
  for (int i = 0; i < callers; ++i) {
    std::make_shared<Caller>(flight, static_cast<size_t>(i) % calls.servers_count())->Ask();
  }
  std::vector<std::thread> origins;
  {
    sync::MutexLock lock(flight.mu);
    while (flight.flying > 0) flight.changed.Wait(flight.mu);
    origins.swap(flight.origins);
  }
  for (std::thread& origin : origins) origin.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::cout << nlohmann::json{{"callers", callers},
                              {"origin_calls", flight.origin_calls.load()},
                              {"wrong_values", flight.wrong_values.load()},
                              {"errors", flight.errors.load()},
                              {"seconds", took.count()}}
                   .dump()
            << std::endl;
  return flight.errors.load() == 0 && flight.wrong_values.load() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace slipstream::chaos

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return slipstream::chaos::Main();
}
