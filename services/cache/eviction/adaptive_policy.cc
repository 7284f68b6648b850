#include "services/cache/eviction/adaptive_policy.h"

#include <algorithm>

namespace slipstream::cache {

namespace {

// What another rule must be ahead by, before the entries of a large cache are arranged by it: in
// hits, as parts of the entries in the sample and of the reads seen lately. A change costs misses.
constexpr int64_t kFullPercent = 95;
constexpr double kAheadPerEntry = 0.05;
constexpr double kAheadPerRead = 0.001;

}  // namespace

AdaptivePolicy::AdaptivePolicy(const Options& options)
    : options_(options),
      shadows_(options.max_bytes, options.max_records_count),
      votes_(std::make_unique<VoteQueues>()),
      queues_(ShadowCaches::kRules[0], options.max_bytes) {}

AdaptivePolicy::~AdaptivePolicy() = default;

void AdaptivePolicy::Insert(Link* link) {
  ApplyTouches();
  credit_count_ = std::min(credit_count_ + kHitsPerMissCount, kMaxCreditCount);
  hits_since_miss_count_ = 0;
  if (votes_ != nullptr) {
    votes_->Insert(link, 0);
    queues_.CountRead(link->hash, votes_->count());
  } else {
    queues_.Insert(link);
  }
  CountSampled(link, 1);
  Read(link, false);
  if (shadows_.overfull()) Shrink();
}

void AdaptivePolicy::CountSampled(const Link* link, int64_t sign) {
  if (votes_ == nullptr && shadows_.Sampled(link->hash))
    sampled_bytes_ += sign * link->weight_bytes;
}

void AdaptivePolicy::Shrink() {
  if (votes_ != nullptr) LeaveVotes();
  shadows_.HalveSample();
  sampled_bytes_ = queues_.BytesOf([&](uint64_t hash) { return shadows_.Sampled(hash); });
}

void AdaptivePolicy::ApplyTouches() {
  if (votes_ == nullptr) {
    for (size_t i = 0; i < touched_count_; ++i) queues_.Prefetch(touched_[i]);
  }
  for (size_t i = 0; i < touched_count_; ++i) {
    Link* const link = touched_[i];
    if (votes_ != nullptr) {
      votes_->Touch(link);
      queues_.CountRead(link->hash, votes_->count());
    } else {
      queues_.Touch(link);
    }
    Read(link, true);
  }
  credit_count_ -= std::min(credit_count_, touched_count_);
  touched_count_ = 0;
}

void AdaptivePolicy::Read(Link* link, bool hit) {
  if (!shadows_.Sampled(link->hash)) return;
  shadows_.Read(link, hit, votes_.get());
  if (shadows_.due()) Decide();
}

void AdaptivePolicy::Decide() {
  const auto verdict = shadows_.Judge(rule_);
  if (votes_ != nullptr) {
    votes_->SetWeights(verdict.weights);
    rule_ = verdict.best;
    return;
  }
  // Only a full cache tells how much of it is sampled.
  if (queues_.bytes() >= options_.max_bytes * kFullPercent / 100) shadows_.SetRoom(sampled_bytes_);
  const double ahead = verdict.hits[verdict.best] - verdict.hits[rule_];
  if (ahead <=
      kAheadPerEntry * static_cast<double>(verdict.entries_count) + kAheadPerRead * verdict.reads) {
    return;
  }
  rule_ = verdict.best;
  queues_.SetRule(rule());
}

void AdaptivePolicy::LeaveVotes() {
  queues_.SetRule(rule());
  // Those that would be evicted first become the oldest.
  while (!votes_->empty()) queues_.Insert(votes_->Evict());
  votes_.reset();
}

void AdaptivePolicy::Remove(Link* link) {
  ApplyTouches();
  CountSampled(link, -1);
  shadows_.Removed(link);
  if (votes_ != nullptr) {
    votes_->Remove(link);
  } else {
    queues_.Remove(link);
  }
}

void AdaptivePolicy::Replace(Link* link, Link* next) {
  ApplyTouches();
  CountSampled(link, -1);
  CountSampled(next, 1);
  shadows_.Replaced(link, next);
  if (votes_ != nullptr) {
    votes_->Replace(link, next);
  } else {
    queues_.Replace(link, next);
  }
}

AdaptivePolicy::Link* AdaptivePolicy::Evict() {
  ApplyTouches();
  Link* const link = votes_ != nullptr ? votes_->Evict() : queues_.Evict();
  CountSampled(link, -1);
  shadows_.Evicted(link);
  return link;
}

size_t AdaptivePolicy::memory_bytes() const {
  return sizeof(*this) + shadows_.memory_bytes() + queues_.memory_bytes() +
         (votes_ != nullptr ? sizeof(VoteQueues) : 0);
}

}  // namespace slipstream::cache
