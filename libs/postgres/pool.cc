#include "libs/postgres/pool.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "libs/async/suspend.h"
#include "libs/postgres/connection.h"
#include "libs/postgres/pq_errors.h"
#include "libs/postgres/request.h"
#include "libs/postgres/router.h"
#include "libs/postgres/type_names.h"
#include "libs/status/status.h"

namespace slipstream::postgres {

namespace {

constexpr size_t kMaxTypeNamesCount = 10000;

absl::Status Stopping() {
  return status::Error(absl::StatusCode::kUnavailable, kUnreachable,
                       "the process is ending; try again at another one");
}

EventLoop::TimePoint After(const EventLoop& loop, absl::Duration timeout) {
  return loop.Now() + absl::ToChronoNanoseconds(
                          std::clamp(timeout, absl::ZeroDuration(), absl::Hours(24 * 365)));
}

PoolOptions Checked(PoolOptions options) {
  options.max_connections_count = std::max(options.max_connections_count, 1);
  options.min_connections_count =
      std::clamp(options.min_connections_count, 0, options.max_connections_count);
  return options;
}

}  // namespace

struct Pool::Impl {
  Impl(PoolOptions o, const clock::Clock& clock)
      : options(Checked(std::move(o))),
        loop(clock),
        router(loop, options),
        requests{loop, router, options} {}

  const PoolOptions options;
  EventLoop loop;
  Router router;
  RequestContext requests;
  std::atomic<bool> started{false};
  sync::Mutex mutex;
  absl::flat_hash_map<uint32_t, std::string> type_names ABSL_GUARDED_BY(mutex);
};

// Shared by the Lease and what it has posted. `link` is null while it is not granted, and after an
// overdue statement.
struct Lease::State {
  State(EventLoop& l, const PoolOptions& o) : loop(l), options(o) {}
  EventLoop& loop;
  const PoolOptions& options;
  ServerPool* pool = nullptr;
  Link* link = nullptr;
  bool discard = false;
  int server_version = 0;
};

namespace {

// A Pool::Acquire that waits.
class Acquisition final : public Waiter, public std::enable_shared_from_this<Acquisition> {
 public:
  Acquisition(std::shared_ptr<const Caller> caller) : caller_(std::move(caller)) {}

  void OnGranted(Link& link) override {
    granted = &link;
    resume(true);
  }
  void OnRefused(absl::Status why) override {
    status = std::move(why);
    resume(true);
  }
  std::shared_ptr<const Caller> caller() const override { return caller_; }

  async::Resume<bool> resume;
  Link* granted = nullptr;
  absl::Status status;

 private:
  const std::shared_ptr<const Caller> caller_;
};

// A Lease::Run on its way.
class LeaseRun final : public Link::User {
 public:
  LeaseRun(Statement statement, std::function<void()> on_overdue)
      : statement_(std::move(statement)), on_overdue_(std::move(on_overdue)) {}

  const Statement& statement() const override { return statement_; }
  void OnResult(Link&, absl::StatusOr<Result> result) override {
    outcome = std::move(result);
    resume(true);
  }
  void OnOverdue(Link&) override {
    on_overdue_();
    outcome = status::Error(absl::StatusCode::kDeadlineExceeded, kStatementTimeout,
                            "the statement took longer than its caller waits; its connection is "
                            "given up");
    resume(true);
  }

  async::Resume<bool> resume;
  absl::StatusOr<Result> outcome = absl::UnknownError("not run");

 private:
  const Statement statement_;
  const std::function<void()> on_overdue_;
};

}  // namespace

Lease::Lease(std::shared_ptr<State> state) : state_(std::move(state)) {}
Lease::Lease(Lease&&) noexcept = default;

Lease& Lease::operator=(Lease&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

Lease::~Lease() {
  if (state_ == nullptr) return;
  state_->loop.Post([state = state_] {
    if (state->link != nullptr) state->pool->Release(*state->link, state->discard);
  });
}

void Lease::Discard() {
  state_->loop.Post([state = state_] { state->discard = true; });
}

int Lease::server_version() const { return state_->server_version; }

Async<absl::StatusOr<Result>> Lease::Run(Statement statement, absl::Duration timeout) {
  // By value: the coroutine may outlive the call, and the loop the coroutine.
  const auto state = state_;
  auto run = std::make_shared<LeaseRun>(std::move(statement), [state] {
    state->pool->Abandon(*std::exchange(state->link, nullptr));
  });
  const auto deadline = After(state->loop, std::min(timeout, state->options.statement_timeout));
  co_await async::Suspend<bool>([&](async::Resume<bool> resume) {
    run->resume = std::move(resume);
    const bool posted = state->loop.Post([state, run, deadline] {
      if (state->link == nullptr || state->link->broken()) {
        run->outcome = Unreachable("the connection of this lease is gone");
        return run->resume(true);
      }
      state->link->Run(run, deadline);
    });
    if (posted) return;
    run->outcome = Stopping();
    run->resume(true);
  });
  co_return std::move(run->outcome);
}

Pool::Pool(PoolOptions options, const clock::Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), clock)) {}
Pool::~Pool() { Stop(); }

