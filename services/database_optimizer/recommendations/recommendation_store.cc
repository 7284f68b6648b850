#include "services/database_optimizer/recommendations/recommendation_store.h"

#include <google/protobuf/util/json_util.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"
#include "nlohmann/json.hpp"
#include "services/database_optimizer/whatif/row_reader.h"

namespace slipstream::database_optimizer {

namespace {

using Parameters = std::vector<std::optional<std::string>>;
using v1::Recommendation;

constexpr char kColumns[] =
    "r.recommendation_id, r.status, r.object, r.index_schema, r.index_name, r.gain, "
    "extract(epoch FROM r.created_at), extract(epoch FROM r.updated_at), ";
constexpr char kBody[] = "r.body::text";
// Plans are long: only Get gives them.
constexpr char kBodyWithoutPlans[] =
    "CASE WHEN r.body #> '{evidence,queries}' IS NULL THEN r.body ELSE "
    "jsonb_set(r.body, '{evidence,queries}', (SELECT coalesce(jsonb_agg(q - 'planBeforeJson' - "
    "'planAfterJson'), '[]') FROM jsonb_array_elements(r.body #> '{evidence,queries}') q)) "
    "END::text";

std::string Seconds(absl::Time time) {
  return absl::StrFormat("%.6f", absl::ToDoubleSeconds(time - absl::UnixEpoch()));
}
absl::Time TimeAt(const postgres::Row& row, size_t column) {
  return absl::UnixEpoch() + absl::Seconds(DoubleAt(row, column));
}
std::string Precise(double value) { return absl::StrFormat("%.17g", value); }

std::string ToJson(const Recommendation& recommendation) {
  std::string out;
  // It cannot fail: every field is plain.
  if (!google::protobuf::util::MessageToJsonString(recommendation, &out).ok()) return "{}";
  return out;
}

StoredRecommendation ReadRow(const postgres::Row& row) {
  StoredRecommendation out;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer version wrote it
  if (!google::protobuf::util::JsonStringToMessage(TextAt(row, 8), &out.recommendation, options)
           .ok()) {
    out.recommendation.set_error("its body cannot be read");
  }
  auto& r = out.recommendation;
  r.set_recommendation_id(TextAt(row, 0));
  r.set_status(static_cast<Recommendation::Status>(IntAt(row, 1)));
  *r.mutable_created_at() = timestamp::FromTime(TimeAt(row, 6));
  *r.mutable_updated_at() = timestamp::FromTime(TimeAt(row, 7));
  out.object = TextAt(row, 2);
  out.index_schema = TextAt(row, 3);
  out.index_name = TextAt(row, 4);
  out.gain = DoubleAt(row, 5);
  return out;
}

absl::Status Changed() {
  return status::Error(absl::StatusCode::kAborted, kRecommendationChanged,
                       "the recommendation was changed by another call meanwhile: read it again");
}

constexpr std::pair<Step, const char*> kSteps[] = {{Step::kBuild, "BUILD"},
                                                   {Step::kVerify, "VERIFY"},
                                                   {Step::kClean, "CLEAN"},
                                                   {Step::kRevert, "REVERT"}};

std::optional<std::string> OrNull(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

}  // namespace

std::string StepName(Step step) {
  for (const auto& [known, name] : kSteps) {
    if (known == step) return name;
  }
  return "";
}

absl::Status RecommendationStore::InTransaction(
    const std::vector<std::pair<std::string, Parameters>>& statements) {
  if (auto begun = connection_.Query("BEGIN"); !begun.ok()) return begun.status();
  for (const auto& [sql, parameters] : statements) {
    auto rows = connection_.Query(sql, parameters);
    // Every statement of a transaction here returns what it changed; nothing means that the state
    // was another one.
    if (rows.ok() && !rows->empty()) continue;
    connection_.Query("ROLLBACK").IgnoreError();
    return rows.ok() ? Changed() : rows.status();
  }
  return connection_.Query("COMMIT").status();
}

absl::StatusOr<std::vector<Recommendation>> RecommendationStore::Propose(
    const std::vector<Proposal>& proposals, const std::vector<std::string>& tables) {
  const absl::Time now = clock_.Now();
  std::vector<Recommendation> out;
  std::vector<std::string> ids;
  for (const auto& proposal : proposals) {
    auto rows = connection_.Query(
        "INSERT INTO slipstream.recommendations AS r (recommendation_id, kind, status, object, "
        "index_schema, index_name, table_name, gain, body, created_at, updated_at) VALUES "
        "($1, $2, 1, $3, $4, $5, $6, $7, $8, to_timestamp($9), to_timestamp($9)) "
        "ON CONFLICT (kind, object) WHERE status = 1 DO UPDATE SET gain = excluded.gain, "
        "body = excluded.body, updated_at = excluded.updated_at "
        "RETURNING r.recommendation_id, extract(epoch FROM r.created_at)",
        {random::Uuid7(clock_, random_), absl::StrCat(proposal.recommendation.kind()),
         proposal.object, proposal.index_schema, proposal.index_name,
         proposal.recommendation.table(), Precise(proposal.gain_percent),
         ToJson(proposal.recommendation), Seconds(now)});
    if (!rows.ok()) return rows.status();
    if (rows->empty()) return Changed();
    Recommendation stored = proposal.recommendation;
    stored.set_recommendation_id(TextAt(rows->front(), 0));
    *stored.mutable_created_at() = timestamp::FromTime(TimeAt(rows->front(), 1));
    *stored.mutable_updated_at() = timestamp::FromTime(now);
    ids.push_back(stored.recommendation_id());
    out.push_back(std::move(stored));
  }
  nlohmann::json names = nlohmann::json::array();
  for (const auto& table : tables) {  // given with or without their schema
    names.push_back(table);
    names.push_back(absl::StrCat("public.", table));
  }
  auto gone = connection_.Query(
      "DELETE FROM slipstream.recommendations r WHERE r.status = 1 AND r.updated_at < "
      "to_timestamp($1) AND NOT r.recommendation_id = ANY ($2::uuid[]) AND ($3::boolean OR "
      "r.table_name IN (SELECT jsonb_array_elements_text($4::jsonb)))",
      {Seconds(now), absl::StrCat("{", absl::StrJoin(ids, ","), "}"), tables.empty() ? "t" : "f",
       names.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)});
  if (!gone.ok()) return gone.status();
  return out;
}

absl::StatusOr<StoredRecommendation> RecommendationStore::Get(const std::string& id) {
  auto rows = connection_.Query(absl::StrCat("SELECT ", kColumns, kBody,
                                             " FROM slipstream.recommendations r "
                                             "WHERE r.recommendation_id = $1::uuid"),
                                {id});
  if (!rows.ok()) return rows.status();
  if (rows->empty()) {
    return status::Error(absl::StatusCode::kNotFound, kRecommendationNotFound,
                         "there is no such recommendation: the last search may not have found it "
                         "again; list them, or run Optimize");
  }
  return ReadRow(rows->front());
}

std::string RecommendationStore::ListSql(bool by_status, bool by_kind, bool after) {
  std::string sql = absl::StrCat("SELECT ", kColumns, kBodyWithoutPlans,
                                 " FROM slipstream.recommendations r WHERE $1::int IS NOT NULL");
  int next = 2;
  if (by_kind) absl::StrAppend(&sql, " AND r.kind = $", next++, "::smallint");
  if (by_status) absl::StrAppend(&sql, " AND r.status = $", next++, "::smallint");
  if (after) {
    absl::StrAppend(&sql, " AND (r.gain, r.recommendation_id) < ($", next, "::double precision, $",
                    next + 1, "::uuid)");
  }
  return absl::StrCat(sql, " ORDER BY r.gain DESC, r.recommendation_id DESC LIMIT $1::int");
}

absl::StatusOr<std::vector<StoredRecommendation>> RecommendationStore::List(
    RecommendationStatus status, Recommendation::Kind kind, const std::optional<Position>& after,
    int limit_count) {
  Parameters parameters = {absl::StrCat(limit_count)};
  if (kind != 0) parameters.push_back(absl::StrCat(kind));
  if (status != 0) parameters.push_back(absl::StrCat(status));
  if (after) {
    parameters.push_back(Precise(after->gain));
    parameters.push_back(after->recommendation_id);
  }
  auto rows = connection_.Query(ListSql(status != 0, kind != 0, after.has_value()), parameters);
  if (!rows.ok()) return rows.status();
  std::vector<StoredRecommendation> out;
  for (const auto& row : *rows) out.push_back(ReadRow(row));
  return out;
}

absl::StatusOr<std::set<std::string>> RecommendationStore::BarredNames() {
  auto rows = connection_.Query(
      "SELECT index_name FROM slipstream.recommendations WHERE status = ANY ($1::smallint[]) "
      "AND updated_at > to_timestamp($2) AND kind = $3::smallint LIMIT 10000",
      {absl::StrCat("{", Recommendation::REVERTED, ",", Recommendation::FAILED, "}"),
       Seconds(clock_.Now() - kBarredFor), absl::StrCat(Recommendation::CREATE_INDEX)});
  if (!rows.ok()) return rows.status();
  std::set<std::string> out;
  for (const auto& row : *rows) out.insert(TextAt(row, 0));
  return out;
}

absl::Status RecommendationStore::DeleteOld() {
  const std::string before = Seconds(clock_.Now() - kFinishedKept);
  // Changes go with their recommendation. What was verified stays: it may be taken back.
  return connection_
      .Query(
          "WITH gone AS (DELETE FROM slipstream.recommendations WHERE recommendation_id IN (SELECT "
          "recommendation_id FROM slipstream.recommendations WHERE status = ANY ($1::smallint[]) "
          "AND updated_at < to_timestamp($2) LIMIT 1000) RETURNING recommendation_id) "
          "DELETE FROM slipstream.changes c USING gone g "
          "WHERE c.recommendation_id = g.recommendation_id AND c.finished_at IS NOT NULL",
          {absl::StrCat("{", Recommendation::REVERTED, ",", Recommendation::FAILED, "}"), before})
      .status();
}

absl::StatusOr<std::string> RecommendationStore::BeginChange(
    const std::string& recommendation_id, RecommendationStatus from, RecommendationStatus to,
    Step step, bool automatic, const std::string& requested_by, int64_t size_bytes) {
  const std::string now = Seconds(clock_.Now());
  const std::string change_id = random::Uuid7(clock_, random_);
  absl::Status status = InTransaction(
      {{"UPDATE slipstream.recommendations SET status = $2, updated_at = to_timestamp($4) "
        "WHERE recommendation_id = $1::uuid AND status = $3 RETURNING 1",
        {recommendation_id, absl::StrCat(to), absl::StrCat(from), now}},
       {"INSERT INTO slipstream.changes (change_id, recommendation_id, step, automatic, "
        "requested_by, size_bytes, due_at, started_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, "
        "to_timestamp($7), to_timestamp($7), to_timestamp($7)) RETURNING 1",
        {change_id, recommendation_id, StepName(step), automatic ? "t" : "f",
         requested_by.substr(0, 255), absl::StrCat(size_bytes), now}}});
  if (!status.ok()) return status;
  return change_id;
}

absl::StatusOr<std::vector<Change>> RecommendationStore::OpenChanges() {
  auto rows = connection_.Query(
      "SELECT change_id, recommendation_id, step, automatic, requested_by, attempts_count, "
      "size_bytes, measured_before::text, measured_from::text, error, "
      "extract(epoch FROM due_at), extract(epoch FROM started_at) FROM slipstream.changes "
      "WHERE finished_at IS NULL ORDER BY due_at LIMIT 1000");
  if (!rows.ok()) return rows.status();
  std::vector<Change> out;
  for (const auto& row : *rows) {
    Change change;
    change.change_id = TextAt(row, 0);
    change.recommendation_id = TextAt(row, 1);
    for (const auto& [step, name] : kSteps) {
      if (TextAt(row, 2) == name) change.step = step;
    }
    change.automatic = BoolAt(row, 3);
    change.requested_by = TextAt(row, 4);
    change.attempts_count = static_cast<int>(IntAt(row, 5));
    change.size_bytes = IntAt(row, 6);
    change.measured_before = TextAt(row, 7);
    change.measured_from = TextAt(row, 8);
    change.recorded_step = change.step;
    change.error = TextAt(row, 9);
    change.due_at = TimeAt(row, 10);
    change.started_at = TimeAt(row, 11);
    out.push_back(std::move(change));
  }
  return out;
}

namespace {

std::pair<std::string, Parameters> SaveStatement(const Change& change, bool finished,
                                                 absl::Time now) {
  return {
      absl::StrCat(
          "UPDATE slipstream.changes SET step = $2, attempts_count = $3, measured_before = $4, "
          "measured_from = $5, error = $6, due_at = to_timestamp($7), "
          "updated_at = to_timestamp($8)",
          finished ? ", finished_at = to_timestamp($8)" : "",
          " WHERE change_id = $1::uuid AND finished_at IS NULL AND step = $9 RETURNING 1"),
      {change.change_id, StepName(change.step), absl::StrCat(change.attempts_count),
       OrNull(change.measured_before), OrNull(change.measured_from), change.error.substr(0, 1000),
       Seconds(change.due_at), Seconds(now), StepName(change.recorded_step)}};
}

}  // namespace

absl::Status RecommendationStore::Save(Change& change) {
  absl::Status status = InTransaction({SaveStatement(change, false, clock_.Now())});
  if (status.ok()) change.recorded_step = change.step;
  return status;
}

absl::Status RecommendationStore::TurnBack(const std::string& recommendation_id,
                                           const std::string& requested_by) {
  const std::string now = Seconds(clock_.Now());
  return InTransaction(
      {{"UPDATE slipstream.recommendations SET status = $2, updated_at = to_timestamp($4) "
        "WHERE recommendation_id = $1::uuid AND status = $3 RETURNING 1",
        {recommendation_id, absl::StrCat(Recommendation::REVERTING),
         absl::StrCat(Recommendation::VERIFYING), now}},
       {"UPDATE slipstream.changes SET step = 'REVERT', due_at = to_timestamp($2), "
        "updated_at = to_timestamp($2), error = $3 WHERE recommendation_id = $1::uuid "
        "AND finished_at IS NULL AND step = 'VERIFY' RETURNING 1",
        {recommendation_id, now, absl::StrCat("taken back by ", requested_by.substr(0, 255))}}});
}

absl::Status RecommendationStore::Advance(Change& change, const Recommendation& recommendation,
                                          bool finished) {
  const absl::Time now = clock_.Now();
  absl::Status status = InTransaction(
      {{"UPDATE slipstream.recommendations SET status = $2, body = $3, "
        "updated_at = to_timestamp($4) WHERE recommendation_id = $1::uuid RETURNING 1",
        {change.recommendation_id, absl::StrCat(recommendation.status()), ToJson(recommendation),
         Seconds(now)}},
       SaveStatement(change, finished, now)});
  if (status.ok()) change.recorded_step = change.step;
  return status;
}

absl::StatusOr<RecommendationStore::AutomaticFigures> RecommendationStore::Automatic(
    absl::Time since) {
  auto rows = connection_.Query(
      "SELECT (SELECT count(*) FROM slipstream.changes WHERE automatic AND "
      "started_at > to_timestamp($1)), (SELECT coalesce(sum(c.size_bytes), 0) "
      "FROM slipstream.changes c JOIN slipstream.recommendations r USING (recommendation_id) "
      "WHERE c.automatic AND r.status = ANY ($2::smallint[]))",
      {Seconds(since), absl::StrCat("{", Recommendation::APPLYING, ",", Recommendation::VERIFYING,
                                    ",", Recommendation::VERIFIED, "}")});
  if (!rows.ok()) return rows.status();
  if (rows->empty()) return AutomaticFigures{};
  return AutomaticFigures{IntAt(rows->front(), 0), IntAt(rows->front(), 1)};
}

}  // namespace slipstream::database_optimizer
