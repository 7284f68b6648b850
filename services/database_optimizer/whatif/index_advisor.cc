#include "services/database_optimizer/whatif/index_advisor.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "libs/status/status.h"
#include "libs/timestamp/timestamp.h"
#include "services/database_optimizer/whatif/catalog_reader.h"
#include "services/database_optimizer/whatif/parameter_sampler.h"
#include "services/database_optimizer/whatif/row_reader.h"

namespace slipstream::database_optimizer {

namespace {

constexpr int kSamplesCount = 3;
constexpr size_t kMaxEvidenceQueriesCount = 50;
constexpr size_t kMaxPlansCount = 3;  // statements of a recommendation that show their plans
constexpr size_t kMaxPlanBytes = 64 * 1024;
constexpr size_t kMaxStatementTextBytes = 4096;
constexpr size_t kMaxGapsCount = 20;
// Of the time that is left, what trying candidates may take.
constexpr double kTryingShare = 0.7;
constexpr int kMaxRoundsCount = 4;
constexpr double kLeastGainShare = 1e-6;  // of the workload's time

class IndexAdvisor {
 public:
  IndexAdvisor(postgres::Connection& connection, const clock::Clock& clock,
               const AdvisorOptions& options)
      : connection_(connection), clock_(clock), options_(options), begun_at_(clock.Now()) {}

  absl::StatusOr<Advice> Advise() {
    auto catalog = ReadCatalog(connection_);
    if (!catalog.ok()) return catalog.status();
    out_.catalog = *std::move(catalog);
    if (absl::Status status = ResolveTables(); !status.ok()) return status;
    if (absl::Status status = ReadSize(); !status.ok()) return status;
    auto workload = ReadWorkload(connection_, options_.max_statements_count);
    if (!workload.ok()) return workload.status();
    auto what_if = WhatIf::Begin(connection_);
    if (!what_if.ok()) return what_if.status();
    if (absl::Status status = Examine(*workload, *what_if); !status.ok()) return status;
    if (absl::Status status = Search(*what_if); !status.ok()) return status;
    if (out_.gaps.size() > kMaxGapsCount) out_.gaps.resize(kMaxGapsCount);
    return std::move(out_);
  }

 private:
  absl::Status ResolveTables() {
    for (const auto& text : options_.tables) {
      // A dot may be part of a name, so the whole is tried first.
      int place = out_.catalog.Find("", text);
      const size_t dot = text.find('.');
      if (place < 0 && dot != std::string::npos) {
        place = out_.catalog.Find(text.substr(0, dot), text.substr(dot + 1));
      }
      if (place < 0) {
        return status::FieldError(
            "tables", absl::StrCat("there is no table `", text.substr(0, 100),
                                   "` in this database, or several schemas have it: write "
                                   "schema.table"));
      }
      wanted_.insert(place);
    }
    return absl::OkStatus();
  }

  absl::Status ReadSize() {
    auto rows = connection_.Query("SELECT pg_database_size(current_database())");
    if (!rows.ok()) return rows.status();
    out_.database_bytes = rows->empty() ? 0 : IntAt(rows->front(), 0);
    auto* examined = &out_.examined;
    examined->set_tables_count(static_cast<int64_t>(out_.catalog.tables().size()));
    for (const auto& table : out_.catalog.tables()) {
      examined->set_indexes_count(examined->indexes_count() +
                                  static_cast<int64_t>(table.indexes.size()));
    }
    return absl::OkStatus();
  }

  bool Wanted(const StatementShape& shape) const {
    if (wanted_.empty()) return true;
    return wanted_.count(shape.written_table) > 0 ||
           std::any_of(shape.relations.begin(), shape.relations.end(),
                       [&](const Relation& r) { return wanted_.count(r.table) > 0; });
  }

