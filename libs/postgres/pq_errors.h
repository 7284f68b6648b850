// What PostgreSQL and libpq say, as Status.
//
// Thread safety: free functions.
#ifndef LIBS_POSTGRES_PQ_ERRORS_H_
#define LIBS_POSTGRES_PQ_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipstream::postgres {

// UNAVAILABLE POSTGRES_UNREACHABLE with the first line of `why`.
absl::Status Unreachable(absl::string_view why);

// Whether a server that says so ends the connection: class 08 (but 08P01) and 57P01 to 57P05.
bool EndsConnection(absl::string_view sqlstate);

// A statement's error; `text` is the server's message.
absl::Status FromSqlState(absl::string_view sqlstate, absl::string_view text);

// A failed connect. `text` is libpq's message at PQERRORS_VERBOSE, in which the SQLSTATE stands.
absl::Status FromConnectError(absl::string_view text);

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_PQ_ERRORS_H_
