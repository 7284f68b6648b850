#include "services/database_optimizer/advisor/selection_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace slipstream::database_optimizer {

namespace {

constexpr double kRounding = 1e-8;  // of the base cost
constexpr double kKeptShare = 0.9;
constexpr double kFirstPace = 1.0;   // of Polyak's step
constexpr double kLeastPace = 0.01;  // steps below change nothing any more
constexpr int kStepsBeforeSlower = 12;
constexpr int kNodeStepsCount = 24;
constexpr double kMemory = 0.9;  // of the mean of what was taken

}  // namespace

SelectionBound::SelectionBound(const SelectionTable& table, const std::vector<int>& best,
                               int64_t& work_count)
    : table_(table),
      work_count_(work_count),
      state_(table, work_count),
      slack_(kRounding * table.base_cost),
      best_(best),
      prices_(table.parts.size()),
      used_(table.queries.size(), -1),
      slope_(table.parts.size()),
      profit_(table.candidates.size()),
      taken_(table.candidates.size()),
      mean_taken_(table.candidates.size()),
      free_bytes_(table.budget_bytes),
      fate_(table.candidates.size(), Fate::kOpen),
      out_count_(table.combinations.size()) {
  state_.Become(best);
  best_value_ = state_.value();
  SetFirstPrices();
}

// A query keeps about what it has with the best set known, and pays the rest of a way's benefit to
// the parts of the way, in equal shares. Ways of one index first: they leave no choice.
void SelectionBound::SetFirstPrices() {
  work_count_ += static_cast<int64_t>(table_.way_parts.size());
  for (const bool single : {true, false}) {
    for (int q = 0; q < table_.queries_count(); ++q) {
      const double kept = kKeptShare * state_.Benefit(q);
      for (const auto& way : table_.Ways(q)) {
        if (way.benefit <= kept) break;
        const auto parts = table_.PartsOf(way);
        if ((parts.size() == 1) != single) continue;
        double lacks = way.benefit - kept;
        for (int part : parts) lacks -= prices_[part];
        if (lacks <= 0) continue;
        for (int part : parts) prices_[part] += lacks / static_cast<double>(parts.size());
      }
    }
  }
}

double SelectionBound::Evaluate() {
  for (size_t i = 0; i < profit_.size(); ++i) profit_[i] = -table_.candidates[i].write_cost;
  for (size_t p = 0; p < prices_.size(); ++p) profit_[table_.parts[p].candidate] += prices_[p];
  double value = 0;
  for (int q = 0; q < table_.queries_count(); ++q) {
    double most = 0;
    used_[q] = -1;
    const auto range = table_.queries[q];
    for (int w = range.begin; w < range.end; ++w) {
      const auto& way = table_.ways[w];
      if (way.benefit <= most) break;
      ++work_count_;
      double rest = way.benefit;
      for (int part : table_.PartsOf(way)) rest -= prices_[part];
      if (rest > most && out_count_[way.combination] == 0) {
        most = rest;
        used_[q] = w;
      }
    }
    value += most;
  }
  work_count_ += static_cast<int64_t>(profit_.size() + prices_.size()) / 4;
  FillKnapsack();
  for (size_t i = 0; i < profit_.size(); ++i) value += profit_[i] * taken_[i];
  return value;
}

void SelectionBound::FillKnapsack() {
  work_count_ += 2 * static_cast<int64_t>(profit_.size());
  order_.clear();
  for (int i = 0; i < static_cast<int>(profit_.size()); ++i) {
    taken_[i] = fate_[i] == Fate::kIn ? 1 : 0;
    if (fate_[i] == Fate::kOpen && profit_[i] > 0) order_.push_back(i);
  }
  const auto density = [&](int i) {
    return profit_[i] / static_cast<double>(table_.candidates[i].size_bytes);
  };
  std::sort(order_.begin(), order_.end(), [&](int a, int b) { return density(a) > density(b); });
  work_count_ += 8 * static_cast<int64_t>(order_.size());
  int64_t left = free_bytes_;
  byte_price_ = 0;
  for (int i : order_) {
    const int64_t size = table_.candidates[i].size_bytes;
    if (size <= left) {
      taken_[i] = 1;
      left -= size;
      continue;
    }
    taken_[i] = static_cast<double>(left) / static_cast<double>(size);
    byte_price_ = density(i);
    break;
  }
}

