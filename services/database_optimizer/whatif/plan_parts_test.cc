#include "services/database_optimizer/whatif/plan_parts.h"

#include "gtest/gtest.h"

namespace slipstream::database_optimizer {
namespace {

using nlohmann::json;

double Sum(const PlanParts& parts) {
  double sum = 0;
  for (const auto& [name, part] : parts) sum += part.cost;
  return sum;
}

double KnownOf(const PlanParts& parts) {
  double sum = 0;
  for (const auto& [name, part] : parts) sum += part.known ? part.cost : 0;
  return sum;
}

json Scan(const char* table, double cost, double rows, const char* place = "Outer") {
  return {{"Node Type", "Seq Scan"},
          {"Relation Name", table},
          {"Total Cost", cost},
          {"Plan Rows", rows},
          {"Parent Relationship", place}};
}

json Lookup(const char* table, double cost, const char* place) {
  return {{"Node Type", "Index Scan"}, {"Relation Name", table}, {"Index Name", "i"},
          {"Total Cost", cost},        {"Plan Rows", 1},         {"Parent Relationship", place}};
}

json Join(const char* kind, double cost, std::vector<json> plans) {
  return {
      {"Node Type", kind}, {"Total Cost", cost}, {"Plan Rows", 10}, {"Plans", std::move(plans)}};
}

TEST(PlanParts, AddUpToThePlan) {
  const json nested = Join("Nested Loop", 1000, {Scan("a", 100, 50), Scan("b", 10, 1, "Inner")});
  EXPECT_DOUBLE_EQ(Sum(PartsOf(nested)), 1000);
  // The inner one runs 50 times, so its work is a guess.
  EXPECT_DOUBLE_EQ(KnownOf(PartsOf(nested)), 100);
  const json limit = Join("Limit", 5, {Scan("a", 100, 50)});
  EXPECT_DOUBLE_EQ(Sum(PartsOf(limit)), 5);
  const json subplan = Join("Hash Join", 1000, {Scan("a", 100, 50), Scan("b", 90, 1, "SubPlan")});
  EXPECT_DOUBLE_EQ(Sum(PartsOf(subplan)), 1000);
  EXPECT_DOUBLE_EQ(KnownOf(PartsOf(subplan)), 100);
  EXPECT_DOUBLE_EQ(Sum(PartsOf(json())), 0);
}

TEST(EstimateMs, InProportionWhereThePlannerIsRight) {
  const PlanParts before = PartsOf(Scan("a", 1000, 5));
  const PlanParts after = PartsOf(Lookup("a", 10, "Outer"));
  EXPECT_DOUBLE_EQ(EstimateMs({1000, 2, &before}, 10, after, 0.002), 0.02);
  EXPECT_DOUBLE_EQ(EstimateMs({1000, 2, &before}, 1000, before, 0.002), 2);
  // Faster than the middle: so will be what is new.
  EXPECT_DOUBLE_EQ(EstimateMs({1000, 1, &before}, 10, after, 0.002), 0.01);
}

TEST(EstimateMs, ATimeFarAboveTheCostGoesWithThePartThatWasMisjudged) {
  const json before = Join("Hash Join", 1000, {Scan("a", 100, 50), Scan("b", 90, 1, "SubPlan")});
  const PlanParts parts = PartsOf(before);
  const json after = Join("Hash Join", 150, {Scan("a", 100, 50), Lookup("b", 5, "SubPlan")});
  // 1000 units took 40 ms where 2 would be usual. What is left, 150 units, is not dearer than
  // elsewhere.
  EXPECT_NEAR(EstimateMs({1000, 40, &parts}, 150, PartsOf(after), 0.002), 0.3, 1e-9);
  // The misjudged part stays: so does its time.
  const json faster =
      Join("Hash Join", 910, {Lookup("a", 10, "Outer"), Scan("b", 90, 1, "SubPlan")});
  EXPECT_NEAR(EstimateMs({1000, 40, &parts}, 910, PartsOf(faster), 0.002), 39.82, 0.01);
}

TEST(MiddleUnitMs, IsThatOfTheMiddleByCost) {
  EXPECT_EQ(MiddleUnitMs({}), 0);
  EXPECT_DOUBLE_EQ(MiddleUnitMs({{100, 1}, {300, 6}, {200, 400}}), 0.02);
}

}  // namespace
}  // namespace slipstream::database_optimizer