  absl::Status Examine(const Workload& workload, WhatIf& what_if) {
    int unreadable_count = 0;
    int unplannable_count = 0;
    std::set<int> places;
    for (const auto& source : workload.statements) {
      auto shape = AnalyzeStatement(source.sql, out_.catalog);
      if (!shape.ok()) {
        ++unreadable_count;
        continue;
      }
      const bool of_ours = !shape->relations.empty() || shape->written_table >= 0;
      if (!of_ours || !Wanted(*shape)) continue;
      for (const auto& relation : shape->relations) places.insert(relation.table);
      ExaminedStatement statement;
      statement.source = source;
      statement.shape = *std::move(shape);
      out_.statements.push_back(std::move(statement));
    }
    if (absl::Status status = ReadStatistics(connection_, places, out_.catalog); !status.ok()) {
      return status;
    }
    for (auto& statement : out_.statements) {
      if (statement.shape.relations.empty()) continue;  // INSERT ... VALUES: only written
      absl::Status status = MakePlans(what_if, statement);
      if (status::Reason(status) == kStatementUnplannable || absl::IsFailedPrecondition(status)) {
        ++unplannable_count;
        statement.plans.clear();
      } else if (!status.ok()) {
        return status;
      }
    }
    if (workload.since) {
      *out_.examined.mutable_since() = timestamp::FromTime(*workload.since);
    }
    out_.examined.set_statements_count(static_cast<int64_t>(workload.statements.size()));
    if (unreadable_count > 0) {
      out_.gaps.push_back(absl::StrCat(unreadable_count, " statements could not be read"));
    }
    if (unplannable_count > 0) {
      out_.gaps.push_back(absl::StrCat(unplannable_count, " statements could not be planned"));
    }
    return absl::OkStatus();
  }

  absl::Status MakePlans(WhatIf& what_if, ExaminedStatement& statement) {
    std::vector<std::string> samples;
    const int count = statement.shape.parameters.empty() ? 1 : kSamplesCount;
    const double rows_per_run = static_cast<double>(statement.source.rows_count) /
                                std::max(1.0, static_cast<double>(statement.source.calls_count));
    for (int i = 0; i < count; ++i) {
      samples.push_back(
          FillIn(statement.source.sql, statement.shape, out_.catalog, rows_per_run, i, count));
    }
    auto planned = what_if.MakePlannable(samples, WithCasts(statement.source.sql, statement.shape));
    if (!planned.ok()) return planned.status();
    auto plans = what_if.Explain(*planned);
    if (!plans.ok()) return plans.status();
    statement.planned = *std::move(planned);
    statement.plans = *std::move(plans);
    for (const auto& plan : statement.plans) statement.cost += plan.cost;
    statement.cost /= static_cast<double>(statement.plans.size());
    return absl::OkStatus();
  }

  // Statements that have plans; the search knows only them.
  void Split() {
    for (const auto& statement : out_.statements) {
      (statement.plans.empty() ? unplanned_ : planned_).push_back(statement);
    }
    // Those that only write have a cost of their own to the indexes.
    writers_ = planned_;
    writers_.insert(writers_.end(), unplanned_.begin(), unplanned_.end());
  }

  std::vector<IndexDefinition> Candidates() const {
    std::vector<CountedStatement> counted;
    for (const auto& statement : planned_) {
      counted.push_back({&statement.shape, statement.source.calls_count});
    }
    auto candidates = BuildCandidates(counted, out_.catalog,
                                      {.max_columns_count = options_.max_index_columns_count});
    std::erase_if(candidates, [&](const IndexDefinition& candidate) {
      const int place = out_.catalog.Find(candidate.schema, candidate.table);
      const std::string name = candidate.Name(options_.index_prefix);
      const auto& indexes = out_.catalog.table(place).indexes;
      return (!wanted_.empty() && wanted_.count(place) == 0) ||
             options_.barred_names.count(name) > 0 ||
             std::any_of(indexes.begin(), indexes.end(),
                         [&](const IndexInfo& index) { return index.name == name; });
    });
    return candidates;
  }