void SelectionBound::StepDown(double value, double pace) {
  for (size_t p = 0; p < slope_.size(); ++p) slope_[p] = taken_[table_.parts[p].candidate];
  for (const int way : used_) {
    if (way < 0) continue;
    for (int part : table_.PartsOf(table_.ways[way])) slope_[part] -= 1;
  }
  work_count_ += static_cast<int64_t>(slope_.size()) / 4;
  double square = 0;
  for (size_t p = 0; p < slope_.size(); ++p) {
    if (prices_[p] == 0 && slope_[p] > 0) slope_[p] = 0;
    square += slope_[p] * slope_[p];
  }
  if (square <= 0) return;
  const double length = pace * std::max(value - best_value_, slack_) / square;
  for (size_t p = 0; p < slope_.size(); ++p) {
    if (slope_[p] != 0) prices_[p] = std::max(0.0, prices_[p] - length * slope_[p]);
  }
}

double SelectionBound::Lower(int steps_count) {
  double least = std::numeric_limits<double>::infinity();
  double pace = kFirstPace;
  int in_vain = 0;
  for (int step = 0; step < steps_count && !Over(); ++step) {
    // More is in than fits: there is no set here at all.
    if (free_bytes_ < 0) return -std::numeric_limits<double>::infinity();
    const double value = Evaluate();
    for (size_t i = 0; i < taken_.size(); ++i) {
      mean_taken_[i] = kMemory * mean_taken_[i] + (1 - kMemory) * taken_[i];
    }
    if (value < least - slack_) {
      least = value;
      in_vain = 0;
      if (Hopeless(least)) return least;
      Decide(least);
    } else if (++in_vain >= kStepsBeforeSlower) {
      in_vain = 0;
      pace /= 2;
      if (pace < kLeastPace) break;
    }
    StepDown(value, pace);
  }
  return least;
}

// Forced in, an open candidate changes the bound by profit - byte_price * size when that is
// negative; forced out, by minus that when it is positive.
void SelectionBound::Decide(double bound) {
  for (int i = 0; i < static_cast<int>(fate_.size()); ++i) {
    if (fate_[i] != Fate::kOpen) continue;
    const auto& candidate = table_.candidates[i];
    const double worth = Worth(i);
    if (candidate.size_bytes > free_bytes_ || (worth < 0 && Hopeless(bound + worth))) {
      Fix(i, Fate::kOut);
    } else if (worth > 0 && Hopeless(bound - worth)) {
      Fix(i, Fate::kIn);
    }
  }
}

void SelectionBound::Fix(int candidate, Fate fate) {
  fate_[candidate] = fate;
  trail_.push_back(candidate);
  if (fate == Fate::kIn) {
    free_bytes_ -= table_.candidates[candidate].size_bytes;
    return;
  }
  for (int combination : table_.CombinationsOf(candidate)) ++out_count_[combination];
}

void SelectionBound::Undo(size_t trail) {
  while (trail_.size() > trail) {
    const int candidate = trail_.back();
    trail_.pop_back();
    if (fate_[candidate] == Fate::kIn) {
      free_bytes_ += table_.candidates[candidate].size_bytes;
    } else {
      for (int combination : table_.CombinationsOf(candidate)) --out_count_[combination];
    }
    fate_[candidate] = Fate::kOpen;
  }
}

