#include "libs/postgres/link.h"

#include <libpq-fe.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/postgres/connection.h"
#include "libs/postgres/pool.h"
#include "libs/postgres/pq_errors.h"
#include "libs/status/status.h"

namespace slipstream::postgres {

namespace {

// Rows that come after the last one wanted; then the connection is cut rather than read on.
constexpr int64_t kMaxDroppedCount = 20000;

// Whether the statement is one that PostgreSQL plans, by its first word.
bool IsPlanned(std::string_view sql) {
  while (!sql.empty() && (absl::ascii_isspace(sql[0]) || sql[0] == '(')) sql.remove_prefix(1);
  for (const char* word : {"select", "with", "insert", "update", "delete", "values", "table"}) {
    const size_t size = std::strlen(word);
    if (sql.size() > size && absl::EqualsIgnoreCase(absl::string_view(sql.data(), size), word) &&
        !absl::ascii_isalnum(sql[size])) {
      return true;
    }
  }
  return false;
}

struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};

std::string Mode(bool read_only) {
  return absl::StrCat("SET SESSION default_transaction_read_only = ", read_only ? "on" : "off");
}

}  // namespace

Link::Link(EventLoop& loop, pg_conn* connection, const Options& options,
           std::function<void(Link&)> on_left)
    : loop_(loop),
      connection_(connection),
      options_(options),
      on_left_(std::move(on_left)),
      fd_(PQsocket(connection)),
      server_version_(PQserverVersion(connection)) {
  loop_.Watch(fd_, this);
}

Link::~Link() { Close(); }

void Link::Close() {
  broken_ = true;
  steps_.clear();
  if (connection_ == nullptr) return;
  loop_.Unwatch(fd_, this);
  PQfinish(std::exchange(connection_, nullptr));
}

bool Link::clean() const {
  if (broken_ || running() || PQtransactionStatus(connection_) != PQTRANS_IDLE) return false;
  if (!set_up_) return true;
  // PostgreSQL 14 and later report it whenever a statement changed it, such as by set_config().
  const char* mode = PQparameterStatus(connection_, "default_transaction_read_only");
  return mode == nullptr || (std::strcmp(mode, "on") == 0) == session_read_only_;
}

void Link::Run(std::shared_ptr<User> user, TimePoint deadline) {
  deadline_ = deadline;
  user_ = std::move(user);
  statement_ = &user_->statement();
  overdue_ = answered_ = retried_ = too_large_ = false;
  failure_ = absl::OkStatus();
  result_ = Result();
  dropped_count_ = 0;
  ++queries_count_;
  AddSteps();
  sent_at_ = loop_.Now();
  Begin();
}

void Link::AddSteps() {
  if (options_.set_up && !set_up_) {
    // SET instead of the `options` parameter, which connection poolers refuse.
    steps_.push_back(
        {Kind::kSetUp,
         absl::StrCat("SET SESSION statement_timeout = ",
                      absl::ToInt64Milliseconds(options_.statement_timeout), "; ", Mode(true))});
    // So that a statement ends when its connection was cut. Not every platform of servers can.
    steps_.push_back({Kind::kSetUpOptional, "SET SESSION client_connection_check_interval = 1000"});
  }
  const bool read_only = statement_->access == Access::kRead;
  if (options_.set_up && read_only != (session_read_only_ || !set_up_) &&
      PQtransactionStatus(connection_) == PQTRANS_IDLE) {
    steps_.push_back({Kind::kMode, Mode(read_only)});
  }
  AddRunSteps();
}

bool Link::IsSeenAgain() {
  const size_t hash = std::hash<std::string_view>()(*statement_->sql);
  size_t& seen = seen_[hash % seen_.size()];
  return std::exchange(seen, hash) == hash;
}

void Link::AddRunSteps() {
  prepared_run_ = true;
  const auto found = prepared_by_text_.find(*statement_->sql);
  if (found != prepared_by_text_.end()) {
    prepared_.splice(prepared_.begin(), prepared_, found->second);
    steps_.push_back({Kind::kRun, found->second->second});
  } else if (options_.max_prepared_count > 0 && IsPlanned(*statement_->sql) && IsSeenAgain()) {
    Prepare();
  } else {
    prepared_run_ = false;
    steps_.push_back({Kind::kRun, ""});
  }
}

void Link::Prepare() {
  if (prepared_.size() >= static_cast<size_t>(options_.max_prepared_count)) {
    steps_.push_back({Kind::kDeallocate, absl::StrCat("DEALLOCATE ", prepared_.back().second)});
    prepared_by_text_.erase(*prepared_.back().first);
    prepared_.pop_back();
  }
  std::string name = absl::StrCat("slip", ++names_count_);
  steps_.push_back({Kind::kPrepare, name});
  steps_.push_back({Kind::kRun, std::move(name)});
}

