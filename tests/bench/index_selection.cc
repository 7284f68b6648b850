// Chooses indexes for a what-if matrix at each budget, once by the advisor's search and once
// greedily by gain per byte; one line of JSON per budget.
//   index_selection MATRIX_FILE BUDGET_BYTES...
// Each budget is solved by itself, as the advisor would, not from the answer of a smaller one.
#include "services/database_optimizer/advisor/index_selection.h"

#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "services/database_optimizer/advisor/what_if_matrix.h"

namespace slipstream::bench {
namespace {

using Json = nlohmann::ordered_json;
using Seconds = std::chrono::duration<double>;

double Percent(const database_optimizer::Selection& selection) {
  return 100 * selection.cost_after / selection.cost_before;
}

absl::StatusOr<Json> Solve(const database_optimizer::WhatIfMatrix& matrix, int64_t budget_bytes) {
  const auto begin = std::chrono::steady_clock::now();
  auto ours = database_optimizer::SelectIndexes(matrix.problem, budget_bytes);
  const Seconds took = std::chrono::steady_clock::now() - begin;
  if (!ours.ok()) return ours.status();
  auto greedy = database_optimizer::SelectIndexesByRatio(matrix.problem, budget_bytes);
  if (!greedy.ok()) return greedy.status();
  Json chosen = Json::array();
  for (int candidate : ours->chosen) chosen.push_back(matrix.index_names[candidate]);
  return Json{{"budget_bytes", budget_bytes},
              {"percent", Percent(*ours)},
              {"percent_bound", 100 * ours->cost_bound / ours->cost_before},
              {"proved", ours->proved},
              {"greedy_percent", Percent(*greedy)},
              {"seconds", took.count()},
              {"work_count", ours->work_count},
              {"cost_before", ours->cost_before},
              {"cost_after", ours->cost_after},
              {"size_bytes", ours->size_bytes},
              {"indexes", chosen}};
}

int Fail(absl::string_view why) {
  std::cerr << "index_selection: " << why << "\n";
  return 1;
}

int Main(int argc, char** argv) {
  if (argc < 3) return Fail("usage: index_selection MATRIX_FILE BUDGET_BYTES...");
  std::ifstream file(argv[1]);
  if (!file) return Fail("the matrix cannot be read");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto matrix = database_optimizer::ParseWhatIfMatrix(text);
  if (!matrix.ok()) return Fail(matrix.status().message());
  for (int i = 2; i < argc; ++i) {
    int64_t budget_bytes = 0;
    if (!absl::SimpleAtoi(argv[i], &budget_bytes)) return Fail("a budget is not a number");
    auto line = Solve(*matrix, budget_bytes);
    if (!line.ok()) return Fail(line.status().message());
    std::cout << line->dump() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) { return slipstream::bench::Main(argc, argv); }
