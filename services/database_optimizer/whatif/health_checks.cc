#include "services/database_optimizer/whatif/health_checks.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "services/database_optimizer/candidates/sql_text.h"
#include "services/database_optimizer/whatif/row_reader.h"

namespace slipstream::database_optimizer {

namespace {

using Kind = v1::Recommendation::Kind;

// Below these nothing is said: a small index costs nothing, and of few reads nothing follows.
constexpr int64_t kLeastUnusedBytes = 64 * 1024;
constexpr int64_t kLeastTableReadsCount = 100;
constexpr double kStaleShare = 0.2;  // autovacuum analyzes at a tenth by default
constexpr int64_t kLeastStaleRowsCount = 1000;
constexpr int kMaxPairsCount = 20;  // of columns that are looked at for dependence
constexpr int kSampleRowsCount = 10000;
// Pairs of values seen, of those that independent columns would have.
constexpr double kDependentShare = 0.5;
constexpr double kLeastBufferHitRatio = 0.95;

class HealthChecker {
 public:
  HealthChecker(postgres::Connection& connection, const AdvisorOptions& options, Advice& advice)
      : connection_(connection), options_(options), advice_(advice) {}

  absl::Status Check() {
    if (absl::Status status = ReadActivity(); !status.ok()) return status;
    for (const auto& table : advice_.catalog.tables()) {
      if (!Wanted(table)) continue;
      CheckIndexes(table);
      CheckAnalyze(table);
    }
    if (absl::Status status = CheckStatistics(); !status.ok()) return status;
    return options_.tables.empty() ? CheckSettings() : absl::OkStatus();
  }

 private:
  bool Wanted(const TableInfo& table) const {
    if (options_.tables.empty()) return true;
    return std::any_of(options_.tables.begin(), options_.tables.end(), [&](const auto& text) {
      return text == table.name || text == absl::StrCat(table.schema, ".", table.name);
    });
  }

  // Indexes that are being built just now are not leftovers; and how often tables are read.
  absl::Status ReadActivity() {
    auto building = connection_.Query("SELECT index_relid FROM pg_stat_progress_create_index");
    if (!building.ok()) return building.status();
    for (const auto& row : *building) building_.insert(IntAt(row, 0));
    auto reads = connection_.Query(
        "SELECT relid, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_user_tables "
        "LIMIT 10000");
    if (!reads.ok()) return reads.status();
    for (const auto& row : *reads) reads_[IntAt(row, 0)] = IntAt(row, 1);
    return absl::OkStatus();
  }

  Proposal& Propose(Kind kind, const std::string& table, std::string object, std::string reason) {
    Proposal proposal;
    proposal.object = std::move(object);
    auto& r = proposal.recommendation;
    r.set_kind(kind);
    r.set_status(v1::Recommendation::PROPOSED);
    r.set_table(table);
    r.set_reason(std::move(reason));
    advice_.proposals.push_back(std::move(proposal));
    return advice_.proposals.back();
  }

  void ProposeDrop(Kind kind, const TableInfo& table, const IndexInfo& index, std::string reason) {
    Proposal& proposal = Propose(kind, absl::StrCat(table.schema, ".", table.name),
                                 absl::StrCat(index.schema, ".", index.name), std::move(reason));
    proposal.index_schema = index.schema;
    proposal.index_name = index.name;
    auto& r = proposal.recommendation;
    r.add_apply_statements(DropIndexSql(index.schema, index.name));
    // What was broken is not made again.
    if (kind != v1::Recommendation::DROP_INVALID_INDEX) {
      constexpr char kCreate[] = "CREATE INDEX ";
      if (absl::StartsWith(index.definition, kCreate)) {
        r.add_revert_statements(absl::StrCat("CREATE INDEX CONCURRENTLY ",
                                             index.definition.substr(sizeof(kCreate) - 1)));
      }
    }
    IndexDefinition like;
    like.schema = table.schema;
    like.table = table.name;
    for (const auto& key : index.keys) like.keys.push_back({key});
    like.include = index.include;
    like.predicate = index.predicate;
    double total_ms = 0;
    double units = 0;
    for (const auto& statement : advice_.statements) {
      total_ms += statement.source.total_ms;
      units += statement.cost * static_cast<double>(statement.source.calls_count);
    }
    const double saved_ms = WriteCostMs(like, advice_.catalog, advice_.statements);
    proposal.gain_percent = total_ms > 0 ? 100 * saved_ms / total_ms : 0;
    auto* evidence = r.mutable_evidence();
    evidence->set_size_bytes(index.size_bytes);
    evidence->set_write_cost(total_ms > 0 ? -saved_ms * units / total_ms : 0);
    evidence->set_cost_before(advice_.cost_before);
    evidence->set_cost_after(advice_.cost_before);
  }

