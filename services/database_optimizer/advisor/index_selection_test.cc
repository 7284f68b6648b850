// Against exact answers by brute force on small problems of several shapes, and for what must hold
// on any: within the budget, never worse than a greedy start, never dearer with a larger budget.
#include "services/database_optimizer/advisor/index_selection.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "gtest/gtest.h"
#include "libs/random/random.h"
#include "libs/status/status.h"

namespace slipstream::database_optimizer {
namespace {

enum class Shape {
  kSingles,     // one index per query, benefit goes with size
  kPairs,       // most indexes help only two at a time
  kHuge,        // one index that helps all and takes most of a budget
  kDuplicates,  // each index has near-copies of other sizes
  kWriteCosts,  // each index costs something, some more than they save
};

struct Size {
  int queries;
  int candidates;
  int ways;  // per query
};

class Generator {
 public:
  Generator(Shape shape, Size size, uint64_t seed) : shape_(shape), size_(size), random_(seed) {}

  SelectionProblem Make() {
    for (int i = 0; i < size_.candidates; ++i) AddCandidate(i);
    for (int q = 0; q < size_.queries; ++q) {
      out_.base_costs.push_back(1000 * (1 + 99 * random_.NextDouble()));
      for (int w = 0; w < size_.ways; ++w) AddWay(q);
    }
    return std::move(out_);
  }

 private:
  int Any() { return static_cast<int>(random_.Uniform(size_.candidates)); }

  void AddCandidate(int i) {
    int64_t bytes = 10 + static_cast<int64_t>(random_.Uniform(990));
    if (shape_ == Shape::kHuge && i == 0) bytes = 2500;
    if (shape_ == Shape::kDuplicates && i % 3 != 0) {
      bytes = out_.size_bytes[i - i % 3] * (90 + static_cast<int64_t>(random_.Uniform(30))) / 100;
    }
    out_.size_bytes.push_back(bytes);
    out_.combinations.push_back({i});
    if (shape_ == Shape::kWriteCosts) out_.write_costs.push_back(2000 * random_.NextDouble());
  }

  double Share(int candidate) {
    const double size = static_cast<double>(out_.size_bytes[candidate]) / 1000;
    if (shape_ == Shape::kHuge && candidate == 0) return 0.5 + 0.4 * random_.NextDouble();
    if (shape_ == Shape::kPairs) return 0.05 * random_.NextDouble();
    return std::min(0.9, size * random_.NextDouble());
  }

  void AddWay(int query) {
    const int first = shape_ == Shape::kHuge && random_.Uniform(4) == 0 ? 0 : Any();
    double share = Share(first);
    out_.costs.push_back({query, first, out_.base_costs[query] * (1 - share)});
    const int second = Any();
    if (second == first || (shape_ != Shape::kPairs && random_.Uniform(3) != 0)) return;
    share = std::min(0.95, share + Share(second) + 0.5 * random_.NextDouble());
    out_.costs.push_back(
        {query, static_cast<int>(out_.combinations.size()), out_.base_costs[query] * (1 - share)});
    out_.combinations.push_back({first, second});
  }

