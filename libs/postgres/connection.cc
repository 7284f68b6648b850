#include "libs/postgres/connection.h"

#include <libpq-fe.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <map>
#include <pqxx/pqxx>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "libs/sync/mutex.h"

namespace slipstream::postgres {

namespace {

using Settings = std::map<std::string, std::string>;

absl::Status UrlInvalid() {
  return status::Error(absl::StatusCode::kInvalidArgument, kUrlInvalid,
                       "the PostgreSQL URL cannot be read; it looks like "
                       "postgresql://user:password@host:5432/database, with special characters in "
                       "the password written as %XX");
}

absl::StatusOr<Settings> ParseUrl(const std::string& url) {
  char* error = nullptr;
  PQconninfoOption* parsed = PQconninfoParse(url.c_str(), &error);
  if (parsed == nullptr) {
    PQfreemem(error);  // not shown: it quotes the URL
    return UrlInvalid();
  }
  Settings settings;
  for (auto* option = parsed; option->keyword != nullptr; ++option) {
    if (option->val != nullptr) settings[option->keyword] = option->val;
  }
  PQconninfoFree(parsed);
  // A bare @ or : in a password shifts a part of it into the host or the port, which libpq's errors
  // quote.
  if (absl::StrContains(settings["host"], "@") ||
      settings["port"].find_first_not_of("0123456789,") != std::string::npos) {
    return UrlInvalid();
  }
  if (settings["host"].empty()) settings.erase("host");
  if (settings["port"].empty()) settings.erase("port");
  return settings;
}

// keyword='value' pairs, as libpq reads them.
std::string ConnInfo(const Settings& settings) {
  std::string out;
  for (const auto& [key, value] : settings) {
    absl::StrAppend(&out, key, "='");
    for (char c : value) {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
    out += "' ";
  }
  return out;
}

absl::Status Unreachable(absl::string_view why) {
  const absl::string_view line = why.substr(0, why.find('\n'));
  return status::Error(absl::StatusCode::kUnavailable, kUnreachable,
                       absl::StrCat("PostgreSQL cannot be reached: ", line,
                                    "; check that it runs and that the URL, user and password of "
                                    "its setting are right"));
}

bool EndsConnection(const std::string& sqlstate) {
  // Class 08: connection exceptions. 57P01 to 57P05: the server ends, or ended this session.
  return absl::StartsWith(sqlstate, "08") || absl::StartsWith(sqlstate, "57P");
}

absl::Status FromException(const std::exception& error, bool open) {
  if (dynamic_cast<const pqxx::broken_connection*>(&error) != nullptr || !open) {
    return Unreachable(error.what());
  }
  const auto* sql = dynamic_cast<const pqxx::sql_error*>(&error);
  const std::string sqlstate = sql == nullptr ? "" : sql->sqlstate();
  if (EndsConnection(sqlstate)) return Unreachable(error.what());
  if (sqlstate == "57014") {
    return status::Error(absl::StatusCode::kDeadlineExceeded, kStatementTimeout,
                         "PostgreSQL ended a statement that took longer than its timeout; look "
                         "for locks and load in pg_stat_activity");
  }
  const absl::string_view text = error.what();
  return status::Error(
      absl::StatusCode::kFailedPrecondition, kStatementRefused,
      absl::StrCat("PostgreSQL refused a statement: ", text.substr(0, text.find('\n'))),
      {{"sqlstate", sqlstate}});
}

// libpqxx would silently connect anew inside a call, without our session settings and timeouts.
void InhibitReactivation(pqxx::connection& connection) {
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
  connection.inhibit_reactivation(true);
#pragma clang diagnostic pop
}

Rows ToRows(const pqxx::result& result) {
  Rows rows;
  rows.reserve(result.size());
  for (const auto& from : result) {
    Row row;
    row.reserve(from.size());
    for (const auto& field : from) {
      if (field.is_null()) {
        row.emplace_back(std::nullopt);
      } else {
        row.emplace_back(std::string(field.c_str(), field.size()));
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

struct Connection::Impl {
  explicit Impl(const std::string& conn_info) : connection(conn_info), quiet(connection) {
    InhibitReactivation(connection);
    sync::MutexLock lock(mutex);
    socket = connection.sock();
  }
  ~Impl() {
    // The number may belong to another file as soon as the connection is closed.
    sync::MutexLock lock(mutex);
    socket = -1;
  }
  pqxx::connection connection;
  pqxx::quiet_errorhandler quiet;  // notices go nowhere instead of to stderr
  std::string set_up_sql;          // empty once it ran
  sync::Mutex mutex;
  int socket ABSL_GUARDED_BY(mutex) = -1;
};

absl::Status CheckUrl(const std::string& url) { return ParseUrl(url).status(); }

std::string VersionText(int server_version) {
  return absl::StrCat(server_version / 10000, ".", server_version % 10000);
}

absl::Status CheckServerVersion(int server_version, int min_server_version) {
  if (server_version >= min_server_version) return absl::OkStatus();
  return status::Error(absl::StatusCode::kFailedPrecondition, kTooOld,
                       absl::StrCat("PostgreSQL ", VersionText(server_version),
                                    " is too old: ", VersionText(min_server_version),
                                    " or later is needed; upgrade the server or "
                                    "configure another one"));
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const ConnectionOptions& options) {
  auto settings = ParseUrl(options.url);
  if (!settings.ok()) return settings.status();
  auto& s = *settings;
  const int64_t connect_s =
      absl::ToInt64Seconds(absl::Ceil(options.connect_timeout, absl::Seconds(1)));
  s["connect_timeout"] = absl::StrCat(std::max<int64_t>(connect_s, 2));
  s["client_encoding"] = "UTF8";
  s.try_emplace("application_name", options.application_name);
  std::unique_ptr<Connection> out;
  try {
    out.reset(new Connection(std::make_unique<Impl>(ConnInfo(s))));
    out->server_version_ = out->impl_->connection.server_version();
  } catch (const std::exception& error) {
    return Unreachable(error.what());
  }
  if (absl::Status old = CheckServerVersion(out->server_version_, options.min_server_version);
      !old.ok()) {
    return old;
  }
  // SET instead of the `options` parameter, which connection poolers refuse. Sent with the first
  // statement, not here: only what Abort can cut off may wait for a server without a limit.
  out->impl_->set_up_sql = absl::StrCat(
      "SET SESSION statement_timeout = ", absl::ToInt64Milliseconds(options.statement_timeout),
      "; SET SESSION default_transaction_read_only = ", options.read_only ? "on" : "off");
  return out;
}

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

absl::StatusOr<Rows> Connection::Query(const std::string& sql,
                                       const std::vector<std::optional<std::string>>& parameters) {
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const auto& p : parameters) values.push_back(p ? p->c_str() : nullptr);
  try {
    pqxx::nontransaction work(impl_->connection);
    if (!impl_->set_up_sql.empty()) {
      work.exec(impl_->set_up_sql);
      impl_->set_up_sql.clear();
    }
    return ToRows(values.empty()
                      ? work.exec(sql)
                      : work.exec_params(sql, pqxx::prepare::make_dynamic_params(values)));
  } catch (const std::exception& error) {
    return FromException(error, impl_->connection.is_open());
  }
}

void Connection::Abort() {
  sync::MutexLock lock(impl_->mutex);
  if (impl_->socket >= 0) shutdown(impl_->socket, SHUT_RDWR);
}

}  // namespace slipstream::postgres