  void CheckIndexes(const TableInfo& table) {
    const auto reads = reads_.find(table.oid);
    for (size_t i = 0; i < table.indexes.size(); ++i) {
      const IndexInfo& index = table.indexes[i];
      if (!index.valid) {
        if (building_.count(index.oid) == 0) {
          ProposeDrop(v1::Recommendation::DROP_INVALID_INDEX, table, index,
                      "A build of it failed. It answers no statement and every write pays for it.");
        }
        continue;
      }
      if (index.unique || index.of_constraint || index.used_by_replica_identity) continue;
      if (const IndexInfo* other = CoveredBy(table, i)) {
        ProposeDrop(v1::Recommendation::DROP_DUPLICATE_INDEX, table, index,
                    absl::StrCat("The index ", other->name,
                                 " does all that it does: ", other->definition.substr(0, 600)));
      } else if (index.scans_count == 0 && index.size_bytes >= kLeastUnusedBytes &&
                 reads != reads_.end() && reads->second >= kLeastTableReadsCount) {
        ProposeDrop(v1::Recommendation::DROP_UNUSED_INDEX, table, index,
                    absl::StrCat("No statement used it while the table was read ", reads->second,
                                 " times since PostgreSQL's statistics were reset. Reads on "
                                 "replicas are not counted here."));
      }
    }
  }

  // Of two that are the same, the later one goes.
  static const IndexInfo* CoveredBy(const TableInfo& table, size_t place) {
    const IndexInfo& index = table.indexes[place];
    for (size_t i = 0; i < table.indexes.size(); ++i) {
      const IndexInfo& other = table.indexes[i];
      if (i == place || !Covers(other, index)) continue;
      const bool same = Covers(index, other) && !other.unique && !other.of_constraint &&
                        !other.used_by_replica_identity;
      if (!same || i < place) return &other;
    }
    return nullptr;
  }

  void CheckAnalyze(const TableInfo& table) {
    const auto changes = table.changes_since_analyze_count;
    const bool never =
        !table.ever_analyzed && table.inserts_count + changes >= kLeastStaleRowsCount;
    const bool stale = changes >= kLeastStaleRowsCount &&
                       static_cast<double>(changes) > kStaleShare * table.rows_count;
    if (table.partitioned || (!never && !stale)) return;
    const std::string name = absl::StrCat(table.schema, ".", table.name);
    Propose(v1::Recommendation::ANALYZE_TABLE, name, name,
            never ? "The planner has no statistics of it: it was never analyzed."
                  : absl::StrCat(changes, " rows changed since it was analyzed last; of ",
                                 static_cast<int64_t>(table.rows_count),
                                 " that the planner believes in."))
        .recommendation.add_apply_statements(
            absl::StrCat("ANALYZE ", QuoteName(table.schema, table.name)));
  }

