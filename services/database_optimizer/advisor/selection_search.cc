#include "services/database_optimizer/advisor/selection_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace slipstream::database_optimizer {

namespace {

constexpr double kRounding = 1e-10;  // of the base cost
constexpr double kShakeNoise = 0.3;
// Pairs are exchanged among no more than these: their number is the square, and shakes find the
// same.
constexpr size_t kMaxPairedCount = 24;
// A shake takes out half of the chosen at most, and no more than these.
constexpr size_t kMaxShakenCount = 8;
constexpr double kShakeTolerance = 0.001;

}  // namespace

SelectionSearch::SelectionSearch(const SelectionTable& table, random::Random& random,
                                 int64_t& work_count)
    : table_(table),
      random_(random),
      work_count_(work_count),
      state_(table, work_count),
      least_rise_(kRounding * table.base_cost),
      barred_(table.candidates.size(), false),
      gains_(table.candidates.size(), 0) {}

void SelectionSearch::Expand(int item, std::vector<int>& added) const {
  if (item >= table_.candidates_count()) {
    state_.Missing(item - table_.candidates_count(), added);
  } else {
    added.assign(state_.Has(item) ? 0 : 1, item);
  }
}

bool SelectionSearch::MayAdd(const std::vector<int>& added) const {
  int64_t bytes = 0;
  for (int candidate : added) {
    if (barred_[candidate]) return false;
    bytes += table_.candidates[candidate].size_bytes;
  }
  return !added.empty() && state_.Fits(bytes);
}

double SelectionSearch::Score(const std::vector<int>& added, double gain, double exponent) const {
  double bytes = 0;
  for (int candidate : added) bytes += static_cast<double>(table_.candidates[candidate].size_bytes);
  return exponent == 0 ? gain : exponent == 1 ? gain / bytes : gain / std::pow(bytes, exponent);
}

double SelectionSearch::GainOf(const std::vector<int>& added) {
  if (added.size() == 1) return gains_[added[0]] = state_.Gain(added[0]);
  const double before = state_.value();
  for (int candidate : added) state_.Add(candidate);
  const double gain = state_.value() - before;
  for (int candidate : added) state_.Remove(candidate);
  return gain;
}

double SelectionSearch::MostGainOf(int item, const std::vector<int>& added) const {
  if (added.size() == 1) return gains_[added[0]];
  double gain = state_.OwnGain(item - table_.candidates_count());
  for (int candidate : added) gain += gains_[candidate];
  return gain;
}

void SelectionSearch::Push(const std::vector<int>& added, double gain, int item, double exponent) {
  if (gain <= least_rise_) return;
  const double noise = noise_.empty() ? 1 : noise_[item];
  offers_.push_back({Score(added, gain, exponent) * noise, item});
}

void SelectionSearch::CollectOffers(double exponent) {
  offers_.clear();
  std::vector<int> added;
  work_count_ += table_.candidates_count() + table_.combinations_count();
  for (int i = 0; i < table_.candidates_count(); ++i) {
    Expand(i, added);
    if (!MayAdd(added)) continue;
    gains_[i] = state_.Gain(i);
    Push(added, gains_[i], i, exponent);
  }
  for (int c = 0; c < table_.combinations_count(); ++c) {
    if (state_.MissingCount(c) < 2) continue;
    state_.Missing(c, added);
    if (!MayAdd(added)) continue;
    if (state_.OwnGain(c) <= least_rise_) continue;
    const int item = table_.candidates_count() + c;
    Push(added, MostGainOf(item, added), item, exponent);
  }
  std::make_heap(offers_.begin(), offers_.end());
}

// With `added` there, what completes its combinations gains more than it did.
void SelectionSearch::OfferAgain(int added, double exponent) {
  std::vector<int> missing;
  for (int c : table_.CombinationsOf(added)) {
    ++work_count_;
    if (state_.MissingCount(c) == 0) continue;
    state_.Missing(c, missing);
    if (!MayAdd(missing)) continue;
    const int item = missing.size() == 1 ? missing[0] : table_.candidates_count() + c;
    const size_t before = offers_.size();
    if (state_.OwnGain(c) <= least_rise_) continue;
    if (missing.size() == 1) gains_[item] = state_.Gain(item);
    Push(missing, MostGainOf(item, missing), item, exponent);
    if (offers_.size() > before) std::push_heap(offers_.begin(), offers_.end());
  }
}