  const Shape shape_;
  const Size size_;
  random::SeededRandom random_;
  SelectionProblem out_;
};

// As the model says, and nothing of the search's tables.
double CostOf(const SelectionProblem& problem, const std::vector<bool>& chosen) {
  std::vector<double> costs = problem.base_costs;
  for (const auto& cost : problem.costs) {
    const auto& members = problem.combinations[cost.combination];
    if (std::all_of(members.begin(), members.end(), [&](int m) { return chosen[m]; })) {
      costs[cost.query] = std::min(costs[cost.query], cost.cost);
    }
  }
  double sum = std::accumulate(costs.begin(), costs.end(), 0.0);
  for (size_t i = 0; i < problem.write_costs.size(); ++i) sum += chosen[i] * problem.write_costs[i];
  return sum;
}

double CostOf(const SelectionProblem& problem, const std::vector<int>& chosen) {
  std::vector<bool> is(problem.size_bytes.size(), false);
  for (int candidate : chosen) is[candidate] = true;
  return CostOf(problem, is);
}

double LeastCost(const SelectionProblem& problem, int64_t budget) {
  const size_t count = problem.size_bytes.size();
  double least = std::numeric_limits<double>::infinity();
  for (uint32_t mask = 0; mask < 1u << count; ++mask) {
    std::vector<bool> chosen(count);
    int64_t bytes = 0;
    for (size_t i = 0; i < count; ++i) {
      chosen[i] = mask >> i & 1;
      bytes += chosen[i] * problem.size_bytes[i];
    }
    if (bytes <= budget) least = std::min(least, CostOf(problem, chosen));
  }
  return least;
}

void ExpectSound(const SelectionProblem& problem, const Selection& selection, int64_t budget) {
  int64_t bytes = 0;
  for (int candidate : selection.chosen) bytes += problem.size_bytes[candidate];
  EXPECT_EQ(bytes, selection.size_bytes);
  EXPECT_LE(bytes, budget);
  EXPECT_NEAR(selection.cost_after, CostOf(problem, selection.chosen), 1e-6);
  EXPECT_NEAR(selection.cost_before, CostOf(problem, std::vector<int>{}), 1e-6);
  EXPECT_LE(selection.cost_after, selection.cost_before + 1e-6);
  EXPECT_LE(selection.cost_bound, selection.cost_after + 1e-6);
  EXPECT_TRUE(std::is_sorted(selection.chosen.begin(), selection.chosen.end()));
  for (size_t q = 0; q < problem.base_costs.size(); ++q) {
    const int used = selection.query_combinations[q];
    if (used < 0) {
      EXPECT_EQ(selection.query_costs[q], problem.base_costs[q]);
      continue;
    }
    for (int member : problem.combinations[used]) {
      EXPECT_TRUE(std::binary_search(selection.chosen.begin(), selection.chosen.end(), member));
    }
  }
}

class IndexSelectionShapes : public testing::TestWithParam<Shape> {};

TEST_P(IndexSelectionShapes, SmallOnesAreSolvedExactlyAndProved) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const SelectionProblem problem = Generator(GetParam(), {6, 11, 12}, seed).Make();
    for (int64_t budget : {300, 1200, 3000}) {
      auto selection = SelectIndexes(problem, budget);
      ASSERT_TRUE(selection.ok()) << selection.status();
      ExpectSound(problem, *selection, budget);
      EXPECT_TRUE(selection->proved) << "seed " << seed << " budget " << budget;
      EXPECT_NEAR(selection->cost_after, LeastCost(problem, budget), 1e-3)
          << "seed " << seed << " budget " << budget;
    }
  }
}

TEST_P(IndexSelectionShapes, LargerOnesKeepTheirPromises) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    const SelectionProblem problem = Generator(GetParam(), {25, 150, 40}, seed).Make();
    const std::vector<int64_t> budgets = {1000, 4000, 3000};
    SelectionOptions options;
    options.max_work_count = 1'500'000;
    auto selections = SelectIndexesForBudgets(problem, budgets, options);
    ASSERT_TRUE(selections.ok()) << selections.status();
    for (size_t i = 0; i < budgets.size(); ++i) {
      const Selection& selection = (*selections)[i];
      ExpectSound(problem, selection, budgets[i]);
      auto greedy = SelectIndexesByRatio(problem, budgets[i]);
      ASSERT_TRUE(greedy.ok());
      ExpectSound(problem, *greedy, budgets[i]);
      EXPECT_LE(selection.cost_after, greedy->cost_after + 1e-6);
    }
    EXPECT_GE((*selections)[0].cost_after + 1e-6, (*selections)[2].cost_after);
    EXPECT_GE((*selections)[2].cost_after + 1e-6, (*selections)[1].cost_after);
  }
}

TEST_P(IndexSelectionShapes, TheSameEachTime) {
  const SelectionProblem problem = Generator(GetParam(), {20, 80, 30}, 7).Make();
  SelectionOptions options;
  options.max_work_count = 1'000'000;
  auto once = SelectIndexes(problem, 3000, options);
  auto again = SelectIndexes(problem, 3000, options);
  ASSERT_TRUE(once.ok() && again.ok());
  EXPECT_EQ(once->chosen, again->chosen);
  EXPECT_EQ(once->work_count, again->work_count);
}

