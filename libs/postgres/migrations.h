// Brings a schema of a service's own tables up to date: numbered steps, each run once, in order.
//
// Steps only add (expand-only): an older version of the service works on with a newer schema, so
// replicas are replaced one by one. A step that ran is never edited.
//
// Each step runs in a transaction of its own together with the note that it ran, so a crash leaves
// a step done or not begun. An advisory lock keeps other replicas out meanwhile.
//
// Thread safety: as the connection. Blocks for up to kMigrationWait while another replica migrates.
// Errors: FAILED_PRECONDITION MIGRATION_REFUSED, with the step and what the server said (mostly a
// missing right); UNAVAILABLE MIGRATION_BUSY; those of Connection.
#ifndef LIBS_POSTGRES_MIGRATIONS_H_
#define LIBS_POSTGRES_MIGRATIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/postgres/connection.h"

namespace slipstream::postgres {

inline constexpr absl::string_view kMigrationRefused = "MIGRATION_REFUSED";
inline constexpr absl::string_view kMigrationBusy = "MIGRATION_BUSY";
inline constexpr absl::Duration kMigrationWait = absl::Seconds(30);

struct Migration {
  int number;        // from 1, without gaps
  const char* name;  // what it adds, for people
  std::vector<const char*> statements;
};

// `schema` needs no quotes: lower-case letters and _. One look-up when there is nothing to do.
absl::Status Migrate(Connection& connection, const std::string& schema,
                     const std::vector<Migration>& migrations);

}  // namespace slipstream::postgres

#endif  // LIBS_POSTGRES_MIGRATIONS_H_
