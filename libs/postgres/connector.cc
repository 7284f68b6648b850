#include "libs/postgres/connector.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/postgres/connection.h"
#include "libs/postgres/pq_errors.h"
#include "libs/sync/deadline.h"

namespace slipstream::postgres {

namespace {

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};

void IgnoreNotice(void*, const PGresult*) {}

bool IsOn(const PGconn* connection, const char* setting) {
  const char* value = PQparameterStatus(connection, setting);
  return value != nullptr && std::strcmp(value, "on") == 0;
}

}  // namespace

Connector::Connector(ConnInfo info, absl::Duration timeout, int threads_count)
    : info_(std::move(info)), timeout_(timeout), threads_count_(threads_count) {}

void Connector::Start() {
  for (int i = 0; i < threads_count_; ++i) threads_.emplace_back([this] { Work(); });
}

void Connector::Stop() {
  stopping_.store(true);
  std::deque<Done> left;
  {
    sync::MutexLock lock(mutex_);
    left.swap(queue_);
    changed_.SignalAll();
  }
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void Connector::Connect(Done done) {
  sync::MutexLock lock(mutex_);
  if (stopping_.load()) return;
  queue_.push_back(std::move(done));
  changed_.Signal();
}

void Connector::Work() {
  for (;;) {
    Done done;
    {
      sync::MutexLock lock(mutex_);
      while (queue_.empty() && !stopping_.load()) changed_.Wait(mutex_);
      if (stopping_.load()) return;
      done = std::move(queue_.front());
      queue_.pop_front();
    }
    done(Open());
  }
}

absl::StatusOr<pg_conn*> Connector::Open() const {
  absl::Status last = absl::UnavailableError("no host");
  const size_t first = first_.load();
  for (size_t i = 0; i < info_.hosts.size(); ++i) {
    auto connection = OpenHost(info_.hosts[(first + i) % info_.hosts.size()]);
    if (connection.ok()) return connection;
    last = connection.status();
    if (stopping_.load()) break;
  }
  return last;
}

absl::StatusOr<pg_conn*> Connector::OpenHost(const Settings& host) const {
  std::vector<const char*> names, values;
  for (const Settings* settings : {&info_.shared, &host}) {
    for (const auto& [name, value] : *settings) {
      names.push_back(name.c_str());
      values.push_back(value.c_str());
    }
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  std::unique_ptr<PGconn, Finish> connection(PQconnectStartParams(names.data(), values.data(), 0));
  if (connection == nullptr) return Unreachable("out of memory");
  if (PQstatus(connection.get()) == CONNECTION_BAD) {
    return FromConnectError(PQerrorMessage(connection.get()));
  }
  // So that a refusal says its SQLSTATE.
  PQsetErrorVerbosity(connection.get(), PQERRORS_VERBOSE);
  PQsetNoticeReceiver(connection.get(), IgnoreNotice, nullptr);
  if (absl::Status status = Establish(connection.get()); !status.ok()) return status;
  PQsetErrorVerbosity(connection.get(), PQERRORS_DEFAULT);
  absl::Status status = CheckServerVersion(PQserverVersion(connection.get()), kMinServerVersion);
  if (status.ok()) status = Qualifies(connection.get(), host);
  if (!status.ok()) return status;
  PQsetnonblocking(connection.get(), 1);
  return connection.release();
}

absl::Status Connector::Establish(pg_conn* connection) const {
  const sync::Deadline deadline(timeout_);
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED) return FromConnectError(PQerrorMessage(connection));
    if (stopping_.load()) return Unreachable("the process is ending");
    if (deadline.Passed()) {
      return Unreachable(
          absl::StrCat("it did not let us in within ", absl::FormatDuration(timeout_)));
    }
    pollfd wait{PQsocket(connection),
                static_cast<short>(state == PGRES_POLLING_READING ? POLLIN : POLLOUT), 0};
    const int64_t left_ms = absl::ToInt64Milliseconds(deadline.Left()) + 1;
    if (poll(&wait, 1, static_cast<int>(std::min<int64_t>(left_ms, kStopPoll.count()))) > 0) {
      state = PQconnectPoll(connection);
    }
  }
  return absl::OkStatus();
}

absl::Status Connector::Qualifies(const pg_conn* connection, const Settings& host) const {
  // PostgreSQL 14 and later report both when a session begins.
  const bool standby = IsOn(connection, "in_hot_standby");
  const bool read_only = standby || IsOn(connection, "default_transaction_read_only");
  const char* wanted = Lacks(info_.wanted, standby, read_only);
  if (wanted == nullptr) return absl::OkStatus();
  return Unreachable(
      absl::StrCat(NameOf(host), " is not ", wanted, ", and none of the URL's other hosts is"));
}

}  // namespace slipstream::postgres