void Pool::Start() {
  if (impl_->started.exchange(true)) return;
  impl_->router.Start();
  impl_->loop.Start([this](EventLoop::TimePoint now) { impl_->router.Tick(now); },
                    [this](EventLoop::TimePoint now, bool idle) {
                      const bool exhausted = impl_->router.primary().exhausted();
                      const bool holds = impl_->requests.ended.Tell(now, exhausted && !idle);
                      return EventLoop::RoundEnd{.busy = exhausted, .soon = holds};
                    });
  impl_->loop.Post([this] { impl_->router.Tick(impl_->loop.Now()); });
}

void Pool::Stop() {
  if (!impl_->started.exchange(false)) return;
  impl_->loop.Post([this] { impl_->router.Close(Stopping()); });
  impl_->router.Stop();
  impl_->loop.Stop();
}

const PoolOptions& Pool::options() const { return impl_->options; }

Async<absl::StatusOr<Result>> Pool::Run(Statement statement, Caller caller, Route route) {
  const auto deadline = After(impl_->loop, caller.timeout);
  auto request =
      std::make_shared<Request>(impl_->requests, co_await boost::asio::this_coro::executor,
                                std::move(statement), std::move(caller), route, deadline);
  co_await async::Suspend<bool>([&](async::Resume<bool> resume) {
    request->resume = std::move(resume);
    // For the primary; a replica may have a connection free while the primary has none.
    const bool posted = route.allow_replica
                            ? impl_->loop.Post([request] { request->Begin(); })
                            : impl_->loop.PostQuietly([request] { request->Begin(); });
    if (!posted) request->Refuse(Stopping());
  });
  co_return std::move(request->outcome);
}

Async<absl::StatusOr<Lease>> Pool::Acquire(Caller caller, Route route) {
  auto state = std::make_shared<Lease::State>(impl_->loop, impl_->options);
  auto shared = std::make_shared<const Caller>(std::move(caller));
  auto waiter = std::make_shared<Acquisition>(shared);
  waiter->deadline = After(impl_->loop, shared->timeout);
  co_await async::Suspend<bool>([&](async::Resume<bool> resume) {
    waiter->resume = std::move(resume);
    const bool posted = impl_->loop.Post([this, state, waiter, route] {
      state->pool = &impl_->router.Choose(route);
      state->pool->Enqueue(waiter);
    });
    if (!posted) waiter->OnRefused(Stopping());
  });
  if (waiter->granted == nullptr) co_return waiter->status;
  // The link is this waiter's alone, and the loop does not touch what is read here.
  state->link = waiter->granted;
  state->server_version = state->link->server_version();
  co_return Lease(std::move(state));
}

Async<std::string> Pool::TypeName(uint32_t oid) {
  if (const std::string_view name = BuiltInTypeName(oid); !name.empty()) {
    co_return std::string(name);
  }
  {
    sync::MutexLock lock(impl_->mutex);
    const auto found = impl_->type_names.find(oid);
    if (found != impl_->type_names.end()) co_return found->second;
  }
  static const auto& kSql = *new std::shared_ptr<const std::string>(
      std::make_shared<const std::string>("SELECT typname FROM pg_type WHERE oid = $1"));
  auto result = co_await Run({.sql = kSql, .parameters = {absl::StrCat(oid)}},
                             {.holder = "type names", .timeout = absl::Seconds(5)});
  if (!result.ok() || result->rows_count() != 1) co_return "unknown";
  std::string name(result->Value(0, 0).value_or("unknown"));
  sync::MutexLock lock(impl_->mutex);
  if (impl_->type_names.size() < kMaxTypeNamesCount) impl_->type_names.emplace(oid, name);
  co_return name;
}

PoolFigures Pool::figures() const {
  PoolFigures out = impl_->router.figures();
  out.statements_count = impl_->requests.statements_count.load();
  out.replica_statements_count = impl_->requests.replica_statements_count.load();
  return out;
}

}  // namespace slipstream::postgres
