#include "services/database_optimizer/recommendations/recommendation_engine.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/status/status.h"
#include "services/database_optimizer/recommendations/own_tables.h"
#include "services/database_optimizer/whatif/health_checks.h"

namespace slipstream::database_optimizer {

namespace {

using v1::Recommendation;

// gRPC refuses messages above 4 MiB.
constexpr size_t kMaxAnswerBytes = 3 * 1024 * 1024;
constexpr size_t kMaxTableNameBytes = 255;
// Of the caller's time, what is left for storing and answering after a search.
constexpr absl::Duration kAfterSearch = absl::Seconds(3);

absl::Status CheckId(absl::string_view id) {
  bool good = id.size() == 36;
  for (size_t i = 0; good && i < id.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    good = dash ? id[i] == '-' : absl::ascii_isxdigit(static_cast<unsigned char>(id[i]));
  }
  if (good) return absl::OkStatus();
  return status::FieldError("recommendation_id",
                            "must be a UUID, as ListRecommendations and Optimize give it");
}

absl::Status CheckOptimize(const v1::OptimizeRequest& request) {
  if (request.has_storage_budget_bytes() &&
      (request.storage_budget_bytes() < 0 ||
       request.storage_budget_bytes() > RecommendationEngine::kMaxBudgetBytes)) {
    return status::FieldError("storage_budget_bytes", "must be 0 to 2^50");
  }
  if (request.tables_size() > RecommendationEngine::kMaxTablesCount) {
    return status::FieldError("tables", "must be at most 1,000");
  }
  for (const auto& table : request.tables()) {
    if (table.empty() || table.size() > kMaxTableNameBytes ||
        table.find('\0') != std::string::npos) {
      return status::FieldError("tables", "each must be a name of 1-255 bytes");
    }
  }
  return absl::OkStatus();
}

absl::Status StateError(const Recommendation& r, absl::string_view what) {
  return status::Error(
      absl::StatusCode::kFailedPrecondition, kRecommendationState,
      absl::StrCat("the recommendation is ", Recommendation::Status_Name(r.status()), ": ", what),
      {{"status", Recommendation::Status_Name(r.status())}});
}

// Plans are the long part; the statements with the least gain lose theirs first.
void KeepBelowAnswerBytes(v1::OptimizeResponse& response) {
  for (int i = response.recommendations_size() - 1;
       i >= 0 && response.ByteSizeLong() > kMaxAnswerBytes; --i) {
    auto* evidence = response.mutable_recommendations(i)->mutable_evidence();
    for (auto& query : *evidence->mutable_queries()) {
      query.clear_plan_before_json();
      query.clear_plan_after_json();
    }
  }
}

std::string FilterOf(const v1::ListRecommendationsRequest& request) {
  return absl::StrCat("ListRecommendations/", request.status(), "/", request.kind());
}

// "gain id"
absl::StatusOr<RecommendationStore::Position> ParsePosition(const std::string& text) {
  RecommendationStore::Position out;
  const size_t space = text.find(' ');
  if (space == std::string::npos || !absl::SimpleAtod(text.substr(0, space), &out.gain)) {
    return status::FieldError("page_token", "was not made by this service");
  }
  out.recommendation_id = text.substr(space + 1);
  return out;
}

// New objects only: what is dropped or only shown is asked for one by one.
bool AppliedWithSearch(const Recommendation& r) {
  return r.kind() == Recommendation::CREATE_INDEX ||
         r.kind() == Recommendation::CREATE_STATISTICS || r.kind() == Recommendation::ANALYZE_TABLE;
}

}  // namespace

template <class T>
Async<absl::StatusOr<T>> RecommendationEngine::WithStore(
    absl::Duration time_left, std::function<absl::StatusOr<T>(RecommendationStore&)> use) {
  const clock::Clock& clock = deps_.clock;
  random::Random& random = deps_.random;
  co_return co_await deps_.writer.Run<T>(
      time_left,
      [&clock, &random, use = std::move(use)](postgres::Connection& c) -> absl::StatusOr<T> {
        if (absl::Status status = EnsureOwnTables(c); !status.ok()) return status;
        RecommendationStore store(c, clock, random);
        return use(store);
      });
}

Async<absl::StatusOr<v1::OptimizeResponse>> RecommendationEngine::Optimize(
    const v1::OptimizeRequest& request, std::string user, absl::Duration time_left) {
  if (absl::Status bad = CheckOptimize(request); !bad.ok()) co_return bad;
  const absl::Time deadline = deps_.clock.Now() + time_left;
  AdvisorOptions options = deps_.advisor;
  if (request.has_storage_budget_bytes()) options.budget_bytes = request.storage_budget_bytes();
  options.tables.assign(request.tables().begin(), request.tables().end());
  options.deadline = deadline - kAfterSearch;
  auto barred = co_await WithStore<std::set<std::string>>(
      time_left, [](RecommendationStore& store) { return store.BarredNames(); });
  if (!barred.ok()) co_return barred.status();
  options.barred_names = *std::move(barred);
  const clock::Clock& clock = deps_.clock;
  auto advice = co_await deps_.reader.Run<Advice>(
      deadline - clock.Now(), [&clock, options](postgres::Connection& c) -> absl::StatusOr<Advice> {
        auto found = AdviseIndexes(c, clock, options);
        if (!found.ok()) return found.status();
        if (absl::Status status = CheckHealth(c, options, *found); !status.ok()) return status;
        return found;
      });
  if (!advice.ok()) co_return advice.status();
  for (const auto& gap : advice->gaps) {
    deps_.logger.Info("a search for indexes has a gap", {{"gap", gap}});
  }
  std::vector<Proposal> proposals = std::move(advice->proposals);
  std::sort(proposals.begin(), proposals.end(), [](const Proposal& a, const Proposal& b) {
    return std::tuple(-a.gain_percent, a.recommendation.kind(), a.object) <
           std::tuple(-b.gain_percent, b.recommendation.kind(), b.object);
  });
  if (proposals.size() > kMaxRecommendationsCount) proposals.resize(kMaxRecommendationsCount);
  const bool apply = request.apply();
  const std::vector<std::string> tables = options.tables;
  auto stored = co_await WithStore<std::vector<Recommendation>>(
      deadline - clock.Now(),
      [proposals = std::move(proposals), tables, apply,
       user](RecommendationStore& store) -> absl::StatusOr<std::vector<Recommendation>> {
        auto found = store.Propose(proposals, tables);
        if (!found.ok() || !apply) return found;
        for (auto& r : *found) {
          if (!AppliedWithSearch(r)) continue;
          auto change = store.BeginChange(r.recommendation_id(), Recommendation::PROPOSED,
                                          Recommendation::APPLYING, Step::kBuild, false, user,
                                          r.evidence().size_bytes());
          // Another call took it up meanwhile.
          if (status::Reason(change.status()) == kRecommendationChanged) continue;
          if (!change.ok()) return change.status();
          r.set_status(Recommendation::APPLYING);
        }
        return found;
      });
  if (!stored.ok()) co_return stored.status();
  if (apply) deps_.wake();
  v1::OptimizeResponse response;
  response.set_cost_before(advice->cost_before);
  response.set_cost_after(advice->cost_after);
  *response.mutable_examined() = advice->examined;
  response.set_dry_run(!apply);
  for (auto& r : *stored) *response.add_recommendations() = std::move(r);
  KeepBelowAnswerBytes(response);
  co_return response;
}

Async<absl::StatusOr<v1::ListRecommendationsResponse>> RecommendationEngine::List(
    const v1::ListRecommendationsRequest& request, absl::Duration time_left) {
  const int page_size = request.page_size() == 0 ? kDefaultPageSize : request.page_size();
  if (page_size < 1 || page_size > kMaxPageSize) {
    co_return status::FieldError("page_size", "must be 1-100, or 0 for 20");
  }
  if (!Recommendation::Status_IsValid(request.status())) {
    co_return status::FieldError("status", "is none of the known ones");
  }
  if (!Recommendation::Kind_IsValid(request.kind())) {
    co_return status::FieldError("kind", "is none of the known ones");
  }
  auto token = deps_.page_tokens.Decode(request.page_token(), FilterOf(request));
  if (!token.ok()) co_return token.status();
  std::optional<RecommendationStore::Position> after;
  if (!token->empty()) {
    auto position = ParsePosition(*token);
    if (!position.ok()) co_return position.status();
    after = *std::move(position);
  }
  const auto status = request.status();
  const auto kind = request.kind();
  auto found = co_await WithStore<std::vector<StoredRecommendation>>(
      time_left,
      [=](RecommendationStore& store) { return store.List(status, kind, after, page_size + 1); });
  if (!found.ok()) co_return found.status();
  v1::ListRecommendationsResponse response;
  if (static_cast<int>(found->size()) > page_size) {
    found->resize(page_size);
    const auto& last = found->back();
    auto next = deps_.page_tokens.Encode(
        absl::StrFormat("%.17g %s", last.gain, last.recommendation.recommendation_id()),
        FilterOf(request));
    if (!next.ok()) co_return next.status();
    response.set_next_page_token(*std::move(next));
  }
  for (auto& stored : *found) *response.add_recommendations() = std::move(stored.recommendation);
  co_return response;
}

Async<absl::StatusOr<Recommendation>> RecommendationEngine::Get(std::string id,
                                                                absl::Duration time_left) {
  if (absl::Status bad = CheckId(id); !bad.ok()) co_return bad;
  co_return co_await WithStore<Recommendation>(
      time_left, [id](RecommendationStore& store) -> absl::StatusOr<Recommendation> {
        auto stored = store.Get(id);
        if (!stored.ok()) return stored.status();
        return std::move(stored->recommendation);
      });
}

Async<absl::StatusOr<v1::ApplyRecommendationResponse>> RecommendationEngine::Apply(
    const v1::ApplyRecommendationRequest& request, std::string user, absl::Duration time_left) {
  const std::string id = request.recommendation_id();
  if (absl::Status bad = CheckId(id); !bad.ok()) co_return bad;
  const bool confirm = request.confirm();
  auto applied = co_await WithStore<Recommendation>(
      time_left, [id, confirm, user](RecommendationStore& store) -> absl::StatusOr<Recommendation> {
        auto stored = store.Get(id);
        if (!stored.ok()) return stored.status();
        Recommendation& r = stored->recommendation;
        if (r.kind() == Recommendation::CHANGE_SETTING) {
          return StateError(r, "settings are shown, never applied: run its statement yourself");
        }
        if (r.status() != Recommendation::PROPOSED) {
          return StateError(r,
                            "only one that is PROPOSED can be applied; run Optimize to propose "
                            "it again");
        }
        if (!confirm) return std::move(r);
        auto change = store.BeginChange(id, Recommendation::PROPOSED, Recommendation::APPLYING,
                                        Step::kBuild, false, user, r.evidence().size_bytes());
        if (!change.ok()) return change.status();
        r.set_status(Recommendation::APPLYING);
        return std::move(r);
      });
  if (!applied.ok()) co_return applied.status();
  if (confirm) deps_.wake();
  v1::ApplyRecommendationResponse response;
  for (const auto& sql : applied->apply_statements()) response.add_statements(sql);
  response.set_dry_run(!confirm);
  *response.mutable_recommendation() = *std::move(applied);
  co_return response;
}

Async<absl::StatusOr<Recommendation>> RecommendationEngine::Revert(std::string id, std::string user,
                                                                   absl::Duration time_left) {
  if (absl::Status bad = CheckId(id); !bad.ok()) co_return bad;
  auto reverting = co_await WithStore<Recommendation>(
      time_left, [id, user](RecommendationStore& store) -> absl::StatusOr<Recommendation> {
        auto stored = store.Get(id);
        if (!stored.ok()) return stored.status();
        Recommendation& r = stored->recommendation;
        absl::Status status;
        if (r.revert_statements().empty()) {
          return StateError(r, "there is nothing to take back for this kind");
        }
        if (r.status() == Recommendation::VERIFYING) {
          status = store.TurnBack(id, user);
        } else if (r.status() == Recommendation::VERIFIED) {
          status = store
                       .BeginChange(id, Recommendation::VERIFIED, Recommendation::REVERTING,
                                    Step::kRevert, false, user, 0)
                       .status();
        } else {
          return StateError(r, "only one that is VERIFYING or VERIFIED can be taken back");
        }
        if (!status.ok()) return status;
        r.set_status(Recommendation::REVERTING);
        return std::move(r);
      });
  if (reverting.ok()) deps_.wake();
  co_return reverting;
}

}  // namespace slipstream::database_optimizer
