#include "libs/postgres/migrations.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::postgres {

namespace {

const int64_t kLockTries = kMigrationWait / absl::Milliseconds(100);
// A step on a table of millions of rows takes longer than a statement usually may.
constexpr char kLongStatements[] = "SET LOCAL statement_timeout = '30min'";

absl::Status Refused(const absl::Status& status, absl::string_view what) {
  if (!absl::IsFailedPrecondition(status)) return status;
  return status::Error(
      absl::StatusCode::kFailedPrecondition, kMigrationRefused,
      absl::StrCat("the service's own tables could not be made (", what, "): ", status.message(),
                   "; the user needs CREATE on the database: GRANT CREATE ON "
                   "DATABASE ... TO ..."),
      {{"sqlstate", status::Metadata(status, "sqlstate").value_or("")}});
}

class Migrator {
 public:
  Migrator(Connection& connection, const std::string& schema)
      : connection_(connection), schema_(schema) {}

  // The last step that ran; 0 when there is no schema yet.
  absl::StatusOr<int> Last() {
    auto there = connection_.Query("SELECT to_regclass($1) IS NOT NULL",
                                   {absl::StrCat(schema_, ".migrations")});
    if (!there.ok()) return there.status();
    if (there->empty() || there->front()[0].value_or("") != "t") return 0;
    auto rows = connection_.Query(
        absl::StrCat("SELECT coalesce(max(number), 0) FROM ", schema_, ".migrations"));
    if (!rows.ok()) return rows.status();
    int last = 0;
    return !rows->empty() && absl::SimpleAtoi(rows->front()[0].value_or(""), &last) ? last : 0;
  }

  // Asked for again and again: a session that waits inside pg_advisory_lock holds a snapshot, on
  // which CREATE INDEX CONCURRENTLY would wait in turn.
  absl::Status Lock() {
    for (int64_t i = 0; i < kLockTries; ++i) {
      auto rows = connection_.Query("SELECT pg_try_advisory_lock(hashtext($1), 1)", {schema_});
      if (!rows.ok()) return rows.status();
      if (!rows->empty() && rows->front()[0].value_or("") == "t") return absl::OkStatus();
      if (auto waited = connection_.Query("SELECT pg_sleep(0.1)"); !waited.ok()) {
        return waited.status();
      }
    }
    return status::Error(absl::StatusCode::kUnavailable, kMigrationBusy,
                         "another replica is changing the service's own tables; try again");
  }

  void Unlock() {
    connection_.Query("SELECT pg_advisory_unlock(hashtext($1), 1)", {schema_}).IgnoreError();
  }

  absl::Status Run(const Migration& migration) {
    std::vector<std::string> statements = {
        "BEGIN", kLongStatements, absl::StrCat("CREATE SCHEMA IF NOT EXISTS ", schema_),
        absl::StrCat("CREATE TABLE IF NOT EXISTS ", schema_,
                     ".migrations (number int PRIMARY KEY, name text NOT NULL, "
                     "applied_at timestamptz NOT NULL DEFAULT now())")};
    // IF NOT EXISTS asks for the right to create even when there is nothing to do.
    if (migration.number > 1) statements.resize(2);
    statements.insert(statements.end(), migration.statements.begin(), migration.statements.end());
    for (const auto& sql : statements) {
      if (absl::Status status = connection_.Query(sql).status(); !status.ok()) {
        connection_.Query("ROLLBACK").IgnoreError();
        return Refused(status, absl::StrCat("step ", migration.number, ", ", migration.name));
      }
    }
    auto noted = connection_.Query(
        absl::StrCat("INSERT INTO ", schema_, ".migrations (number, name) VALUES ($1, $2)"),
        {absl::StrCat(migration.number), migration.name});
    auto ended = connection_.Query(noted.ok() ? "COMMIT" : "ROLLBACK");
    return noted.ok() ? ended.status() : noted.status();
  }

 private:
  Connection& connection_;
  const std::string& schema_;
};

}  // namespace

absl::Status Migrate(Connection& connection, const std::string& schema,
                     const std::vector<Migration>& migrations) {
  Migrator migrator(connection, schema);
  const int newest = migrations.empty() ? 0 : migrations.back().number;
  auto last = migrator.Last();
  if (!last.ok()) return last.status();
  if (*last >= newest) return absl::OkStatus();
  if (absl::Status status = migrator.Lock(); !status.ok()) return status;
  last = migrator.Last();  // another replica may have done it meanwhile
  absl::Status status = last.status();
  for (const auto& migration : migrations) {
    if (!status.ok()) break;
    if (migration.number > *last) status = migrator.Run(migration);
  }
  migrator.Unlock();
  return status;
}

}  // namespace slipstream::postgres