  absl::Status Search(WhatIf& what_if) {
    Split();
    const absl::Time end = begun_at_ + (options_.deadline - begun_at_) * kTryingShare;
    CostMatrixBuilder builder(what_if, out_.catalog, planned_, [&] { return clock_.Now() > end; });
    if (absl::Status status = builder.Build(Candidates()); !status.ok()) return status;
    const int64_t budget = options_.budget_bytes.value_or(out_.database_bytes / 10);
    // What the chosen ones do together may be more than was tried; with that the choice may change.
    for (int round = 0; round < kMaxRoundsCount; ++round) {
      matrix_ = builder.matrix();
      for (size_t i = 0; i < matrix_.candidates.size(); ++i) {
        matrix_.problem.write_costs[i] = WriteCostMs(matrix_.candidates[i], out_.catalog, writers_);
      }
      auto selection = SelectIndexes(matrix_.problem, budget);
      if (!selection.ok()) return selection.status();
      chosen_ = selection->chosen;
      auto more = builder.TryChosen(chosen_);
      if (!more.ok()) return more.status();
      if (!*more) break;
    }
    if (matrix_.cut_short) {
      out_.gaps.push_back(
          "the time was over before all candidates were tried: give the call a "
          "longer deadline, or name tables");
    }
    DropSmallGains();
    return Describe(what_if);
  }

  // What the workload costs with these indexes, and the combination each statement uses.
  double CostWith(const std::vector<int>& chosen, std::vector<int>* used) const {
    const auto& problem = matrix_.problem;
    std::vector<double> costs = problem.base_costs;
    if (used != nullptr) used->assign(costs.size(), -1);
    std::vector<char> there(matrix_.candidates.size(), 0);
    for (const int i : chosen) there[i] = 1;
    for (const auto& entry : problem.costs) {
      const auto& members = problem.combinations[entry.combination];
      if (entry.cost >= costs[entry.query] ||
          !std::all_of(members.begin(), members.end(), [&](int i) { return there[i] != 0; })) {
        continue;
      }
      costs[entry.query] = entry.cost;
      if (used != nullptr) (*used)[entry.query] = entry.combination;
    }
    double sum = 0;
    for (const double cost : costs) sum += cost;
    for (const int i : chosen) sum += problem.write_costs[i];
    return sum;
  }

  double GainOf(int candidate) const {
    std::vector<int> without = chosen_;
    std::erase(without, candidate);
    return CostWith(without, nullptr) - CostWith(chosen_, nullptr);
  }

  double TotalMs() const {
    double sum = 0;
    for (const auto& statement : writers_) sum += statement.source.total_ms;
    return sum;
  }

  void DropSmallGains() {
    // Never one that is not used, whatever the setting says.
    const double least = std::max(kLeastGainShare, options_.min_gain_percent / 100) * TotalMs();
    while (!chosen_.empty()) {
      std::vector<double> gains;
      for (const int i : chosen_) gains.push_back(GainOf(i));
      const auto worst = std::min_element(gains.begin(), gains.end());
      if (*worst >= least) return;
      chosen_.erase(chosen_.begin() + (worst - gains.begin()));
    }
  }

  absl::Status Describe(WhatIf& what_if) {
    std::vector<int> used;
    CostWith(chosen_, &used);
    if (absl::Status status = what_if.Reset(); !status.ok()) return status;
    for (const int i : chosen_) {
      auto index = what_if.Add(matrix_.candidates[i]);
      if (!index.ok()) return index.status();
    }
    double units = 0;
    for (size_t q = 0; q < planned_.size(); ++q) {
      const auto& statement = planned_[q];
      const auto calls = static_cast<double>(statement.source.calls_count);
      out_.cost_before += calls * statement.cost;
      out_.cost_after += calls * CostAfter(q, used[q]);
      units += statement.source.total_ms;
    }
    units_per_ms_ = units > 0 ? out_.cost_before / units : 1;
    for (const int i : chosen_) {
      out_.cost_after += matrix_.problem.write_costs[i] * units_per_ms_;
      auto proposal = DescribeOne(what_if, i, used);
      if (!proposal.ok()) return proposal.status();
      out_.proposals.push_back(*std::move(proposal));
    }
    std::sort(out_.proposals.begin(), out_.proposals.end(), [](const auto& a, const auto& b) {
      return std::pair(-a.gain_percent, a.object) < std::pair(-b.gain_percent, b.object);
    });
    return absl::OkStatus();
  }

  // Per run, in the planner's units.
  double CostAfter(size_t query, int combination) const {
    return combination < 0 ? planned_[query].cost : matrix_.planner_costs[combination];
  }

