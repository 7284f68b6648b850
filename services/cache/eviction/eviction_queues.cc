#include "services/cache/eviction/eviction_queues.h"

namespace slipstream::cache {

namespace {

enum : uint8_t { kRecent, kMain, kFrequent };

}  // namespace

EvictionQueues::EvictionQueues(EvictionRule rule, int64_t max_bytes)
    : rule_(rule),
      needs_sketch_(rule.kind == EvictionRule::kTinyLfu),
      needs_ghosts_(rule.kind == EvictionRule::kS3Fifo || rule.kind == EvictionRule::kLirs),
      max_bytes_(max_bytes) {}

void EvictionQueues::Push(uint8_t tag, Link* link) {
  link->tag = tag;
  queues_[tag]->Push(link);
}

void EvictionQueues::Unlink(Link* link) {
  if (link == hand_) hand_ = link->newer;
  if (link == candidate_) candidate_ = nullptr;
  QueueOf(link).Unlink(link);
}

void EvictionQueues::Insert(Link* link) {
  const uint64_t hash = Spread(link->hash);
  if (needs_sketch_) {
    sketch_.Fit(count() + 1, rule_.memory_reads);
    sketch_.Increment(hash);
  }
  std::optional<GhostTable::Step> ghost;
  if (needs_ghosts_) {
    ghosts_.Fit(count() + 1);
    ghost = ghosts_.Take(hash);
  }
  link->reads = 0;
  switch (rule_.kind) {
    case EvictionRule::kLru:
    case EvictionRule::kSieve:
      Push(kRecent, link);
      break;
    case EvictionRule::kS3Fifo: {
      const bool recalled = ghost.has_value() && uint32_t{ghosts_.AgeOf(*ghost)} * 100 <
                                                     ghosts_.steps_per_entries() * kGhostPercent;
      Push(recalled ? kMain : kRecent, link);
      break;
    }
    case EvictionRule::kTinyLfu:
      Push(kRecent, link);
      ShrinkWindow();
      break;
    case EvictionRule::kLirs:
      InsertByLirs(link, ghost);
      break;
  }
}

void EvictionQueues::Touch(Link* link) {
  if (link->reads < kMaxReads) ++link->reads;
  if (needs_sketch_) sketch_.Increment(Spread(link->hash));
  switch (rule_.kind) {
    case EvictionRule::kLru:
      if (link != recent_.newest) Move(kRecent, link);
      break;
    case EvictionRule::kSieve:
    case EvictionRule::kS3Fifo:
      break;
    case EvictionRule::kTinyLfu:
      TouchByTinyLfu(link);
      break;
    case EvictionRule::kLirs:
      TouchByLirs(link);
      break;
  }
}

void EvictionQueues::Remove(Link* link) {
  Unlink(link);
  link->newer = link->older = nullptr;
}

void EvictionQueues::Reweigh(Link* link, uint32_t weight_bytes) {
  QueueOf(link).bytes += int64_t{weight_bytes} - int64_t{link->weight_bytes};
  link->weight_bytes = weight_bytes;
}

EvictionQueues::Link* EvictionQueues::Evict() {
  Link* link = nullptr;
  switch (rule_.kind) {
    case EvictionRule::kLru:
      link = recent_.oldest;
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
    case EvictionRule::kLirs:
      link = EvictByLirs();
      break;
  }
  Remove(link);
  if (needs_ghosts_) {
    ghosts_.Tick();
    // LIRS asks how long ago it was read, S3-FIFO how long ago it left.
    const bool by_read = rule_.kind == EvictionRule::kLirs;
    ghosts_.Add(Spread(link->hash), by_read ? link->stamp : ghosts_.now());
  }
  return link;
}

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
      Move(kMain, link);
      continue;
    }
    Link* link = main_.oldest;
    if (link->reads == 0) return link;
    --link->reads;
    Move(kMain, link);
  }
}

void EvictionQueues::ShrinkWindow() {
  while (recent_.count > 1 && recent_.bytes * 100 > max_bytes_ * rule_.recent_percent) {
    Link* const link = recent_.oldest;
    Move(kMain, link);
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

void EvictionQueues::TouchByTinyLfu(Link* link) {
  if (link->tag == kMain) {
    PromoteToFrequent(link);
  } else if (link != QueueOf(link).newest) {
    Move(link->tag, link);
  }
}

void EvictionQueues::PromoteToFrequent(Link* link) {
  Move(kFrequent, link);
  const int64_t main_max_bytes = max_bytes_ - max_bytes_ * rule_.recent_percent / 100;
  while (frequent_.count > 1 && frequent_.bytes > main_max_bytes * kFrequentPercent / 100) {
    Move(kMain, frequent_.oldest);
  }
}

bool EvictionQueues::ReadSinceColdest(GhostTable::Step step) const {
  return frequent_.count == 0 || ghosts_.AgeOf(step) < ghosts_.AgeOf(frequent_.oldest->stamp);
}

void EvictionQueues::InsertByLirs(Link* link, std::optional<GhostTable::Step> last_read) {
  link->stamp = ghosts_.now();
  const bool fills = bytes() + link->weight_bytes <= max_bytes_ || last_read.has_value();
  const bool hot =
      (fills && HasHotRoomFor(link)) || (last_read.has_value() && ReadSinceColdest(*last_read));
  Push(hot ? kFrequent : kRecent, link);
  ShrinkHot();
}

void EvictionQueues::TouchByLirs(Link* link) {
  if (link->tag == kRecent && (HasHotRoomFor(link) || ReadSinceColdest(link->stamp))) {
    Move(kFrequent, link);
    ShrinkHot();
  } else if (link != QueueOf(link).newest) {
    Move(link->tag, link);
  }
  link->stamp = ghosts_.now();
}

void EvictionQueues::ShrinkHot() {
  while (frequent_.count > 1 && frequent_.bytes > hot_max_bytes()) Move(kRecent, frequent_.oldest);
}

EvictionQueues::Link* EvictionQueues::EvictByLirs() {
  if (frequent_.count > 0 && ghosts_.AgeOf(frequent_.oldest->stamp) > kOldSteps) {
    Move(kRecent, frequent_.oldest);
  }
  return recent_.count > 0 ? recent_.oldest : frequent_.oldest;
}

}  // namespace slipstream::cache