// The one that the steps were least sure of, weighed by what it is worth; -1: all are decided.
int SelectionBound::BranchCandidate() const {
  int best = -1;
  double most = -1;
  for (int i = 0; i < static_cast<int>(fate_.size()); ++i) {
    if (fate_[i] != Fate::kOpen) continue;
    const double doubt = std::min(mean_taken_[i], 1 - mean_taken_[i]) + 1e-3;
    const double weight = doubt * std::max(profit_[i], slack_);
    if (weight > most) {
      most = weight;
      best = i;
    }
  }
  return best;
}

// What the knapsack took whole is a set within the budget.
void SelectionBound::TryRounded() {
  std::vector<int> whole;
  int64_t bytes = 0;
  for (int i = 0; i < static_cast<int>(taken_.size()); ++i) {
    const bool in = fate_[i] == Fate::kIn || (fate_[i] == Fate::kOpen && taken_[i] >= 1);
    if (!in) continue;
    whole.push_back(i);
    bytes += table_.candidates[i].size_bytes;
  }
  if (bytes > table_.budget_bytes) return;
  state_.Become(whole);
  if (state_.value() > best_value_) {
    best_value_ = state_.value();
    best_ = whole;
  }
}

double SelectionBound::Root(int steps_count, int64_t work_limit) {
  work_limit_ = work_limit;
  const double bound = Lower(steps_count);
  TryRounded();
  return std::max(bound, best_value_);
}

double SelectionBound::Worth(int candidate) const {
  return profit_[candidate] -
         byte_price_ * static_cast<double>(table_.candidates[candidate].size_bytes);
}

std::vector<bool> SelectionBound::Core(size_t count) const {
  std::vector<std::pair<double, int>> open;
  for (int i = 0; i < table_.candidates_count(); ++i) {
    if (fate_[i] != Fate::kOut) open.emplace_back(-mean_taken_[i] * profit_[i] - Worth(i), i);
  }
  std::sort(open.begin(), open.end());
  std::vector<bool> core(fate_.size(), false);
  for (size_t i = 0; i < std::min(count, open.size()); ++i) core[open[i].second] = true;
  return core;
}

std::vector<int> SelectionBound::Favoured() const {
  std::vector<std::pair<double, int>> order;
  for (int i = 0; i < table_.candidates_count(); ++i) {
    if (mean_taken_[i] > 0) order.emplace_back(-mean_taken_[i], i);
  }
  std::sort(order.begin(), order.end());
  std::vector<int> favoured;
  int64_t left = table_.budget_bytes;
  for (const auto& [taken, i] : order) {
    if (table_.candidates[i].size_bytes > left) continue;
    left -= table_.candidates[i].size_bytes;
    favoured.push_back(i);
  }
  return favoured;
}

std::vector<bool> SelectionBound::Open() const {
  std::vector<bool> open(fate_.size());
  for (size_t i = 0; i < fate_.size(); ++i) open[i] = fate_[i] != Fate::kOut;
  return open;
}

bool SelectionBound::Prove(int64_t work_limit) {
  work_limit_ = work_limit;
  std::vector<Frame> path;
  for (;;) {
    const bool closed = Hopeless(Lower(kNodeStepsCount));
    if (Over()) return false;
    if (!closed) {
      TryRounded();
      // None: all is decided, and TryRounded has seen the set.
      if (const int candidate = BranchCandidate(); candidate >= 0) {
        path.push_back({trail_.size(), candidate, false});
        Fix(candidate, Fate::kIn);
        continue;
      }
    }
    if (!NextBranch(path)) return true;
  }
}

// Goes back to the last node whose other branch is still to be seen; false: there is none.
bool SelectionBound::NextBranch(std::vector<Frame>& path) {
  while (!path.empty()) {
    Frame& frame = path.back();
    Undo(frame.trail);
    if (!frame.second) {
      frame.second = true;
      Fix(frame.candidate, Fate::kOut);
      return true;
    }
    path.pop_back();
  }
  return false;
}

}  // namespace slipstream::database_optimizer
