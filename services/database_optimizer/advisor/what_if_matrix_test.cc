#include "services/database_optimizer/advisor/what_if_matrix.h"

#include "gtest/gtest.h"
#include "libs/status/status.h"

namespace slipstream::database_optimizer {
namespace {

constexpr char kMatrix[] = R"(# what-if time: 1.5
set QUERIES := 1 4;
param NUMBER_OF_INDEXES := 2;

param size :=
1 4096 # ['c_custkey']
7 8192 # ['l_orderkey', 'l_partkey']
;

set indexes_per_combination[0]:= ;
set indexes_per_combination[1]:= 7;
set indexes_per_combination[5]:= 1 7;

param costs :=
1 0 100.5
1 5 50
2 0 9000 # not among the queries
2 1 1
4 0 30
4 1 1.5e1
;
)";

TEST(WhatIfMatrix, QueriesSizesCombinationsAndCosts) {
  auto matrix = ParseWhatIfMatrix(kMatrix);
  ASSERT_TRUE(matrix.ok()) << matrix.status();
  EXPECT_EQ(matrix->query_ids, (std::vector<int>{1, 4}));
  EXPECT_EQ(matrix->candidate_ids, (std::vector<int>{1, 7}));
  EXPECT_EQ(matrix->index_names, (std::vector<std::string>{"c_custkey", "l_orderkey, l_partkey"}));
  const SelectionProblem& problem = matrix->problem;
  EXPECT_EQ(problem.base_costs, (std::vector<double>{100.5, 30}));
  EXPECT_EQ(problem.size_bytes, (std::vector<int64_t>{4096, 8192}));
  EXPECT_EQ(problem.combinations, (std::vector<std::vector<int>>{{}, {1}, {0, 1}}));
  ASSERT_EQ(problem.costs.size(), 2u);
  EXPECT_EQ(problem.costs[0].query, 0);
  EXPECT_EQ(problem.costs[0].combination, 2);
  EXPECT_EQ(problem.costs[1].query, 1);
  EXPECT_EQ(problem.costs[1].cost, 15);
  auto selection = SelectIndexes(problem, 10'000);
  ASSERT_TRUE(selection.ok()) << selection.status();
  EXPECT_EQ(selection->chosen, (std::vector<int>{1}));
}

TEST(WhatIfMatrix, WhatIsWrongIsNamedWithItsLine) {
  const auto expect = [](std::string from, std::string to, absl::string_view message) {
    std::string text = kMatrix;
    text.replace(text.find(from), from.size(), to);
    const absl::Status status = ParseWhatIfMatrix(text).status();
    EXPECT_EQ(status::Reason(status), kWhatIfMatrixInvalid) << to << ": " << status;
    EXPECT_NE(status.message().find(message), absl::string_view::npos) << status;
  };
  expect("1 4096", "1 many", "line 6: `many` is not a size");
  expect("1 4096", "1 -1", "line 6");
  expect("7 8192", "1 8192", "line 7: the size of index 1 is there twice");
  expect("[1]:= 7", "[1]:= 8", "line 11: index 8 has no size");
  expect("[5]", "[1]", "line 12: combination 1 is there twice");
  expect("1 5 50", "1 6 50", "line 16: combination 6 is unknown");
  expect("1 5 50", "1 5", "rows of 3");
  expect("1 5 50", "1 5 -2", "`-2` is not a cost");
  expect("4 0 30", "", "query 4 has no cost with combination 0");
  expect("QUERIES := 1 4", "QUERIES := 1 1", "query 1 is there twice");
  expect("set QUERIES", "set OTHERS", "no `set QUERIES`");
  std::string open = kMatrix;
  open.resize(open.rfind(';'));
  EXPECT_NE(ParseWhatIfMatrix(open).status().message().find("no `;`"), absl::string_view::npos);
}

TEST(WhatIfMatrix, NoTextCrashesTheParser) {
  const std::string text = kMatrix;
  for (size_t length = 0; length < text.size(); ++length) {
    ParseWhatIfMatrix(text.substr(0, length)).IgnoreError();
    std::string bent = text;
    bent[length] = ";:=#9x\n\0"[length % 8];
    ParseWhatIfMatrix(bent).IgnoreError();
  }
}

}  // namespace
}  // namespace slipstream::database_optimizer