void Link::Begin() {
  if (Send(steps_.front())) {
    Flush();
  } else {
    Break(PQerrorMessage(connection_));
  }
}

bool Link::Send(const Step& step) {
  if (step.kind == Kind::kPrepare) {
    return PQsendPrepare(connection_, step.text.c_str(), statement_->sql->c_str(), 0, nullptr);
  }
  if (step.kind != Kind::kRun) return PQsendQuery(connection_, step.text.c_str());
  const size_t count = statement_->parameters.size();
  absl::InlinedVector<const char*, 16> values(count);
  for (size_t i = 0; i < count; ++i) {
    const auto& parameter = statement_->parameters[i];
    values[i] = parameter ? parameter->c_str() : nullptr;
  }
  const int sent =
      step.text.empty()
          ? PQsendQueryParams(connection_, statement_->sql->c_str(), static_cast<int>(count),
                              nullptr, values.data(), nullptr, nullptr, 0)
          : PQsendQueryPrepared(connection_, step.text.c_str(), static_cast<int>(count),
                                values.data(), nullptr, nullptr, 0);
  if (sent == 0) return false;
  PQsetSingleRowMode(connection_);
  return true;
}

void Link::Flush() {
  const int left = PQflush(connection_);
  if (left < 0) return Break(PQerrorMessage(connection_));
  if ((left == 1) == wants_write_) return;
  wants_write_ = left == 1;
  loop_.WantWrite(fd_, this, wants_write_);
}

void Link::OnReady() {
  if (broken_) return;  // in the same round
  if (PQconsumeInput(connection_) == 0) return Break(PQerrorMessage(connection_));
  if (wants_write_) {
    Flush();
    if (broken_) return;
  }
  if (steps_.empty()) {
    // Parses what comes without being asked for: changed settings, notices.
    PQisBusy(connection_);
    if (PQstatus(connection_) != CONNECTION_OK) Break(PQerrorMessage(connection_));
    return;
  }
  while (!broken_ && !steps_.empty() && Collect()) {
    const bool last = steps_.size() == 1;
    StepOver();
    // The user may have begun its next statement, whose answer cannot be here yet.
    if (last) return;
  }
}

bool Link::Collect() {
  while (PQisBusy(connection_) == 0) {
    const std::unique_ptr<PGresult, Clear> result(PQgetResult(connection_));
    if (result == nullptr) return true;
    Take(result.get());
    if (broken_) return false;
  }
  return false;
}

void Link::Take(const pg_result* result) {
  const Kind kind = steps_.front().kind;
  switch (PQresultStatus(result)) {
    case PGRES_SINGLE_TUPLE:
      if (kind == Kind::kRun) KeepRow(result);
      return;
    case PGRES_TUPLES_OK:
      if (kind == Kind::kWalPosition && PQntuples(result) == 1) {
        result_.wal_position_ = ParseWalPosition(PQgetvalue(result, 0, 0)).value_or(WalPosition{});
      }
      [[fallthrough]];
    case PGRES_COMMAND_OK:
      if (kind != Kind::kRun) return;
      answered_ = true;
      KeepColumns(result);
      if (std::strncmp(PQcmdStatus(const_cast<pg_result*>(result)), "SELECT", 6) != 0) {
        const char* changed = PQcmdTuples(const_cast<pg_result*>(result));
        std::from_chars(changed, changed + std::strlen(changed), result_.changed_count_);
      }
      return;
    case PGRES_EMPTY_QUERY:
      if (kind == Kind::kRun) failure_ = FromSqlState("42601", "the statement is empty");
      return;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
      return Break("COPY is not a statement that a pool can run");
    default:
      return TakeError(result);
  }
}

void Link::KeepColumns(const pg_result* result) {
  if (!result_.columns_.empty()) return;
  const int count = PQnfields(result);
  result_.columns_.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    result_.columns_.push_back({PQfname(result, i), PQftype(result, i)});
  }
  result_.cells_.reserve(static_cast<size_t>(count));
}