// Lazily: scores only fall as the set grows, except for those that OfferAgain renews, so the top
// of the heap is the best once its score has been computed anew and is still at the top.
void SelectionSearch::FillUp(double exponent) {
  if (Over()) return;
  CollectOffers(exponent);
  std::vector<int> added;
  while (!offers_.empty() && !Over()) {
    std::pop_heap(offers_.begin(), offers_.end());
    const int item = offers_.back().item;
    offers_.pop_back();
    Expand(item, added);
    ++work_count_;
    if (!MayAdd(added)) continue;
    const size_t before = offers_.size();
    // What is at most gained is cheap to know, and mostly enough to send a combination back.
    Push(added, MostGainOf(item, added), item, exponent);
    if (offers_.size() > before && (before == 0 || !(offers_.back() < offers_.front()))) {
      offers_.pop_back();
      Push(added, GainOf(added), item, exponent);
    }
    if (offers_.size() == before) continue;
    if (before > 0 && offers_.back() < offers_.front()) {
      std::push_heap(offers_.begin(), offers_.end());
      continue;
    }
    offers_.pop_back();
    for (int candidate : added) state_.Add(candidate);
    for (int candidate : added) OfferAgain(candidate, exponent);
  }
}

void SelectionSearch::DrawNoise() {
  noise_.resize(table_.candidates_count() + table_.combinations_count());
  for (double& factor : noise_) factor = 1 + kShakeNoise * (2 * random_.NextDouble() - 1);
  work_count_ += static_cast<int64_t>(noise_.size());
}

// Later candidates may have made earlier ones needless.
void SelectionSearch::DropUseless() {
  const std::vector<int> chosen = state_.chosen();
  for (int candidate : chosen) {
    const double before = state_.value();
    state_.Remove(candidate);
    if (state_.value() < before) state_.Add(candidate);
  }
}

std::vector<int> SelectionSearch::Fill(double exponent, int64_t work_limit) {
  work_limit_ = work_limit;
  state_.Become({});
  FillUp(exponent);
  return state_.chosen();
}

std::vector<int> SelectionSearch::BestFill(int64_t work_limit) {
  std::vector<int> best;
  double best_value = -std::numeric_limits<double>::infinity();
  for (double exponent : kExponents) {
    Fill(exponent, work_limit);
    DropUseless();
    FillUp(exponent);
    if (state_.value() > best_value) {
      best_value = state_.value();
      best = state_.chosen();
    }
  }
  return best;
}

double SelectionSearch::ValueOf(const std::vector<int>& chosen) {
  state_.Become(chosen);
  return state_.value();
}

bool SelectionSearch::KeepIfBetter(const std::vector<int>& before, double value_before) {
  if (state_.size_bytes() <= table_.budget_bytes && state_.value() > value_before + least_rise_) {
    return true;
  }
  state_.Become(before);
  return false;
}

bool SelectionSearch::TryWithout(const std::vector<int>& out) {
  const std::vector<int> before = state_.chosen();
  const double value = state_.value();
  for (double exponent : {1.0, 0.0}) {
    for (int candidate : out) {
      state_.Remove(candidate);
      barred_[candidate] = true;
    }
    FillUp(exponent);
    for (int candidate : out) barred_[candidate] = false;
    DropUseless();
    FillUp(exponent);
    if (KeepIfBetter(before, value)) return true;
  }
  return false;
}

// The exchanges go on after a success: what was tried before it will seldom help now.
bool SelectionSearch::ExchangeOutwards() {
  bool better = false;
  const std::vector<int> chosen = state_.chosen();
  for (size_t i = 0; i < chosen.size() && !Over(); ++i) {
    if (state_.Has(chosen[i]) && TryWithout({chosen[i]})) better = true;
  }
  return better;
}

bool SelectionSearch::ExchangePairs() {
  bool better = false;
  const std::vector<int> chosen = state_.chosen();
  if (chosen.size() > kMaxPairedCount) return false;
  for (size_t i = 0; i < chosen.size(); ++i) {
    for (size_t j = i + 1; j < chosen.size() && !Over(); ++j) {
      if (!state_.Has(chosen[i]) || !state_.Has(chosen[j])) continue;
      if (TryWithout({chosen[i], chosen[j]})) better = true;
    }
  }
  return better;
}

