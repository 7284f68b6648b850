#include "libs/postgres/server_watch.h"

#include <libpq-fe.h>

#include <algorithm>
#include <utility>

#include "libs/postgres/connection.h"
#include "libs/postgres/pq_errors.h"

namespace slipstream::postgres {

namespace {

// The last column is what a receiver of the log signs in as; reading its conninfo takes pg_monitor.
constexpr char kSql[] =
    "SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() "
    "ELSE pg_current_wal_lsn() END, current_setting('default_transaction_read_only'), "
    "(SELECT coalesce(substring(' ' || conninfo FROM ' application_name=([^ ]*)'), "
    "nullif(current_setting('cluster_name'), ''), 'walreceiver') FROM pg_stat_wal_receiver "
    "WHERE conninfo IS NOT NULL)";

}  // namespace

class ServerWatch::Question final : public Link::User {
 public:
  Question(ServerWatch& watch, TimePoint asked_at) : watch_(watch), asked_at_(asked_at) {
    statement_.sql = std::make_shared<const std::string>(kSql);
  }

  const Statement& statement() const override { return statement_; }
  void OnResult(Link&, absl::StatusOr<Result> result) override {
    watch_.OnAnswer(std::move(result), asked_at_);
  }
  void OnOverdue(Link&) override { watch_.OnAnswer(Unreachable("it is silent"), asked_at_); }

 private:
  ServerWatch& watch_;
  const TimePoint asked_at_;
  Statement statement_;
};

ServerWatch::ServerWatch(EventLoop& loop, const PoolOptions& options, ConnInfo info,
                         OnState on_state)
    : loop_(loop),
      options_(options),
      connector_(std::move(info), options.connect_timeout, 1),
      on_state_(std::move(on_state)) {}

ServerWatch::~ServerWatch() = default;

void ServerWatch::Tick(TimePoint now) {
  if (closed_) return;
  if (link_ != nullptr) link_->CheckTime(now);
  if (now < next_ || connecting_ || (link_ != nullptr && link_->running())) return;
  next_ = now + absl::ToChronoNanoseconds(options_.replica_check_interval);
  if (link_ == nullptr) {
    Connect();
  } else {
    Ask(now);
  }
}

void ServerWatch::Connect() {
  connecting_ = true;
  connector_.Connect([this](absl::StatusOr<pg_conn*> connection) {
    loop_.Post([this, connection = std::move(connection)] {
      connecting_ = false;
      if (!connection.ok()) return on_state_(connection.status());
      if (closed_) return PQfinish(*connection);
      const Link::Options options{options_.statement_timeout, options_.max_prepared_count,
                                  std::chrono::seconds(0), /*set_up=*/false};
      link_ = std::make_unique<Link>(loop_, *connection, options, [this](Link&) {
        Drop();
        if (!closed_) on_state_(Unreachable("its connection was lost"));
      });
      Ask(loop_.Now());
    });
  });
}

void ServerWatch::Ask(TimePoint now) {
  link_->Run(std::make_shared<Question>(*this, now), now + kMaxSilence);
}

void ServerWatch::OnAnswer(absl::StatusOr<Result> result, TimePoint asked_at) {
  if (link_ == nullptr) return;
  if (!result.ok()) {
    Drop();
    if (!closed_) on_state_(result.status());
    return;
  }
  if (result->rows_count() != 1) return;
  ServerState state;
  state.in_recovery = result->Value(0, 0) == "t";
  state.position = ParseWalPosition(result->Value(0, 1).value_or("")).value_or(WalPosition{});
  state.read_only = state.in_recovery || result->Value(0, 2) == "on";
  state.streams_as = result->Value(0, 3).value_or("");
  state.asked_at = asked_at;
  on_state_(state);
}

void ServerWatch::Drop() {
  if (link_ == nullptr) return;
  // It may be the caller of this, or wait in this round's list of sockets.
  std::shared_ptr<Link> gone = std::move(link_);
  gone->Close();
  loop_.Post([gone] {});
}

void ServerWatch::Leave() {
  connector_.StartWithNextHost();
  Drop();
}

void ServerWatch::Close() {
  closed_ = true;
  Drop();
}

}  // namespace slipstream::postgres