  absl::StatusOr<Proposal> DescribeOne(WhatIf& what_if, int candidate,
                                       const std::vector<int>& used) {
    const IndexDefinition& index = matrix_.candidates[candidate];
    Proposal out;
    out.index_schema = index.schema;
    out.index_name = index.Name(options_.index_prefix);
    out.object = absl::StrCat(index.schema, ".", out.index_name);
    const double total_ms = TotalMs();
    out.gain_percent = total_ms > 0 ? 100 * GainOf(candidate) / total_ms : 0;
    auto& r = out.recommendation;
    r.set_kind(v1::Recommendation::CREATE_INDEX);
    r.set_status(v1::Recommendation::PROPOSED);
    r.set_table(absl::StrCat(index.schema, ".", index.table));
    r.add_apply_statements(index.CreateSql(out.index_name));
    r.add_revert_statements(DropIndexSql(index.schema, out.index_name));
    auto* evidence = r.mutable_evidence();
    evidence->set_cost_before(out_.cost_before);
    evidence->set_cost_after(out_.cost_before -
                             (total_ms > 0 ? GainOf(candidate) * units_per_ms_ : 0));
    evidence->set_size_bytes(matrix_.problem.size_bytes[candidate]);
    evidence->set_write_cost(matrix_.problem.write_costs[candidate] * units_per_ms_);
    std::vector<size_t> queries;
    for (size_t q = 0; q < planned_.size(); ++q) {
      if (used[q] < 0) continue;
      const auto& members = matrix_.problem.combinations[used[q]];
      if (std::count(members.begin(), members.end(), candidate) > 0) queries.push_back(q);
    }
    std::sort(queries.begin(), queries.end(),
              [&](size_t a, size_t b) { return SavedMs(a, used[a]) > SavedMs(b, used[b]); });
    if (absl::Status status = AddQueries(what_if, queries, used, *evidence); !status.ok()) {
      return status;
    }
    r.set_reason(absl::StrFormat(
        "%d of the statements examined would run on it; by the planner's costs and the time that "
        "was measured they would take %.1f%% of the workload's time less, what writes pay for it "
        "included.",
        queries.size(), out.gain_percent));
    return out;
  }

  double SavedMs(size_t query, int combination) const {
    const auto& statement = planned_[query];
    return statement.source.total_ms *
           (1 - CostAfter(query, combination) / std::max(statement.cost, 1e-9));
  }

  absl::Status AddQueries(WhatIf& what_if, const std::vector<size_t>& queries,
                          const std::vector<int>& used, v1::Evidence& evidence) {
    for (size_t i = 0; i < std::min(queries.size(), kMaxEvidenceQueriesCount); ++i) {
      const ExaminedStatement& statement = planned_[queries[i]];
      auto* query = evidence.add_queries();
      query->set_fingerprint(statement.source.fingerprint);
      query->set_statement(status::BoundedText(statement.source.sql, kMaxStatementTextBytes));
      query->set_calls_count(statement.source.calls_count);
      query->set_cost_before(statement.cost);
      query->set_cost_after(CostAfter(queries[i], used[queries[i]]));
      if (i >= kMaxPlansCount) continue;
      auto after = what_if.ExplainSample(statement.planned, 0);
      if (!after.ok()) return after.status();
      const std::string& before = statement.plans[0].text;
      if (before.size() <= kMaxPlanBytes) query->set_plan_before_json(before);
      if (after->text.size() <= kMaxPlanBytes) query->set_plan_after_json(after->text);
    }
    return absl::OkStatus();
  }

  postgres::Connection& connection_;
  const clock::Clock& clock_;
  const AdvisorOptions& options_;
  const absl::Time begun_at_;
  std::set<int> wanted_;  // places of options_.tables
  std::vector<ExaminedStatement> planned_, unplanned_, writers_;
  CostMatrix matrix_;
  std::vector<int> chosen_;
  double units_per_ms_ = 1;
  Advice out_;
};

}  // namespace

absl::StatusOr<Advice> AdviseIndexes(postgres::Connection& connection, const clock::Clock& clock,
                                     const AdvisorOptions& options) {
  return IndexAdvisor(connection, clock, options).Advise();
}

}  // namespace slipstream::database_optimizer
