// Local search for a good set of indexes: greedy fills from several rules, then exchanges.
//
// Moves: fill (the best candidate or whole combination by gain / bytes^exponent, until none fits);
// drop (what no query uses any more); exchange outwards (take one or two out, fill by each rule);
// exchange inwards (force one candidate or combination in, put out what is missed least, fill);
// shake (take a few out at random, fill with noise). A move stays only if the value rises, so a
// search never ends worse than it began.
//
// Thread safety: one thread at a time. Nothing fails; every loop ends at the work limit.
#ifndef SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_SEARCH_H_
#define SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_SEARCH_H_

#include <cstdint>
#include <vector>

#include "libs/random/random.h"
#include "services/database_optimizer/advisor/selection_state.h"

namespace slipstream::database_optimizer {

class SelectionSearch {
 public:
  // Quick leaves out the exchange of pairs, whose number is the square of what is chosen.
  enum class Depth { kQuick, kThorough };
  // How much a byte counts: 0 takes the largest gain, 1 the most gain per byte.
  static constexpr double kExponents[] = {1.0, 0.0, 0.5, 0.75, 0.25};

  // `table`, `random` and `work_count` outlive this.
  SelectionSearch(const SelectionTable& table, random::Random& random, int64_t& work_count);

  // The best of what each exponent gives, starting from nothing; within the budget.
  std::vector<int> BestFill(int64_t work_limit);
  // One greedy fill.
  std::vector<int> Fill(double exponent, int64_t work_limit);
  // `from`, made better by exchanges until none helps.
  std::vector<int> Improve(const std::vector<int>& from, Depth depth, int64_t work_limit);
  // Thorough Improve, then shakes until `shakes_count` of them were in vain in a row.
  std::vector<int> Shake(const std::vector<int>& from, int shakes_count, int64_t work_limit);

  double ValueOf(const std::vector<int>& chosen);

 private:
  // A candidate, or (from candidates_count on) a combination, that may be added.
  struct Offer {
    double score;
    int item;
    bool operator<(const Offer& other) const {
      return score != other.score ? score < other.score : item > other.item;
    }
  };

  bool Over() const { return work_count_ >= work_limit_; }
  bool MayAdd(const std::vector<int>& added) const;
  double Score(const std::vector<int>& added, double gain, double exponent) const;
  double GainOf(const std::vector<int>& added);
  // At least that, from what was known last.
  double MostGainOf(int item, const std::vector<int>& added) const;
  // What is missing of an item.
  void Expand(int item, std::vector<int>& added) const;
  void CollectOffers(double exponent);
  void OfferAgain(int added, double exponent);
  void Push(const std::vector<int>& added, double gain, int item, double exponent);
  void DrawNoise();

  void FillUp(double exponent);
  void DropUseless();
  void EvictDownToBudget();
  bool KeepIfBetter(const std::vector<int>& before, double value_before);
  bool ExchangeOutwards();
  bool ExchangePairs();
  bool ExchangeInwards();
  bool TryWithout(const std::vector<int>& out);
  bool TryWith(const std::vector<int>& in);
  void TakeSomeOut();
  void ImproveState(Depth depth);

  const SelectionTable& table_;
  random::Random& random_;
  int64_t& work_count_;
  SelectionState state_;
  int64_t work_limit_ = 0;     // of the call in progress
  double least_rise_ = 0;      // a smaller rise is rounding
  std::vector<char> barred_;   // candidates that a fill may not take
  std::vector<double> noise_;  // per item, a factor of its score; empty: none
  std::vector<double> gains_;  // per candidate, at most that; scratch of a fill
  std::vector<Offer> offers_;  // a heap; scores are at least the true ones
};

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_ADVISOR_SELECTION_SEARCH_H_