// Takes out what is missed least per byte, but never what is barred.
void SelectionSearch::EvictDownToBudget() {
  while (state_.size_bytes() > table_.budget_bytes) {
    int worst = -1;
    double least = std::numeric_limits<double>::infinity();
    const std::vector<int> chosen = state_.chosen();
    const int64_t over = state_.size_bytes() - table_.budget_bytes;
    for (int candidate : chosen) {
      if (barred_[candidate]) continue;
      const double before = state_.value();
      state_.Remove(candidate);
      // Bytes beyond what is needed are worth nothing here.
      const int64_t freed = std::min(table_.candidates[candidate].size_bytes, over);
      const double loss = (before - state_.value()) / static_cast<double>(freed);
      state_.Add(candidate);
      if (loss < least) {
        least = loss;
        worst = candidate;
      }
    }
    if (worst < 0) return;
    state_.Remove(worst);
  }
}

bool SelectionSearch::TryWith(const std::vector<int>& in) {
  const std::vector<int> before = state_.chosen();
  const double value = state_.value();
  for (int candidate : in) {
    state_.Add(candidate);
    barred_[candidate] = true;
  }
  EvictDownToBudget();
  for (int candidate : in) barred_[candidate] = false;
  DropUseless();
  FillUp(1.0);
  return KeepIfBetter(before, value);
}

bool SelectionSearch::ExchangeInwards() {
  bool better = false;
  std::vector<int> missing;
  for (int i = 0; i < table_.candidates_count() && !Over(); ++i) {
    if (!state_.Has(i) && state_.Gain(i) > least_rise_ && TryWith({i})) better = true;
  }
  for (int c = 0; c < table_.combinations_count() && !Over(); ++c) {
    if (state_.MissingCount(c) < 2 || state_.OwnGain(c) <= least_rise_) continue;
    state_.Missing(c, missing);
    if (TryWith(missing)) better = true;
  }
  return better;
}

// Cheap moves first, until none helps.
void SelectionSearch::ImproveState(Depth depth) {
  DropUseless();
  FillUp(1.0);
  while (!Over() && (ExchangeOutwards() || ExchangeInwards() ||
                     (depth == Depth::kThorough && ExchangePairs()))) {
  }
}

std::vector<int> SelectionSearch::Improve(const std::vector<int>& from, Depth depth,
                                          int64_t work_limit) {
  work_limit_ = work_limit;
  state_.Become(from);
  ImproveState(depth);
  return state_.chosen();
}

// Takes out some of what shares a query with one that is chosen at random, or any.
void SelectionSearch::TakeSomeOut() {
  std::vector<int> from = state_.chosen();
  if (random_.Uniform(2) == 0) {
    const int middle = from[random_.Uniform(from.size())];
    std::vector<bool> shared(table_.queries.size(), false);
    for (const auto& part : table_.PartsOf(middle)) shared[part.query] = true;
    std::erase_if(from, [&](int candidate) {
      const auto parts = table_.PartsOf(candidate);
      return std::none_of(parts.begin(), parts.end(),
                          [&](const auto& part) { return shared[part.query]; });
    });
  }
  const size_t most = std::min((from.size() + 1) / 2, kMaxShakenCount);
  for (size_t left = 1 + random_.Uniform(most); left > 0; --left) {
    const size_t at = random_.Uniform(from.size());
    state_.Remove(from[at]);
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(at));
  }
}

std::vector<int> SelectionSearch::Shake(const std::vector<int>& from, int shakes_count,
                                        int64_t work_limit) {
  std::vector<int> best = Improve(from, Depth::kThorough, work_limit);
  double best_value = state_.value();
  std::vector<int> current = best;
  double current_value = best_value;
  int in_vain = 0;
  while (in_vain < shakes_count && !Over() && !current.empty()) {
    state_.Become(current);
    TakeSomeOut();
    DrawNoise();
    FillUp(kExponents[random_.Uniform(std::size(kExponents))]);
    noise_.clear();
    DropUseless();
    FillUp(1.0);
    ++in_vain;
    if (state_.value() > best_value + least_rise_) {
      best_value = state_.value();
      best = state_.chosen();
      in_vain = 0;
    }
    // A little worse is a way out of a local optimum.
    if (state_.value() >= best_value * (1 - kShakeTolerance) || state_.value() >= current_value) {
      current = state_.chosen();
      current_value = state_.value();
    }
  }
  state_.Become(best);
  return best;
}

}  // namespace slipstream::database_optimizer