TEST_P(IndexSelectionShapes, TheBoundIsOneWheneverTheSearchEnds) {
  const int64_t budget = 1500;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const SelectionProblem problem = Generator(GetParam(), {8, 12, 12}, seed).Make();
    const double least = LeastCost(problem, budget);
    for (int64_t work_count : {0, 100, 1000, 5000, 20'000}) {
      SelectionOptions options;
      options.max_work_count = work_count;
      auto selection = SelectIndexes(problem, budget, options);
      ASSERT_TRUE(selection.ok()) << selection.status();
      ExpectSound(problem, *selection, budget);
      EXPECT_LE(selection->cost_bound, least + 1e-3) << "seed " << seed << ", " << work_count;
      if (selection->proved) EXPECT_NEAR(selection->cost_after, least, 1e-3);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, IndexSelectionShapes,
                         testing::Values(Shape::kSingles, Shape::kPairs, Shape::kHuge,
                                         Shape::kDuplicates, Shape::kWriteCosts));

// a and b serve both queries together and nothing alone; c has the best ratio and fills the budget.
SelectionProblem OnlyTogether() {
  SelectionProblem problem;
  problem.base_costs = {1000, 1000};
  problem.size_bytes = {50, 50, 10};
  problem.combinations = {{0, 1}, {2}};
  problem.costs = {{0, 0, 100}, {1, 0, 100}, {0, 1, 600}};
  return problem;
}

TEST(IndexSelection, APairThatOnlyHelpsTogetherIsFound) {
  auto selection = SelectIndexes(OnlyTogether(), 100);
  ASSERT_TRUE(selection.ok());
  EXPECT_EQ(selection->chosen, (std::vector<int>{0, 1}));
  EXPECT_EQ(selection->query_combinations, (std::vector<int>{0, 0}));
  EXPECT_DOUBLE_EQ(selection->cost_after, 200);
  EXPECT_TRUE(selection->proved);
  auto greedy = SelectIndexesByRatio(OnlyTogether(), 100);
  ASSERT_TRUE(greedy.ok());
  EXPECT_EQ(greedy->chosen, (std::vector<int>{2}));
}

// A query of its own per group: two indexes that help together, and a smaller one whose gain per
// byte is better, and that is wasted once the pair is there.
struct Traps {
  SelectionProblem problem;
  std::vector<int64_t> pair_bytes, lone_bytes;
  std::vector<double> pair_gains, lone_gains;

  Traps(int groups_count, uint64_t seed) {
    random::SeededRandom random(seed);
    for (int g = 0; g < groups_count; ++g) {
      const int first = static_cast<int>(problem.size_bytes.size());
      const auto bytes = [&](int least, int more) {
        problem.size_bytes.push_back(least + static_cast<int64_t>(random.Uniform(more)));
        return problem.size_bytes.back();
      };
      pair_bytes.push_back(bytes(20, 20) + bytes(20, 20));
      lone_bytes.push_back(bytes(22, 10));
      const double base = 1000 + 100 * random.NextDouble();
      pair_gains.push_back(base * (0.9 + 0.05 * random.NextDouble()));
      lone_gains.push_back(base * (0.42 + 0.05 * random.NextDouble()));
      problem.base_costs.push_back(base);
      problem.combinations.push_back({first, first + 1});
      problem.combinations.push_back({first + 2});
      problem.costs.push_back({g, 2 * g, base - pair_gains.back()});
      problem.costs.push_back({g, 2 * g + 1, base - lone_gains.back()});
    }
  }

  // Exact: the groups share nothing, so it is a knapsack of one choice a group.
  double LeastCost(int64_t budget) const {
    std::vector<double> best(budget + 1, 0);  // gain by bytes
    double base = 0;
    for (size_t g = 0; g < pair_bytes.size(); ++g) {
      base += problem.base_costs[g];
      for (int64_t b = budget; b >= 0; --b) {
        // Smaller b are still as the groups before made them.
        double with = best[b];
        if (b >= pair_bytes[g]) with = std::max(with, best[b - pair_bytes[g]] + pair_gains[g]);
        if (b >= lone_bytes[g]) with = std::max(with, best[b - lone_bytes[g]] + lone_gains[g]);
        best[b] = with;
      }
    }
    return base - best[budget];
  }
};

TEST(IndexSelection, PairsOnWhichGreedyByRatioIsFarOff) {
  constexpr int kGroups = 120;
  const double points = 100;
  double furthest = 0;
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const Traps traps(kGroups, seed);
    const double base = CostOf(traps.problem, std::vector<int>{});
    for (int64_t bytes_per_group : {15, 30, 45, 55}) {
      const int64_t budget = kGroups * bytes_per_group;
      const double least = traps.LeastCost(budget);
      auto selection = SelectIndexes(traps.problem, budget);
      auto greedy = SelectIndexesByRatio(traps.problem, budget);
      ASSERT_TRUE(selection.ok() && greedy.ok());
      ExpectSound(traps.problem, *selection, budget);
      EXPECT_GE(selection->cost_after, least - 1e-6);
      EXPECT_LE(points * (selection->cost_after - least) / base, 1)
          << "seed " << seed << ", budget " << budget;
      furthest = std::max(furthest, points * (greedy->cost_after - least) / base);
    }
  }
  EXPECT_GT(furthest, 10);
}

TEST(IndexSelection, NoBudgetNoIndex) {
  for (int64_t budget : {int64_t{0}, int64_t{-5}, int64_t{9}}) {
    auto selection = SelectIndexes(OnlyTogether(), budget);
    ASSERT_TRUE(selection.ok());
    EXPECT_TRUE(selection->chosen.empty());
    EXPECT_DOUBLE_EQ(selection->cost_after, 2000);
    EXPECT_TRUE(selection->proved);
  }
}

TEST(IndexSelection, AnEmptyProblemIsSolved) {
  auto selection = SelectIndexes({}, 100);
  ASSERT_TRUE(selection.ok());
  EXPECT_TRUE(selection->chosen.empty());
  EXPECT_EQ(selection->cost_after, 0);
}

TEST(IndexSelection, WhatWritesCostIsCharged) {
  SelectionProblem problem = OnlyTogether();
  problem.write_costs = {900, 950, 1};  // a and b save 1800
  auto selection = SelectIndexes(problem, 1000);
  ASSERT_TRUE(selection.ok());
  EXPECT_EQ(selection->chosen, (std::vector<int>{2}));
  EXPECT_DOUBLE_EQ(selection->cost_after, 1601);
}

TEST(IndexSelection, WithoutTimeForAnythingAKnownSetIsStillKept) {
  SelectionOptions options;
  options.max_work_count = 0;
  options.known = {1, 0};
  auto selection = SelectIndexes(OnlyTogether(), 100, options);
  ASSERT_TRUE(selection.ok());
  EXPECT_EQ(selection->chosen, (std::vector<int>{0, 1}));
  EXPECT_FALSE(selection->proved);
  options.known = {0, 1, 2};  // over the budget
  selection = SelectIndexes(OnlyTogether(), 100, options);
  ASSERT_TRUE(selection.ok());
  EXPECT_LE(selection->size_bytes, 100);
}

TEST(IndexSelection, TheWorkIsBounded) {
  const SelectionProblem problem = Generator(Shape::kPairs, {60, 400, 200}, 3).Make();
  SelectionOptions options;
  options.max_work_count = 2'000'000;
  auto selection = SelectIndexes(problem, 20'000, options);
  ASSERT_TRUE(selection.ok());
  // One step of a phase may go beyond, and the answer is computed at the end.
  EXPECT_LE(selection->work_count, 3'000'000);
  EXPECT_FALSE(selection->proved);
}

TEST(IndexSelection, WhatMakesNoSenseIsRefused) {
  const auto refused = [](const SelectionProblem& problem) {
    const absl::Status status = SelectIndexes(problem, 100).status();
    EXPECT_EQ(status::Reason(status), kIndexSelectionInvalid) << status;
  };
  SelectionProblem problem = OnlyTogether();
  problem.size_bytes[0] = 0;
  refused(problem);
  problem = OnlyTogether();
  problem.combinations[0] = {0, 3};
  refused(problem);
  problem = OnlyTogether();
  problem.combinations[0] = {1, 1};
  refused(problem);
  problem = OnlyTogether();
  problem.combinations[0] = {};
  refused(problem);
  problem = OnlyTogether();
  problem.costs.push_back({2, 0, 1});
  refused(problem);
  problem = OnlyTogether();
  problem.costs.push_back({0, 2, 1});
  refused(problem);
  problem = OnlyTogether();
  problem.costs.push_back({0, 0, std::numeric_limits<double>::quiet_NaN()});
  refused(problem);
  problem = OnlyTogether();
  problem.base_costs[0] = -1;
  refused(problem);
  problem = OnlyTogether();
  problem.write_costs = {1};
  refused(problem);
  EXPECT_EQ(status::Reason(SelectIndexesByRatio(problem, 100).status()), kIndexSelectionInvalid);
  EXPECT_EQ(status::Reason(SelectIndexesForBudgets(problem, {1, 2}).status()),
            kIndexSelectionInvalid);
}

}  // namespace
}  // namespace slipstream::database_optimizer
