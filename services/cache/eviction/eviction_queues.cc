#include "services/cache/eviction/eviction_queues.h"

#include <algorithm>
#include <utility>

namespace slipstream::cache {

EvictionQueues::EvictionQueues(EvictionRule rule, int64_t max_bytes, bool keeps_rule)
    : rule_(rule),
      needs_sketch_(!keeps_rule || rule.kind == EvictionRule::kTinyLfu),
      needs_ghosts_(!keeps_rule || rule.kind == EvictionRule::kS3Fifo),
      exact_(keeps_rule),
      max_bytes_(max_bytes) {
  uint8_t tag = 0;
  for (Queue* queue : {&recent_, &main_, &frequent_}) {
    queue->tag = tag;
    tags_[tag++].queue = queue;
  }
}

void EvictionQueues::Push(Queue* queue, Link* link) {
  queue->Push(link);
  link->tag = queue->tag;
  ++tags_[link->tag].count;
}

void EvictionQueues::Unlink(Link* link) {
  if (link == hand_) hand_ = link->newer;
  if (link == candidate_) candidate_ = nullptr;
  --tags_[link->tag].count;
  QueueOf(link).Unlink(link);
}

void EvictionQueues::Insert(Link* link) {
  const uint64_t hash = Spread(link->hash);
  if (needs_sketch_) {
    sketch_.Fit(count() + 1, rule_.memory_reads);
    sketch_.Increment(hash);
  }
  bool recalled = false;
  if (needs_ghosts_) {
    ghosts_.Fit((count() + 1) * kGhostPercent / 100);
    recalled = ghosts_.Take(hash);
  }
  link->reads = 0;
  if (rule_.kind == EvictionRule::kS3Fifo && recalled) {
    Push(&main_, link);
    return;
  }
  Push(&recent_, link);
  if (rule_.kind == EvictionRule::kTinyLfu) ShrinkWindow();
}

void EvictionQueues::CountRead(uint64_t hash, size_t entries_count) {
  sketch_.Fit(entries_count, rule_.memory_reads);
  sketch_.Increment(Spread(hash));
}

void EvictionQueues::Touch(Link* link) {
  if (link->reads < kMaxReads) ++link->reads;
  if (!exact_ && MovedLately(link)) return;
  if (needs_sketch_) sketch_.Increment(Spread(link->hash));
  switch (rule_.kind) {
    case EvictionRule::kLru:
      if (link != recent_.newest) Move(&recent_, link);
      break;
    case EvictionRule::kSieve:
    case EvictionRule::kS3Fifo:
      break;
    case EvictionRule::kTinyLfu:
      if (Queue& queue = QueueOf(link); &queue == &main_) {
        PromoteToFrequent(link);
      } else if (link != queue.newest) {
        Move(&queue, link);
      }
      break;
  }
}

bool EvictionQueues::MovedLately(Link* link) {
  const size_t entries = count();
  if (entries < kManyEntriesCount) return false;
  if (steps_until_stamp_ == 0) {
    ++stamp_;
    steps_until_stamp_ = entries / kStampsPerEntries;
  }
  --steps_until_stamp_;
  if (link->stamp == stamp_) return true;
  link->stamp = stamp_;
  return false;
}

void EvictionQueues::Prefetch(const Link* link) const {
  if (link->stamp == stamp_ && count() >= kManyEntriesCount) return;
  sketch_.Prefetch(Spread(link->hash));
  __builtin_prefetch(link->newer, 1);
  __builtin_prefetch(link->older, 1);
}

void EvictionQueues::Remove(Link* link) {
  Unlink(link);
  link->newer = link->older = nullptr;
}

void EvictionQueues::Replace(Link* link, Link* next) {
  next->reads = link->reads;
  next->tag = link->tag;
  if (link == hand_) hand_ = next;
  if (link == candidate_) candidate_ = next;
  QueueOf(link).Replace(link, next);
}

void EvictionQueues::Reweigh(Link* link, uint32_t weight_bytes) {
  QueueOf(link).bytes += int64_t{weight_bytes} - int64_t{link->weight_bytes};
  link->weight_bytes = weight_bytes;
}

EvictionQueues::Link* EvictionQueues::Evict() {
  Link* link = nullptr;
  switch (rule_.kind) {
    case EvictionRule::kLru:
      link = EvictByRecency();
      break;
    case EvictionRule::kSieve:
      link = EvictBySieve();
      break;
    case EvictionRule::kS3Fifo:
      link = EvictByS3Fifo();
      break;
    case EvictionRule::kTinyLfu:
      link = EvictByTinyLfu();
      break;
  }
  Remove(link);
  if (needs_ghosts_) ghosts_.Add(Spread(link->hash));
  return link;
}

EvictionQueues::Link* EvictionQueues::EvictByRecency() { return recent_.oldest; }

EvictionQueues::Link* EvictionQueues::EvictBySieve() {
  // Each turn clears a mark that a read has set. The newest stays: it has had no time to be read.
  Link* at = hand_ != nullptr ? hand_ : recent_.oldest;
  while (at->reads > 0 || (at == recent_.newest && recent_.count > 1)) {
    at->reads = 0;
    at = at->newer != nullptr ? at->newer : recent_.oldest;
  }
  hand_ = at;  // Unlink moves it on
  return at;
}

EvictionQueues::Link* EvictionQueues::EvictByS3Fifo() {
  // Each turn moves an entry to the main queue or lowers a counter, so it ends.
  for (;;) {
    const bool small_is_full = recent_.bytes > max_bytes_ * kSmallPercent / 100;
    if (main_.count == 0 || (small_is_full && recent_.count > 1)) {
      Link* link = recent_.oldest;
      if (link->reads <= 1 || recent_.count == 1) return link;
      link->reads = 0;
      Move(&main_, link);
      continue;
    }
    Link* link = main_.oldest;
    if (link->reads == 0) return link;
    --link->reads;
    Move(&main_, link);
  }
}

void EvictionQueues::ShrinkWindow() {
  for (int i = 0; i < kWindowSteps; ++i) {
    if (recent_.count <= 1 || recent_.bytes * 100 <= max_bytes_ * rule_.window_percent) return;
    Link* link = recent_.oldest;
    Move(&main_, link);
    candidate_ = link;
  }
}

EvictionQueues::Link* EvictionQueues::EvictByTinyLfu() {
  if (main_.count + frequent_.count == 0) return recent_.oldest;
  if (candidate_ == nullptr) return main_.count > 0 ? main_.oldest : frequent_.oldest;
  Link* victim = main_.oldest;
  if (victim == candidate_) {
    if (frequent_.count == 0) return candidate_;
    victim = frequent_.oldest;
  }
  return Admit(candidate_, victim) ? victim : candidate_;
}

bool EvictionQueues::Admit(const Link* candidate, const Link* victim) {
  const uint32_t asked = sketch_.Frequency(Spread(candidate->hash));
  if (asked > sketch_.Frequency(Spread(victim->hash)) + rule_.margin_reads) return true;
  if (asked < kAdmitAtRandomFrom) return false;
  random_ = random_ * 6364136223846793005 + 1442695040888963407;
  return (random_ >> 33) % kAdmitOneOf == 0;
}

void EvictionQueues::PromoteToFrequent(Link* link) {
  Move(&frequent_, link);
  const int64_t main_max_bytes = max_bytes_ - max_bytes_ * rule_.window_percent / 100;
  while (frequent_.count > 1 && frequent_.bytes > main_max_bytes * kFrequentPercent / 100) {
    Move(&main_, frequent_.oldest);
  }
}

bool EvictionQueues::Join(Queue* from, Queue* to, bool as_older) {
  if (from->count == 0) return true;
  const auto free = std::find_if(tags_.begin(), tags_.end(), [&](const Tag& tag) {
    const auto number = static_cast<uint8_t>(&tag - tags_.data());
    return tag.count == 0 && number != recent_.tag && number != main_.tag &&
           number != frequent_.tag;
  });
  if (free == tags_.end()) return false;
  for (Tag& tag : tags_) {
    if (tag.queue == from) tag.queue = to;
  }
  free->queue = from;
  from->tag = static_cast<uint8_t>(free - tags_.begin());

  Link* const newest = as_older ? to->newest : from->newest;
  Link* const oldest = as_older ? from->oldest : to->oldest;
  if (to->count > 0) {
    Link* const below = as_older ? from->newest : to->newest;
    Link* const above = as_older ? to->oldest : from->oldest;
    below->newer = above;
    above->older = below;
    to->newest = newest;
    to->oldest = oldest;
  } else {
    to->newest = from->newest;
    to->oldest = from->oldest;
  }
  to->bytes += std::exchange(from->bytes, 0);
  to->count += std::exchange(from->count, 0);
  from->newest = from->oldest = nullptr;
  return true;
}

bool EvictionQueues::Arrange(EvictionRule::Kind kind) {
  switch (kind) {
    case EvictionRule::kLru:
    case EvictionRule::kSieve:
      return Join(&frequent_, &recent_, true) && Join(&main_, &recent_, true);
    case EvictionRule::kS3Fifo:
      // What W-TinyLFU had on probation proves itself among the newcomers: in the main queue it
      // would stay until as many others have come there.
      return Join(&main_, &recent_, true) && Join(&frequent_, &main_, false);
    case EvictionRule::kTinyLfu:
      // What LRU or SIEVE had is on probation: the window holds newcomers only.
      return main_.count + frequent_.count > 0 || Join(&recent_, &main_, true);
  }
  return false;
}

void EvictionQueues::SetRule(EvictionRule rule) {
  if (rule == rule_ || (rule.kind != rule_.kind && !Arrange(rule.kind))) return;
  hand_ = candidate_ = nullptr;
  rule_ = rule;
}

}  // namespace slipstream::cache
