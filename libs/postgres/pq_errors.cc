#include "libs/postgres/pq_errors.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/postgres/connection.h"
#include "libs/postgres/pool.h"
#include "libs/status/status.h"

namespace slipstream::postgres {

namespace {

absl::string_view FirstLine(absl::string_view text) {
  text = text.substr(0, text.find('\n'));
  return absl::StripSuffix(text, "\r");
}

}  // namespace

absl::Status Unreachable(absl::string_view why) {
  return status::Error(absl::StatusCode::kUnavailable, kUnreachable,
                       absl::StrCat("PostgreSQL cannot be reached: ", FirstLine(why),
                                    "; check that it runs and that the URL, user and password of "
                                    "its setting are right"));
}

bool EndsConnection(absl::string_view sqlstate) {
  // 08P01 also says that the number of parameters is wrong, after which the connection goes on.
  return (absl::StartsWith(sqlstate, "08") && sqlstate != "08P01") ||
         absl::StartsWith(sqlstate, "57P");
}

absl::Status FromSqlState(absl::string_view sqlstate, absl::string_view text) {
  if (EndsConnection(sqlstate)) return Unreachable(text);
  if (sqlstate == "57014") {
    return status::Error(absl::StatusCode::kDeadlineExceeded, kStatementTimeout,
                         "PostgreSQL ended a statement that took longer than its timeout; look "
                         "for locks and load in pg_stat_activity");
  }
  return status::Error(absl::StatusCode::kFailedPrecondition, kStatementRefused,
                       absl::StrCat("PostgreSQL refused a statement: ", FirstLine(text)),
                       {{"sqlstate", std::string(sqlstate)}});
}

absl::Status FromConnectError(absl::string_view text) {
  // "connection to server at ... failed: FATAL:  53300: sorry, too many clients already"
  if (absl::StrContains(text, "53300: ")) {
    return status::Error(absl::StatusCode::kUnavailable, kOutOfConnections,
                         "PostgreSQL has no connection left: raise its max_connections, or lower "
                         "max_connections_count of those who connect to it");
  }
  return Unreachable(text);
}

}  // namespace slipstream::postgres
