// An upper bound of what any set within the budget is worth, and a proof by branch and bound.
//
// The bound is a Lagrangian dual. For each part that a candidate i has in a query q there is a
// price a_qi >= 0: what q pays i. Whatever the prices are, no set within the budget is worth more
// than
//
//   sum_q max(0, max over ways w of q: benefit_w - sum of a_qi over i in w)
//   + knapsack(sum_q a_qi - write_cost_i, size_i, budget)
//
// where the knapsack may be filled with fractions. (It is the dual of the linear program with
// "the ways of q that need i are used no more than i is taken" for each q and i, which is tighter
// than one constraint per way: a query uses one way only.) Subgradient steps of Polyak's length
// lower it. What the bound would lose if a candidate was forced in or out says which are decided;
// the rest is branched on, depth first.
//
// Thread safety: one thread at a time. Nothing fails; every loop ends at the work limit.
#ifndef SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_BOUND_H_
#define SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_BOUND_H_

#include <cstdint>
#include <vector>

#include "services/database_optimizer/advisor/selection_state.h"

namespace slipstream::database_optimizer {

class SelectionBound {
 public:
  // `table` and `work_count` outlive this. `best` is the best set known; the bound is sought as far
  // as it is needed to show that nothing is better.
  SelectionBound(const SelectionTable& table, const std::vector<int>& best, int64_t& work_count);

  // Steps at the root, and decides what can be decided; the bound then.
  double Root(int steps_count, int64_t work_limit);
  // After Root: which candidates may be in a set that is better than the best.
  std::vector<bool> Open() const;
  // After Root: of these, the `count` that the prices favour most.
  std::vector<bool> Core(size_t count) const;
  // After Root: a set within the budget of what the steps took most often.
  std::vector<int> Favoured() const;
  // Branches until no set can be better; false at the work limit.
  bool Prove(int64_t work_limit);

  // The best set known now, and its value.
  const std::vector<int>& best() const { return best_; }
  double best_value() const { return best_value_; }

 private:
  enum class Fate : char { kOpen, kIn, kOut };
  struct Frame {
    size_t trail;  // its length when the node was entered
    int candidate;
    bool second;  // whether the other branch was taken already
  };

  bool Over() const { return work_count_ >= work_limit_; }
  bool Hopeless(double bound) const { return bound <= best_value_ + slack_; }
  // What taking a candidate is worth beyond what its bytes cost elsewhere.
  double Worth(int candidate) const;
  void SetFirstPrices();
  // The bound at the prices; sets profit_, taken_, used_ and byte_price_.
  double Evaluate();
  void FillKnapsack();
  void StepDown(double value, double pace);
  // The least bound seen in so many steps; stops early when it cannot be beaten any more.
  double Lower(int steps_count);
  void Decide(double bound);
  void Fix(int candidate, Fate fate);
  void Undo(size_t trail);
  int BranchCandidate() const;
  bool NextBranch(std::vector<Frame>& path);
  void TryRounded();

  const SelectionTable& table_;
  int64_t& work_count_;
  SelectionState state_;
  int64_t work_limit_ = 0;
  double slack_;  // a better value by less is rounding
  std::vector<int> best_;
  double best_value_ = 0;

  std::vector<double> prices_;      // per part
  std::vector<int> used_;           // per query, the way that pays most; -1: none
  std::vector<double> slope_;       // per part; scratch of StepDown
  std::vector<double> profit_;      // per candidate, less its write cost
  std::vector<double> taken_;       // per candidate, 0 to 1
  std::vector<double> mean_taken_;  // over the last steps
  double byte_price_ = 0;
  int64_t free_bytes_ = 0;  // of the budget, left by what is in
  std::vector<Fate> fate_;
  std::vector<int> trail_;
  std::vector<int> out_count_;  // per combination, how many of its candidates are out
  std::vector<int> order_;      // scratch of FillKnapsack
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_BOUND_H_
