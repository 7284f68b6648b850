// One connection to a PostgreSQL server: libpqxx 6.4 behind Status.
//
// libpqxx throws; its exceptions end in connection.cc and nowhere else. Calls block, so they are
// made on a Client's threads (client.h) or on the main thread at start, never on a gRPC or Asio
// thread.
//
// Thread safety: one thread at a time; Abort alone may come from any thread while another is inside
// Query.
//
// Errors, each with a reason of reasons below: UNAVAILABLE (nobody answers, or the connection
// broke: throw this object away), DEADLINE_EXCEEDED (statement timeout), FAILED_PRECONDITION (the
// server is too old, or refused the statement; metadata `sqlstate` says why), INVALID_ARGUMENT (the
// URL). No message quotes the URL: it carries a password.
#ifndef LIBS_POSTGRES_CONNECTION_H_
#define LIBS_POSTGRES_CONNECTION_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace slipstream::postgres {

inline constexpr absl::string_view kUnreachable = "POSTGRES_UNREACHABLE";
inline constexpr absl::string_view kBusy = "POSTGRES_BUSY";
inline constexpr absl::string_view kTooOld = "POSTGRES_TOO_OLD";
inline constexpr absl::string_view kUrlInvalid = "POSTGRES_URL_INVALID";
inline constexpr absl::string_view kStatementTimeout = "POSTGRES_STATEMENT_TIMEOUT";
inline constexpr absl::string_view kStatementRefused = "POSTGRES_STATEMENT_REFUSED";

// As libpq counts: 14.2 is 140002.
inline constexpr int kMinServerVersion = 140002;

struct ConnectionOptions {
  std::string url;  // postgresql://user:password@host:port/name; secret
  // From the first packet to the end of signing in, per address of the host. libpq counts whole
  // seconds and knows no less than 2.
  absl::Duration connect_timeout = absl::Seconds(3);
  // The server ends a statement after this.
  absl::Duration statement_timeout = absl::Seconds(5);
  // default_transaction_read_only: for connections that only look.
  bool read_only = false;
  std::string application_name = "slipstream";
  int min_server_version = kMinServerVersion;
};

// Text as PostgreSQL gives it; nullopt is NULL.
using Row = std::vector<std::optional<std::string>>;
using Rows = std::vector<Row>;

// OK, or INVALID_ARGUMENT. Opens nothing.
absl::Status CheckUrl(const std::string& url);

// Where it leads, without secrets: "host:port/name", with libpq's defaults left out; empty when the
// URL cannot be read.
std::string AddressText(const std::string& url);
// The database's name; empty when the URL does not say it.
std::string DatabaseText(const std::string& url);

// "15.4" of 150004.
std::string VersionText(int server_version);

// OK, or FAILED_PRECONDITION with both versions in its message.
absl::Status CheckServerVersion(int server_version, int min_server_version);

class Connection {
 public:
  // Connects and checks the server's version; ends within the connect timeout.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One statement with $1, $2, ... in a transaction of its own. All rows are held in memory, so the
  // statement bounds them (LIMIT).
  absl::StatusOr<Rows> Query(const std::string& sql,
                             const std::vector<std::optional<std::string>>& parameters = {});

  // The same for a text that somebody else wrote: by the extended protocol, in which the server
  // takes one statement and refuses more.
  absl::StatusOr<Rows> QueryOne(const std::string& sql,
                                const std::vector<std::optional<std::string>>& parameters = {});

  int server_version() const { return server_version_; }

  // Cuts the connection: a Query that waits for a server which does not answer ends with
  // UNAVAILABLE at once. The statement timeout cannot do that, as it is the server that keeps it.
  void Abort();

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  absl::StatusOr<Rows> Run(const std::string& sql,
                           const std::vector<std::optional<std::string>>& parameters,
                           bool extended);

  std::unique_ptr<Impl> impl_;
  int server_version_ = 0;
};

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_CONNECTION_H_
