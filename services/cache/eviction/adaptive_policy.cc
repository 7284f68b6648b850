#include "services/cache/eviction/adaptive_policy.h"

#include <algorithm>

namespace slipstream::cache {

namespace {

// What another rule must be ahead by, before the entries of a large cache are arranged by it: in
// hits, as parts of the entries in the sample and of the reads seen lately. A change costs misses.
constexpr int64_t kFullPercent = 95;
constexpr double kAheadPerEntry = 0.05;
constexpr double kAheadPerRead = 0.001;
// Instead of S3-FIFO: it is seldom far from the best.
constexpr double kAheadOfS3FifoPerEntry = 0.2;
// How much less room the early shadows have, and how many keys, as parts of the others'.
constexpr int64_t kEarlyRoomPart = 2;
constexpr size_t kEarlyRecordsPart = 2;

}  // namespace

AdaptivePolicy::AdaptivePolicy(const Options& options)
    : options_(options),
      shadows_(options.max_bytes, options.max_records_count),
      votes_(std::make_unique<VoteQueues>()),
      queues_(ShadowCaches::kRules[0], options.max_bytes) {}

AdaptivePolicy::~AdaptivePolicy() = default;

void AdaptivePolicy::Insert(Link* link) {
  ApplyTouches();
  credit_count_ =
      std::min(credit_count_ + kHitsPerMissCount, std::max(kLeastMaxCreditCount, count()));
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
  if (early_ != nullptr) ReadEarly(link, hit);
  if (!shadows_.Sampled(link->hash)) return;
  shadows_.Read(link, hit, votes_.get());
  if (shadows_.due()) Decide();
}

void AdaptivePolicy::ReadEarly(Link* link, bool hit) {
  if (!early_->Sampled(link->hash)) return;
  early_->Read(link, hit, nullptr);
  if (early_->overfull()) early_->HalveSample();
  if (!early_->due()) return;
  const auto verdict = early_->Judge(rule_);
  if (!full()) return;
  Follow(verdict.best);
  early_.reset();
}

bool AdaptivePolicy::full() const {
  return queues_.bytes() >= options_.max_bytes * kFullPercent / 100;
}

void AdaptivePolicy::Follow(size_t rule_number) {
  rule_ = rule_number;
  queues_.SetRule(rule());
}

void AdaptivePolicy::Decide() {
  const auto verdict = shadows_.Judge(rule_);
  if (votes_ != nullptr) {
    votes_->SetWeights(verdict.weights);
    rule_ = verdict.best;
    return;
  }
  // Only a full cache tells how much of it is sampled.
  if (full()) shadows_.SetRoom(sampled_bytes_);
  const double ahead = verdict.hits[verdict.best] - verdict.hits[rule_];
  const double per_entry =
      rule().kind == EvictionRule::kS3Fifo ? kAheadOfS3FifoPerEntry : kAheadPerEntry;
  if (ahead >
      per_entry * static_cast<double>(verdict.entries_count) + kAheadPerRead * verdict.reads)
    Follow(verdict.best);
}

void AdaptivePolicy::LeaveVotes() {
  queues_.SetRule(rule());
  // Those that would be evicted first become the oldest.
  while (!votes_->empty()) queues_.Insert(votes_->Evict());
  votes_.reset();
  if (queues_.bytes() < options_.max_bytes / kEarlyRoomPart) {
    early_ = std::make_unique<ShadowCaches>(options_.max_bytes / kEarlyRoomPart,
                                            options_.max_records_count / kEarlyRecordsPart);
  }
}

void AdaptivePolicy::Remove(Link* link) {
  ApplyTouches();
  CountSampled(link, -1);
  shadows_.Removed(link);
  if (early_ != nullptr) early_->Removed(link);
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
  if (early_ != nullptr) early_->Replaced(link, next);
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
         (early_ != nullptr ? sizeof(ShadowCaches) + early_->memory_bytes() : 0) +
         (votes_ != nullptr ? sizeof(VoteQueues) : 0);
}

}  // namespace slipstream::cache
