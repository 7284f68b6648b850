#include "libs/postgres/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <pqxx/pqxx>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/postgres/conn_info.h"
#include "libs/postgres/pq_errors.h"
#include "libs/status/status.h"
#include "libs/sync/mutex.h"

namespace slipstream::postgres {

namespace {

// keyword='value' pairs, as libpq reads them.
std::string ConnInfoText(const Settings& settings) {
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

absl::Status FromException(const std::exception& error, bool open) {
  if (dynamic_cast<const pqxx::broken_connection*>(&error) != nullptr || !open) {
    return Unreachable(error.what());
  }
  const auto* sql = dynamic_cast<const pqxx::sql_error*>(&error);
  const std::string sqlstate = sql == nullptr ? "" : sql->sqlstate();
  return FromSqlState(sqlstate, error.what());
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

std::string AddressText(const std::string& url) {
  auto settings = ParseUrl(url);
  if (!settings.ok()) return "";
  auto& s = *settings;
  return absl::StrCat(s["host"], s["port"].empty() ? "" : ":", s["port"], "/", s["dbname"]);
}

std::string DatabaseText(const std::string& url) {
  auto settings = ParseUrl(url);
  return settings.ok() ? (*settings)["dbname"] : "";
}

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
    out.reset(new Connection(std::make_unique<Impl>(ConnInfoText(s))));
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
  return Run(sql, parameters, !parameters.empty());
}

absl::StatusOr<Rows> Connection::QueryOne(
    const std::string& sql, const std::vector<std::optional<std::string>>& parameters) {
  return Run(sql, parameters, true);
}

absl::StatusOr<Rows> Connection::Run(const std::string& sql,
                                     const std::vector<std::optional<std::string>>& parameters,
                                     bool extended) {
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const auto& p : parameters) values.push_back(p ? p->c_str() : nullptr);
  try {
    pqxx::nontransaction work(impl_->connection);
    if (!impl_->set_up_sql.empty()) {
      work.exec(impl_->set_up_sql);
      impl_->set_up_sql.clear();
    }
    return ToRows(extended ? work.exec_params(sql, pqxx::prepare::make_dynamic_params(values))
                           : work.exec(sql));
  } catch (const std::exception& error) {
    return FromException(error, impl_->connection.is_open());
  }
}

void Connection::Abort() {
  sync::MutexLock lock(impl_->mutex);
  if (impl_->socket >= 0) shutdown(impl_->socket, SHUT_RDWR);
}

}  // namespace slipstream::postgres