  // Columns that the workload compares together, but that are not independent of each other: the
  // planner multiplies their shares and expects far too few rows.
  absl::Status CheckStatistics() {
    std::map<std::tuple<int, std::string, std::string>, int64_t> pairs;
    for (const auto& statement : advice_.statements) {
      const StatementShape& shape = statement.shape;
      for (size_t r = 0; r < shape.relations.size(); ++r) {
        std::set<std::string> equal;
        for (const auto& c : shape.comparisons) {
          if (c.column.relation == static_cast<int>(r) && c.kind == Comparison::Kind::kEqual &&
              !c.alternative) {
            equal.insert(c.column.column);
          }
        }
        for (auto a = equal.begin(); a != equal.end(); ++a) {
          for (auto b = std::next(a); b != equal.end(); ++b) {
            pairs[{shape.relations[r].table, *a, *b}] += statement.source.calls_count;
          }
        }
      }
    }
    int looked_at_count = 0;
    for (const auto& [pair, calls] : pairs) {
      const auto& [place, a, b] = pair;
      const TableInfo& table = advice_.catalog.table(place);
      if (!Wanted(table) || table.partitioned || table.rows_count < kLeastStaleRowsCount) continue;
      if (++looked_at_count > kMaxPairsCount) break;
      absl::Status status = CheckPair(table, a, b, calls);
      if (absl::IsUnavailable(status)) return status;
      if (!status.ok()) {
        advice_.gaps.push_back(absl::StrCat(
            "columns of ", table.name, " could not be sampled: ", status.message().substr(0, 200)));
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckPair(const TableInfo& table, const std::string& a, const std::string& b,
                         int64_t calls_count) {
    const std::string qualified = QuoteName(table.schema, table.name);
    auto known = connection_.Query(
        "SELECT 1 FROM pg_statistic_ext s WHERE s.stxrelid = $1::oid AND "
        "(SELECT count(*) FROM pg_attribute t WHERE t.attrelid = s.stxrelid AND "
        "t.attnum = ANY (s.stxkeys::int2[]) AND t.attname IN ($2, $3)) = 2 LIMIT 1",
        {absl::StrCat(table.oid), a, b});
    if (!known.ok()) return known.status();
    if (!known->empty()) return absl::OkStatus();
    const double share = 100.0 * kSampleRowsCount / std::max(table.rows_count, 1.0);
    auto rows = connection_.Query(absl::StrCat(
        "SELECT count(*), count(DISTINCT a), count(DISTINCT b), count(DISTINCT (a, b)) FROM "
        "(SELECT ",
        QuoteName(a), " AS a, ", QuoteName(b), " AS b FROM ", qualified, " TABLESAMPLE SYSTEM (",
        absl::StrFormat("%.6f", std::clamp(share, 0.0001, 100.0)), ") LIMIT ", kSampleRowsCount,
        ") s"));
    if (!rows.ok()) return rows.status();
    if (rows->empty()) return absl::OkStatus();
    const double count = DoubleAt(rows->front(), 0);
    const double of_a = DoubleAt(rows->front(), 1);
    const double of_b = DoubleAt(rows->front(), 2);
    const double of_both = DoubleAt(rows->front(), 3);
    // With (nearly) one row a value there is nothing to see.
    const double expected = std::min(count, of_a * of_b);
    if (of_a < 2 || of_b < 2 || of_both > kDependentShare * expected || of_both > count / 3) {
      return absl::OkStatus();
    }
    const std::string columns = absl::StrCat(QuoteName(a), ", ", QuoteName(b));
    IndexDefinition named{table.schema, table.name, {{a}, {b}}, {}, ""};
    const std::string name = named.Name("slipstream_st_");
    Proposal& proposal = Propose(
        v1::Recommendation::CREATE_STATISTICS, absl::StrCat(table.schema, ".", table.name),
        absl::StrCat(table.schema, ".", name),
        absl::StrFormat("%d runs compare %s and %s together, which depend on each other: of %.0f "
                        "sampled rows with %.0f and %.0f values there are %.0f pairs. The planner "
                        "takes them as independent and expects too few rows.",
                        calls_count, a.substr(0, 63), b.substr(0, 63), count, of_a, of_b, of_both));
    auto& r = proposal.recommendation;
    r.add_apply_statements(absl::StrCat("CREATE STATISTICS ", QuoteName(table.schema, name),
                                        " (ndistinct, dependencies, mcv) ON ", columns, " FROM ",
                                        qualified));
    r.add_apply_statements(absl::StrCat("ANALYZE ", qualified));
    r.add_revert_statements(
        absl::StrCat("DROP STATISTICS IF EXISTS ", QuoteName(table.schema, name)));
    return absl::OkStatus();
  }

  void ProposeSetting(const std::string& name, const std::string& value, std::string reason) {
    Propose(v1::Recommendation::CHANGE_SETTING, "", name, std::move(reason))
        .recommendation.add_apply_statements(
            absl::StrCat("ALTER SYSTEM SET ", QuoteName(name), " = ", QuoteValue(value)));
  }

  absl::Status CheckSettings() {
    auto rows = connection_.Query(
        "SELECT current_setting('autovacuum'), current_setting('track_io_timing'), "
        "pg_size_bytes(current_setting('shared_buffers')), "
        "pg_size_bytes(current_setting('work_mem')), d.blks_hit, d.blks_read, d.temp_bytes, "
        "d.temp_files, b.checkpoints_req, b.checkpoints_timed, "
        "pg_size_bytes(current_setting('max_wal_size')) "
        "FROM pg_stat_database d, pg_stat_bgwriter b WHERE d.datname = current_database()");
    if (absl::IsFailedPrecondition(rows.status())) {
      advice_.gaps.push_back("the server's settings could not be read");
      return absl::OkStatus();
    }
    if (!rows.ok()) return rows.status();
    if (rows->empty()) return absl::OkStatus();
    const auto& row = rows->front();
    if (TextAt(row, 0) != "on") {
      ProposeSetting(
          "autovacuum", "on",
          "Autovacuum is off: dead rows and old statistics stay until somebody vacuums.");
    }
    if (TextAt(row, 1) != "on") {
      ProposeSetting("track_io_timing", "on",
                     "Time spent on reading blocks is not measured, so plans do not show it.");
    }
    const int64_t buffers = IntAt(row, 2);
    const double hit = DoubleAt(row, 4);
    const double read = DoubleAt(row, 5);
    if (hit + read > 100000 && hit / (hit + read) < kLeastBufferHitRatio &&
        advice_.database_bytes > buffers) {
      ProposeSetting("shared_buffers", absl::StrCat(buffers * 2 / (1024 * 1024), "MB"),
                     absl::StrFormat("%.1f%% of the blocks were found in shared_buffers, which is "
                                     "smaller than the database; a quarter of the memory is usual. "
                                     "Needs a restart.",
                                     100 * hit / (hit + read)));
    }
    if (const int64_t files = IntAt(row, 7); files > 100) {
      ProposeSetting(
          "work_mem", absl::StrCat(IntAt(row, 3) * 2 / 1024, "kB"),
          absl::StrCat("Sorts and hashes wrote ", files, " temporary files with ", IntAt(row, 6),
                       " bytes; each operation of each session may take "
                       "that much."));
    }
    const int64_t requested = IntAt(row, 8);
    if (requested > 10 && requested > IntAt(row, 9)) {
      ProposeSetting("max_wal_size", absl::StrCat(IntAt(row, 10) * 2 / (1024 * 1024), "MB"),
                     absl::StrCat(requested,
                                  " checkpoints came because the log was full, more than "
                                  "those that came in time."));
    }
    return absl::OkStatus();
  }

  postgres::Connection& connection_;
  const AdvisorOptions& options_;
  Advice& advice_;
  std::set<int64_t> building_;
  std::map<int64_t, int64_t> reads_;  // per table
};

}  // namespace

bool Covers(const IndexInfo& other, const IndexInfo& index) {
  if (!other.valid || other.method != "btree" || index.method != "btree") return false;
  if (other.predicate != index.predicate || other.keys.size() < index.keys.size()) return false;
  for (size_t i = 0; i < index.keys.size(); ++i) {
    if (index.keys[i].empty() || other.keys[i] != index.keys[i]) return false;
  }
  for (const auto& column : index.include) {
    if (std::count(other.keys.begin(), other.keys.end(), column) +
            std::count(other.include.begin(), other.include.end(), column) ==
        0) {
      return false;
    }
  }
  // Operator classes, collations and directions of the same columns.
  const std::vector<std::string> of_other = absl::StrSplit(other.options, '/');
  const std::vector<std::string> of_index = absl::StrSplit(index.options, '/');
  for (size_t part = 0; part < 3 && part < std::min(of_other.size(), of_index.size()); ++part) {
    const std::vector<std::string> a = absl::StrSplit(of_other[part], ' ');
    const std::vector<std::string> b = absl::StrSplit(of_index[part], ' ');
    for (size_t i = 0; i < index.keys.size() && i < a.size() && i < b.size(); ++i) {
      if (a[i] != b[i]) return false;
    }
  }
  return true;
}

absl::Status CheckHealth(postgres::Connection& connection, const AdvisorOptions& options,
                         Advice& advice) {
  return HealthChecker(connection, options, advice).Check();
}

}  // namespace slipstream::database_optimizer
