#include "libs/postgres/request.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/postgres/connection.h"
#include "libs/postgres/pq_errors.h"
#include "libs/status/status.h"

namespace slipstream::postgres {

namespace {

// The server keeps the statement timeout; one that is silent gets so much longer.
constexpr auto kTimeoutGrace = std::chrono::seconds(1);

}  // namespace

void Request::Begin() {
  pool_ = statement_.access == Access::kWrite ? &context_.router.primary()
                                              : &context_.router.Choose(route_);
  deadline = ends_at_;
  pool_->Enqueue(shared_from_this());
}

void Request::OnGranted(Link& link) {
  granted_at_ = link.pool.granted_at;
  context_.statements_count.fetch_add(1, std::memory_order_relaxed);
  if (pool_ != &context_.router.primary()) {
    context_.replica_statements_count.fetch_add(1, std::memory_order_relaxed);
  }
  const auto longest = absl::ToChronoNanoseconds(context_.options.statement_timeout);
  link.Run(shared_from_this(), std::min(ends_at_, granted_at_ + longest + kTimeoutGrace));
}

void Request::OnRefused(absl::Status status) {
  if (!TryAgain(status, /*answered=*/false)) End(std::move(status));
}

void Request::OnResult(Link& link, absl::StatusOr<Result> result) {
  const bool answered = link.answered();
  if (result.ok()) result->on_replica_ = pool_ != &context_.router.primary();
  // Before all else, so that the connection is busy again with the next one's statement.
  pool_->Release(link);
  Observe(result.status(), !result.ok()                  ? 0
                           : result->changed_count() > 0 ? result->changed_count()
                                                         : result->rows_count());
  if (!result.ok() && TryAgain(result.status(), answered)) return;
  End(std::move(result));
}

bool Request::TryAgain(const absl::Status& status, bool answered) {
  if (statement_.access == Access::kWrite || answered || tried_again_) return false;
  const bool at_replica = pool_ != &context_.router.primary();
  // Also what a replica ends because its primary has removed the rows that it reads.
  const bool conflict = at_replica && status::Metadata(status, "sqlstate") == "40001";
  // At the primary only what broke under it: that nobody is there is known already.
  const bool lost =
      absl::IsUnavailable(status) &&
      (at_replica || (granted_at_ != TimePoint{} && status::Reason(status) == kUnreachable));
  if (!conflict && !lost) return false;
  tried_again_ = true;
  granted_at_ = {};
  pool_ = &context_.router.primary();
  deadline = ends_at_;
  pool_->Enqueue(shared_from_this());
  return true;
}

void Request::OnOverdue(Link& link) {
  pool_->Abandon(link);
  const bool silent = context_.loop.Now() < ends_at_;
  const absl::Status status =
      silent ? Unreachable("it does not answer, not even to end a statement at its timeout")
             : status::Error(absl::StatusCode::kDeadlineExceeded, kStatementTimeout,
                             "the statement took longer than its caller waits; raise the call's "
                             "deadline, or look for locks and load in pg_stat_activity");
  Observe(status, 0);
  End(status);
}

void Request::Observe(const absl::Status& status, int64_t rows_count) {
  if (context_.options.observer == nullptr) return;
  context_.options.observer->OnStatement({statement_, caller_, status,
                                          absl::FromChrono(granted_at_ - queued_at),
                                          absl::FromChrono(context_.loop.Now() - granted_at_),
                                          rows_count, pool_ != &context_.router.primary()});
}

void Request::End(absl::StatusOr<Result> result) {
  outcome = std::move(result);
  context_.ended.Add(executor_, std::move(resume));
}

}  // namespace slipstream::postgres