void Link::KeepRow(const pg_result* row) {
  answered_ = true;
  KeepColumns(row);
  if (result_.rows_count_ >= statement_->max_rows_count || too_large_) {
    result_.truncated_ = true;
    if (++dropped_count_ <= kMaxDroppedCount) return;
    // Reading on would take as long as the server has rows.
    Close();
    if (too_large_) return End(TooLarge());
    return End(std::exchange(result_, Result()));
  }
  for (int i = 0; i < result_.columns_count(); ++i) {
    const int size = PQgetisnull(row, 0, i) ? -1 : PQgetlength(row, 0, i);
    result_.cells_.push_back({result_.bytes_.size(), size});
    if (size > 0) result_.bytes_.append(PQgetvalue(row, 0, i), static_cast<size_t>(size));
  }
  ++result_.rows_count_;
  too_large_ = static_cast<int64_t>(result_.bytes_.size()) > statement_->max_result_bytes;
}

absl::Status Link::TooLarge() const {
  return status::Error(absl::StatusCode::kResourceExhausted, kResultTooLarge,
                       absl::StrCat("the rows take more than ", statement_->max_result_bytes,
                                    " bytes; ask for fewer or narrower ones"));
}

void Link::TakeError(const pg_result* result) {
  const char* field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const absl::string_view sqlstate = field == nullptr ? "" : field;
  if (sqlstate.empty() || EndsConnection(sqlstate)) {
    return Break(message != nullptr ? message : PQresultErrorMessage(result));
  }
  const Kind kind = steps_.front().kind;
  if (kind == Kind::kSetUpOptional || kind == Kind::kDeallocate || kind == Kind::kWalPosition) {
    return;
  }
  const absl::string_view text = message == nullptr ? "" : message;
  // What was prepared is gone (DISCARD, a pooler in between), or its columns have changed.
  if (kind == Kind::kRun && prepared_run_ && !retried_ && !answered_ &&
      (sqlstate == "26000" || (sqlstate == "0A000" && absl::StrContains(text, "cached plan"))) &&
      PQtransactionStatus(connection_) != PQTRANS_INERROR) {
    retried_ = true;
    return;
  }
  failure_ = statement_->access == Access::kWrite && sqlstate == "25006"
                 ? status::Error(absl::StatusCode::kFailedPrecondition, kReadOnly,
                                 "this PostgreSQL server takes no writes: it is a standby or "
                                 "default_transaction_read_only is on; name its primary too in "
                                 "the URL, as in postgresql://user@host1,host2/database")
                 : FromSqlState(sqlstate, text);
}

void Link::StepOver() {
  const Step step = std::move(steps_.front());
  steps_.pop_front();
  if (!failure_.ok()) {
    steps_.clear();
    return End(failure_);
  }
  switch (step.kind) {
    case Kind::kSetUp:
      set_up_ = session_read_only_ = true;
      break;
    case Kind::kMode:
      session_read_only_ = statement_->access == Access::kRead;
      break;
    case Kind::kPrepare:
      prepared_.emplace_front(statement_->sql, step.text);
      prepared_by_text_[*prepared_.front().first] = prepared_.begin();
      break;
    case Kind::kRun:
      if (retried_ && !answered_) {
        const auto found = prepared_by_text_.find(*statement_->sql);
        if (found != prepared_by_text_.end()) {
          steps_.push_back({Kind::kDeallocate, absl::StrCat("DEALLOCATE ", found->second->second)});
          const auto entry = found->second;
          prepared_by_text_.erase(found);
          prepared_.erase(entry);
        }
        Prepare();
      } else if (statement_->access == Access::kWrite &&
                 PQtransactionStatus(connection_) == PQTRANS_IDLE) {
        steps_.push_back({Kind::kWalPosition, "SELECT pg_current_wal_insert_lsn()"});
      }
      break;
    default:
      break;
  }
  if (!steps_.empty()) return Begin();
  if (too_large_) return End(TooLarge());
  End(std::exchange(result_, Result()));
}

void Link::End(absl::StatusOr<Result> result) {
  if (result.ok()) {
    result->duration_ = absl::FromChrono(loop_.Now() - sent_at_);
  }
  statement_ = nullptr;
  const auto user = std::exchange(user_, nullptr);
  if (overdue_) {
    on_left_(*this);
  } else {
    user->OnResult(*this, std::move(result));
  }
}

void Link::CheckTime(TimePoint now) {
  if (!running() || now < deadline_) return;
  if (!overdue_) {
    overdue_ = true;
    user_->OnOverdue(*this);
  } else if (now >= deadline_ + options_.abandon_grace) {
    Cut("it did not answer in time");
  }
}

void Link::Cut(absl::string_view why) {
  if (!broken_) Break(why);
}

void Link::Break(absl::string_view why) {
  const absl::Status status = Unreachable(why);  // `why` may be the connection's own
  Close();
  if (user_ != nullptr) return End(status);
  on_left_(*this);
}

}  // namespace slipstream::postgres
