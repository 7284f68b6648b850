// One Pool::Run on its way: waits, is granted a link, runs there, and once more elsewhere when a
// read's connection broke under it.
//
// Thread safety: made by the caller, then the loop's thread only, until it has ended.
#ifndef LIBS_POSTGRES_REQUEST_H_
#define LIBS_POSTGRES_REQUEST_H_

#include <atomic>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "libs/async/suspend.h"
#include "libs/postgres/ended_requests.h"
#include "libs/postgres/link.h"
#include "libs/postgres/router.h"
#include "libs/postgres/wait_queue.h"

namespace slipstream::postgres {

// What all requests of a pool share and count.
struct RequestContext {
  const EventLoop& loop;
  Router& router;
  const PoolOptions& options;
  std::atomic<int64_t> statements_count{0};
  std::atomic<int64_t> replica_statements_count{0};
  EndedRequests ended{};
};

class Request final : public Waiter,
                      public Link::User,
                      public std::enable_shared_from_this<Request> {
 public:
  // `executor` is that of the coroutine which waits.
  Request(RequestContext& context, Executor executor, Statement statement, Caller caller,
          Route route, TimePoint deadline)
      : context_(context),
        executor_(std::move(executor)),
        statement_(std::move(statement)),
        caller_(std::move(caller)),
        route_(route),
        ends_at_(deadline) {}

  // On the loop.
  void Begin();
  // It cannot begin: the pool has ended. On the caller's thread.
  void Refuse(absl::Status status) {
    outcome = std::move(status);
    resume(true);
  }

  async::Resume<bool> resume;  // set before Begin
  absl::StatusOr<Result> outcome = absl::Status(absl::StatusCode::kUnknown, "");  // not run

  void OnGranted(Link& link) override;
  void OnRefused(absl::Status status) override;
  std::shared_ptr<const Caller> caller() const override { return {shared_from_this(), &caller_}; }

  const Statement& statement() const override { return statement_; }
  void OnResult(Link& link, absl::StatusOr<Result> result) override;
  void OnOverdue(Link& link) override;

 private:
  // Whether the read can be tried anew at the primary, and is.
  bool TryAgain(const absl::Status& status, bool answered);
  void Observe(const absl::Status& status, int64_t rows_count);
  void End(absl::StatusOr<Result> outcome);

  RequestContext& context_;
  const Executor executor_;
  const Statement statement_;
  const Caller caller_;
  const Route route_;
  const TimePoint ends_at_;  // of wait and statement together
  ServerPool* pool_ = nullptr;
  bool tried_again_ = false;
  TimePoint granted_at_{};
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_REQUEST_H_
