#include "services/cache/invalidation_follower.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "services/cache/invalidation_walk.h"

namespace slipstream::cache {

void InvalidationFollower::SetListener(StoreListener* listener) {
  sync::MutexLock lock(listener_mutex_);
  listener_ = listener;
}

void InvalidationFollower::Tell(const Ended& ended) {
  if (ended.empty()) return;
  // Held, so that a listener that was taken away is not called any more; listeners lock only what
  // is theirs.
  sync::MutexLock lock(listener_mutex_);
  if (listener_ == nullptr) return;
  for (const auto& id : ended) listener_->OnKeyEnded(id);
}

void InvalidationFollower::Begin(Start start) {
  auto life = std::make_shared<Life>();
  uint64_t seed = 0;
  (void)absl::SimpleHexAtoi(start.generation, &seed);
  life->slots = TagSlots(seed);
  life->generation = start.generation;
  life->node = start.node;
  life->session = start.session;
  {
    sync::MutexLock lock(mutex_);
    epochs_.Clear();
    for (const auto& [slot, offset] : start.epochs) epochs_.Raise(slot, offset);
    life_ = std::move(life);
    applied_ = head_ = start.offset;
    waiting_.clear();
    walk_.reset();
    broken_ = false;
    globs_ = std::make_shared<const std::vector<Glob>>(std::move(start.globs));
    watch_log_.Restart(start.generation, start.offset);
  }
  changed_.Notify();
}

std::shared_ptr<const InvalidationFollower::Life> InvalidationFollower::life() const {
  sync::MutexLock lock(mutex_);
  return life_;
}

void InvalidationFollower::Take(std::string_view generation, Offset offset, std::string record) {
  Ended ended;
  {
    sync::MutexLock lock(mutex_);
    if (generation != life_->generation || offset <= applied_) return;
    head_ = std::max(head_, offset);
    if (offset == applied_ + 1 || waiting_.size() < kMaxWaitingCount) {
      waiting_.emplace(offset, std::move(record));
    }
    Drain(&ended);
  }
  Tell(ended);
  changed_.Notify();
}

std::optional<Offset> InvalidationFollower::TakeOwn(const Life& life, Offset offset,
                                                    std::string record) {
  Take(life.generation, offset, std::move(record));
  sync::MutexLock lock(mutex_);
  if (life_->session != life.session || applied_ != offset) return std::nullopt;
  // What is applied from here on, under this lock, comes after it.
  return memory_.CurrentOffset();
}

void InvalidationFollower::SetHead(std::string_view generation, Offset head) {
  {
    sync::MutexLock lock(mutex_);
    if (generation != life_->generation || head <= head_) return;
    head_ = head;
  }
  changed_.Notify();
}

void InvalidationFollower::Drain(Ended* ended) {
  while (!walk_ && !broken_ && !waiting_.empty() && waiting_.begin()->first <= applied_ + 1) {
    const auto [offset, record] = *waiting_.begin();
    waiting_.erase(waiting_.begin());
    if (offset <= applied_) continue;
    auto what = Invalidation::Decode(record);
    if (!what.ok()) {
      broken_ = true;
      return;
    }
    if (what->kind == Invalidation::kGlob) {
      // Known before the walk, so that no value it names is taken from the other tier behind it.
      auto globs = std::make_shared<std::vector<Glob>>(*globs_);
      globs->push_back({offset, what->filter});
      globs_ = std::move(globs);
      walk_.emplace(offset, *std::move(what));
      return;
    }
    Apply(offset, *what, ended);
  }
}

void InvalidationFollower::Apply(Offset offset, const Invalidation& what, Ended* ended) {
  switch (what.kind) {
    case Invalidation::kKey:
    case Invalidation::kEvicted:
      // Its time does not matter: what is gone already is gone.
      memory_.Erase(what.id, ScopedKey::HashOf(what.id), 0);
      if (what.kind == Invalidation::kKey) ended->push_back(what.id);
      break;
    case Invalidation::kTag:
    case Invalidation::kNamespace: {
      const TagSlots::Slots slots = life_->slots.Of(absl::MakeConstSpan(what.tags));
      for (const uint32_t slot : slots) epochs_.Raise(slot, offset);
      memory_.Invalidate(slots);
      break;
    }
    case Invalidation::kRetired: {
      auto globs = std::make_shared<std::vector<Glob>>(*globs_);
      std::erase_if(*globs, [&](const Glob& glob) { return glob.offset == what.retired; });
      globs_ = std::move(globs);
      break;
    }
    case Invalidation::kGlob:
      break;  // walked
  }
  applied_ = offset;
  watch_log_.AppendAt(offset, what);
}

Async<void> InvalidationFollower::Walk() {
  std::shared_ptr<const EntryFilter> filter;
  std::shared_ptr<const Life> life;
  Offset offset = 0;
  {
    sync::MutexLock lock(mutex_);
    if (!walk_) co_return;
    filter = walk_->second.filter;
    offset = walk_->first;
    life = life_;
  }
  InvalidationWalk walk(memory_, *filter);
  co_await walk.Run();
  Ended ended;
  {
    sync::MutexLock lock(mutex_);
    if (life_ != life || !walk_ || walk_->first != offset) co_return;
    Apply(offset, walk_->second, &ended);
    walk_.reset();
    Drain(&ended);
  }
  Tell(ended);
  changed_.Notify();
}

Offset InvalidationFollower::applied() const {
  sync::MutexLock lock(mutex_);
  return applied_;
}

std::optional<Offset> InvalidationFollower::NextGap() const {
  sync::MutexLock lock(mutex_);
  if (walk_ || broken_ || applied_ >= head_) return std::nullopt;
  return applied_ + 1;
}

bool InvalidationFollower::Broken() const {
  sync::MutexLock lock(mutex_);
  return broken_;
}

std::vector<InvalidationFollower::Glob> InvalidationFollower::globs() const {
  sync::MutexLock lock(mutex_);
  return *globs_;
}

InvalidationFollower::View InvalidationFollower::view() const {
  sync::MutexLock lock(mutex_);
  return {life_, globs_};
}

bool InvalidationFollower::AnyMatches(const std::vector<Glob>& globs, const RedisEntry& entry,
                                      std::string_view id) {
  return std::any_of(globs.begin(), globs.end(), [&](const Glob& glob) {
    return glob.offset > entry.as_of && glob.filter->Matches(id, entry.user_key);
  });
}

bool InvalidationFollower::Alive(const RedisEntry& entry, std::string_view id,
                                 const View& asked) const {
  if (entry.generation != asked.life->generation) return false;
  if (epochs_.AnyNewerThan(entry.slots, entry.as_of)) return false;
  const auto now = view().globs;
  return !AnyMatches(*now, entry, id) &&
         (asked.globs == now || !AnyMatches(*asked.globs, entry, id));
}

}  // namespace slipstream::cache
