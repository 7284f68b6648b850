#include "services/cache/eviction/shadow_caches.h"

#include <algorithm>
#include <cmath>

namespace slipstream::cache {

namespace {

constexpr size_t kChunkRecordsCount = 64;

// Hits are counted over about so many reads, in multiples of the entries that a shadow holds: long
// enough for a loop that is larger than the cache to come round, short enough to follow a change.
constexpr double kHorizonEntries = 10;
constexpr double kMinHorizonReads = 1000;
// Between two looks at the scores: a part of the entries, but not for every read.
constexpr size_t kLooksPerEntries = 8;
constexpr size_t kMinReadsBetweenLooks = 32;
// What the first rule and the one that is best already have in advance, in square roots of the
// entries: differences below it are chance, and a change costs misses.
constexpr double kLead = 1;
// A rule that did not keep its promise is tried again after so many reads, in multiples of the
// entries; and a promise is none below so many hits.
constexpr double kDistrustEntries = 500;
constexpr double kMinPromisedHits = 30;
constexpr double kKeptPromise = 0.8;
// A rule that is behind by so many hits has 1/e of the votes' weight.
constexpr double kBehindHits = 2;
constexpr double kBehindPerRead = 0.002;
// In a loop twins hold different parts of it, and each is ahead when its own part has just come by:
// if they took turns, each would miss what the other has let go. So a twin must be ahead by so many
// hits, as a part of the entries.
constexpr double kTwinLeadEntries = 0.3;

}  // namespace

struct ShadowCaches::Record {
  EntryLink* live = nullptr;  // the entry itself, while the cache has it and wants votes for it
  VoteQueues::Votes votes = 0;
  std::array<EntryLink, kCount> links;
};

ShadowCaches::ShadowCaches(int64_t max_bytes, size_t max_records_count)
    : max_bytes_(max_bytes), max_records_count_(max_records_count) {
  static_assert(kCount <= VoteQueues::kMaxRulesCount);
  trust_.fill(1);
  for (const auto& rule : kRules) {
    shadows_.push_back(std::make_unique<EvictionQueues>(rule, max_bytes, true));
  }
}

ShadowCaches::~ShadowCaches() = default;

ShadowCaches::Record* ShadowCaches::Find(uint64_t hash) {
  const auto it = records_.find(hash);
  return it == records_.end() ? nullptr : it->second;
}

void ShadowCaches::MakeSpareRecords() {
  if (free_.empty()) {
    chunks_.push_back(std::make_unique<Record[]>(kChunkRecordsCount));
    free_.reserve(chunks_.size() * kChunkRecordsCount);
    for (size_t i = 0; i < kChunkRecordsCount; ++i) free_.push_back(&chunks_.back()[i]);
  }
  if (records_.size() < reserved_count_) return;
  reserved_count_ = std::max(kChunkRecordsCount, 2 * records_.size());
  // Half as much again: erased slots are then cleaned up in place.
  records_.reserve(reserved_count_ + reserved_count_ / 2);
}

// REQUIRES: there are spare ones.
ShadowCaches::Record* ShadowCaches::NewRecord(uint64_t hash) {
  Record* const record = free_.back();
  free_.pop_back();
  record->live = nullptr;
  record->votes = 0;
  records_.emplace(hash, record);
  return record;
}

void ShadowCaches::SetVotes(Record* record, VoteQueues::Votes votes) {
  record->votes = votes;
  if (record->live != nullptr) votes_->Move(record->live, votes);
}

void ShadowCaches::DropIfUnused(uint64_t hash, Record* record) {
  if (record->votes != 0 || record->live != nullptr) return;
  records_.erase(hash);
  free_.push_back(record);
}

void ShadowCaches::Read(EntryLink* link, bool hit, VoteQueues* votes) {
  Record* record = Find(link->hash);
  if (!hit) MakeSpareRecords();
  if (record == nullptr) {
    if (free_.empty() || records_.size() >= reserved_count_) return;
    record = NewRecord(link->hash);
  }
  votes_ = votes;
  record->live = votes != nullptr ? link : nullptr;
  reads_ += 1;
  ++trial_.reads;
  trial_.hits += hit;
  trial_.promised_hits += record->votes >> trial_.rule & 1;
  if (reads_until_due_ > 0) --reads_until_due_;
  for (size_t i = 0; i < kCount; ++i) {
    EntryLink& shadow = record->links[i];
    if (record->votes >> i & 1) {
      hits_[i] += 1;
      shadows_[i]->Touch(&shadow);
      continue;
    }
    shadow = {};
    shadow.hash = link->hash;
    shadow.weight_bytes = link->weight_bytes;
    record->votes |= 1u << i;
    shadows_[i]->Insert(&shadow);
  }
  SetVotes(record, record->votes);
  for (size_t i = 0; i < kCount; ++i) {
    while (shadows_[i]->bytes() > shadows_[i]->max_bytes()) {
      const uint64_t hash = shadows_[i]->Evict()->hash;
      Record* const gone = Find(hash);
      SetVotes(gone, gone->votes & ~(1u << i));
      DropIfUnused(hash, gone);
    }
  }
}

void ShadowCaches::Evicted(const EntryLink* link) {
  Record* const record = Find(link->hash);
  if (record == nullptr || record->live != link) return;
  record->live = nullptr;
  DropIfUnused(link->hash, record);
}

void ShadowCaches::Removed(const EntryLink* link) {
  Record* const record = Find(link->hash);
  if (record == nullptr) return;
  for (size_t i = 0; i < kCount; ++i) {
    if (record->votes >> i & 1) shadows_[i]->Remove(&record->links[i]);
  }
  record->live = nullptr;
  record->votes = 0;
  DropIfUnused(link->hash, record);
}

void ShadowCaches::Replaced(const EntryLink* link, EntryLink* next) {
  Record* const record = Find(link->hash);
  if (record == nullptr) return;
  if (record->live == link) record->live = next;
  for (size_t i = 0; i < kCount; ++i) {
    if (record->votes >> i & 1) shadows_[i]->Reweigh(&record->links[i], next->weight_bytes);
  }
}

bool ShadowCaches::overfull() const {
  return records_.size() > max_records_count_ && sample_mask_ < kMaxSampleMask;
}

void ShadowCaches::HalveSample() {
  sample_mask_ = sample_mask_ * 2 + 1;
  std::vector<EntryLink> gone;
  for (const auto& [hash, record] : records_) {
    record->live = nullptr;
    if (!Sampled(hash)) gone.push_back({.hash = hash});
  }
  for (const auto& link : gone) Removed(&link);
  SetRoom(max_bytes_ / static_cast<int64_t>(sample_mask_ + 1));
}

void ShadowCaches::SetRoom(int64_t max_bytes) {
  for (auto& shadow : shadows_) shadow->SetMaxBytes(max_bytes);
}

void ShadowCaches::UpdateTrust(size_t in_force, size_t entries_count) {
  if (trial_.rule != in_force) trial_ = {.rule = in_force};
  const auto entries = static_cast<double>(entries_count);
  for (auto& trust : trust_) {
    trust += (1 - trust) * static_cast<double>(look_reads_) / (kDistrustEntries * entries + 1);
  }
  // At first the entries are still those of the rule before. And of a loop the shadow may hold
  // another part than the cache: only when it has come round are their hits to be compared, which
  // is when the shadow has had one for each entry, or the horizon is over.
  if (trial_.reads < 2 * entries_count || trial_.promised_hits < kMinPromisedHits) return;
  if (trial_.promised_hits < entries && trial_.reads < kHorizonEntries * entries) return;
  trust_[in_force] = std::min(1.0, trial_.hits / trial_.promised_hits / kKeptPromise);
  if (trial_.reads < kHorizonEntries * entries) return;
  trial_.reads /= 2;
  trial_.hits /= 2;
  trial_.promised_hits /= 2;
}

size_t ShadowCaches::TwinOf(size_t rule) {
  if (rule == kTwins[0]) return kTwins[1];
  return rule == kTwins[1] ? kTwins[0] : kCount;
}

ShadowCaches::Verdict ShadowCaches::Judge(size_t in_force) {
  Verdict out;
  for (const auto& shadow : shadows_) {
    out.entries_count = std::max(out.entries_count, shadow->count());
  }
  const auto entries = static_cast<double>(out.entries_count);
  if (!full_sample()) UpdateTrust(in_force, out.entries_count);
  for (size_t i = 0; i < kCount; ++i) out.hits[i] = hits_[i] * trust_[i];
  out.hits[0] += kLead * std::sqrt(entries);
  out.hits[best_] += kLead * std::sqrt(entries);
  if (const size_t twin = TwinOf(best_);
      twin < kCount && out.hits[twin] < out.hits[best_] + kTwinLeadEntries * entries) {
    out.hits[twin] = std::min(out.hits[twin], out.hits[best_] - 1);  // just behind, not level
  }
  out.reads = reads_;
  const auto best = std::max_element(out.hits.begin(), out.hits.end());
  out.best = best_ = static_cast<size_t>(best - out.hits.begin());
  for (size_t i = 0; i < kCount; ++i) {
    out.weights[i] =
        std::exp((out.hits[i] - *best) / (kBehindHits + kBehindPerRead * reads_)) + 1e-9;
  }
  look_reads_ = reads_until_due_ =
      std::max(kMinReadsBetweenLooks, out.entries_count / kLooksPerEntries);
  const double horizon = std::max(kMinHorizonReads, kHorizonEntries * entries);
  const double kept = std::max(0.0, 1 - static_cast<double>(reads_until_due_) / horizon);
  for (auto& hits : hits_) hits *= kept;
  reads_ *= kept;
  return out;
}

size_t ShadowCaches::memory_bytes() const {
  size_t bytes = chunks_.size() * kChunkRecordsCount * sizeof(Record) +
                 free_.capacity() * sizeof(Record*) + records_.capacity() * 17;
  for (const auto& shadow : shadows_) bytes += sizeof(EvictionQueues) + shadow->memory_bytes();
  return bytes;
}

}  // namespace slipstream::cache
