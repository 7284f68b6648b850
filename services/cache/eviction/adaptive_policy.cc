#include "services/cache/eviction/adaptive_policy.h"

#include <algorithm>

namespace slipstream::cache {

namespace {

// The coarse shadows start when the exact ones have this part of the keys that they may have: so
// early, because some rules do better or worse for long, by what they have seen at first.
constexpr size_t kCoarseFromPart = 8;

}  // namespace

AdaptivePolicy::AdaptivePolicy(const Options& options)
    : options_(options), exact_(std::make_unique<ShadowCaches>(options.max_bytes)) {}

AdaptivePolicy::~AdaptivePolicy() = default;

void AdaptivePolicy::Insert(Link* link) {
  ApplyTouches();
  credit_count_ =
      std::min(credit_count_ + kHitsPerMissCount, std::max(kLeastMaxCreditCount, votes_.count()));
  hits_since_miss_count_ = 0;
  votes_.Insert(link, 0);
  Read(link, false);
}

void AdaptivePolicy::ApplyTouches() {
  if (coarse_ != nullptr) {
    for (size_t i = 0; i < touched_count_; ++i) coarse_->Prefetch(touched_[i]->hash);
  }
  for (size_t i = 0; i < touched_count_; ++i) {
    votes_.Touch(touched_[i]);
    Read(touched_[i], true);
  }
  credit_count_ -= std::min(credit_count_, touched_count_);
  touched_count_ = 0;
}

void AdaptivePolicy::Read(Link* link, bool hit) {
  if (coarse_ != nullptr) ReadCoarse(link);
  if (exact_ != nullptr) ReadExact(link, hit);
}

void AdaptivePolicy::ReadExact(Link* link, bool hit) {
  exact_scores_.Count(exact_->Read(link, hit, &votes_));
  if (exact_scores_.due()) {
    exact_scores_.Judge(exact_->entries_count());
    votes_.SetWeights(exact_scores_.weights());
  }
  if (exact_->records_count() > options_.max_records_count) {
    LeaveExact();
  } else if (coarse_ == nullptr &&
             exact_->records_count() > options_.max_records_count / kCoarseFromPart) {
    coarse_ = std::make_unique<CoarseShadows>(options_.max_bytes);
  }
}

void AdaptivePolicy::ReadCoarse(Link* link) {
  const auto standing = coarse_->Read(link->hash, link->weight_bytes, votes_.count());
  coarse_scores_.Count(standing.hits);
  const bool due = coarse_scores_.due();
  if (due) coarse_scores_.Judge(votes_.count());
  if (exact_ != nullptr) return;
  votes_.Move(link, standing.votes);
  if (due) votes_.SetWeights(coarse_scores_.weights());
}

void AdaptivePolicy::LeaveExact() {
  exact_.reset();
  votes_.RefreshAll([&](const Link& link) { return coarse_->VotesOf(link.hash); });
  votes_.SetWeights(coarse_scores_.weights());
}

void AdaptivePolicy::Remove(Link* link) {
  ApplyTouches();
  if (exact_ != nullptr) exact_->Removed(link);
  if (coarse_ != nullptr) coarse_->Remove(link->hash);
  votes_.Remove(link);
}

void AdaptivePolicy::Replace(Link* link, Link* next) {
  ApplyTouches();
  if (exact_ != nullptr) exact_->Replaced(link, next);
  if (coarse_ != nullptr) coarse_->Reweigh(link->hash, next->weight_bytes);
  votes_.Replace(link, next);
}

AdaptivePolicy::Link* AdaptivePolicy::Evict() {
  ApplyTouches();
  if (exact_ == nullptr) {
    votes_.Refresh([&](const Link& link) { return coarse_->VotesOf(link.hash); });
  }
  Link* const link = votes_.Evict();
  if (exact_ != nullptr) exact_->Evicted(link);
  return link;
}

size_t AdaptivePolicy::memory_bytes() const {
  return sizeof(*this) + (exact_ != nullptr ? sizeof(ShadowCaches) + exact_->memory_bytes() : 0) +
         (coarse_ != nullptr ? sizeof(CoarseShadows) + coarse_->memory_bytes() : 0);
}

}  // namespace slipstream::cache
