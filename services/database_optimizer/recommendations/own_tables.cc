#include "services/database_optimizer/recommendations/own_tables.h"

#include "services/database_optimizer/whatif/catalog_reader.h"

namespace slipstream::database_optimizer {

namespace {

// kind, status: numbers of the enums in database_optimizer.proto. body: the message as JSON.
constexpr char kRecommendations[] = R"(
CREATE TABLE slipstream.recommendations (
  recommendation_id uuid PRIMARY KEY,
  kind smallint NOT NULL,
  status smallint NOT NULL,
  object text NOT NULL,
  index_schema text NOT NULL DEFAULT '',
  index_name text NOT NULL DEFAULT '',
  table_name text NOT NULL DEFAULT '',
  gain double precision NOT NULL,
  body jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL))";

// step: BUILD, VERIFY, CLEAN, REVERT; what is to be done next. due_at: not before.
constexpr char kChanges[] = R"(
CREATE TABLE slipstream.changes (
  change_id uuid PRIMARY KEY,
  recommendation_id uuid NOT NULL,
  step text NOT NULL,
  automatic boolean NOT NULL,
  requested_by text NOT NULL,
  attempts_count int NOT NULL DEFAULT 0,
  size_bytes bigint NOT NULL DEFAULT 0,
  measured_before jsonb,
  measured_from jsonb,
  error text NOT NULL DEFAULT '',
  due_at timestamptz NOT NULL,
  started_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  finished_at timestamptz))";

}  // namespace

const std::vector<postgres::Migration>& OwnMigrations() {
  static const std::vector<postgres::Migration> kMigrations = {
      {1,
       "recommendations",
       {kRecommendations,
        // One open proposal an object.
        "CREATE UNIQUE INDEX recommendations_proposed ON slipstream.recommendations (kind, object) "
        "WHERE status = 1",
        // The orders of ListRecommendations, one for each set of filters.
        "CREATE INDEX recommendations_gain ON slipstream.recommendations "
        "(gain DESC, recommendation_id DESC)",
        "CREATE INDEX recommendations_status ON slipstream.recommendations "
        "(status, gain DESC, recommendation_id DESC)",
        "CREATE INDEX recommendations_kind ON slipstream.recommendations "
        "(kind, gain DESC, recommendation_id DESC)",
        "CREATE INDEX recommendations_kind_status ON slipstream.recommendations "
        "(kind, status, gain DESC, recommendation_id DESC)",
        "CREATE INDEX recommendations_index ON slipstream.recommendations (index_name, status)",
        "CREATE INDEX recommendations_updated ON slipstream.recommendations (status, updated_at)"}},
      {2,
       "changes",
       {kChanges,
        "CREATE UNIQUE INDEX changes_open ON slipstream.changes (recommendation_id) "
        "WHERE finished_at IS NULL",
        "CREATE INDEX changes_due ON slipstream.changes (due_at) WHERE finished_at IS NULL",
        "CREATE INDEX changes_recommendation ON slipstream.changes (recommendation_id, started_at)",
        "CREATE INDEX changes_automatic ON slipstream.changes (started_at) WHERE automatic"}},
  };
  return kMigrations;
}

absl::Status EnsureOwnTables(postgres::Connection& connection) {
  return postgres::Migrate(connection, kOwnSchema, OwnMigrations());
}

}  // namespace slipstream::database_optimizer
