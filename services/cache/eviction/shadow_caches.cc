#include "services/cache/eviction/shadow_caches.h"

#include <algorithm>

namespace slipstream::cache {

namespace {

constexpr size_t kChunkRecordsCount = 64;

}  // namespace

struct ShadowCaches::Record {
  EntryLink* live = nullptr;  // the entry itself, while the cache has it
  VoteQueues::Votes votes = 0;
  std::array<EntryLink, kCount> links;
};

ShadowCaches::ShadowCaches(int64_t max_bytes) {
  static_assert(kCount <= VoteQueues::kMaxRulesCount);
  for (const auto& rule : kRules) {
    shadows_.push_back(std::make_unique<EvictionQueues>(rule, max_bytes));
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

VoteQueues::Votes ShadowCaches::Read(EntryLink* link, bool hit, VoteQueues* votes) {
  Record* record = Find(link->hash);
  if (!hit) MakeSpareRecords();
  if (record == nullptr) {
    if (free_.empty() || records_.size() >= reserved_count_) return 0;
    record = NewRecord(link->hash);
  }
  votes_ = votes;
  record->live = link;
  const VoteQueues::Votes hits = record->votes;
  for (size_t i = 0; i < kCount; ++i) {
    EntryLink& shadow = record->links[i];
    if (hits >> i & 1) {
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
  return hits;
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

size_t ShadowCaches::entries_count() const {
  size_t most = 0;
  for (const auto& shadow : shadows_) most = std::max(most, shadow->count());
  return most;
}

size_t ShadowCaches::memory_bytes() const {
  size_t bytes = chunks_.size() * kChunkRecordsCount * sizeof(Record) +
                 free_.capacity() * sizeof(Record*) + records_.capacity() * 17;
  for (const auto& shadow : shadows_) bytes += sizeof(EvictionQueues) + shadow->memory_bytes();
  return bytes;
}

}  // namespace slipstream::cache
