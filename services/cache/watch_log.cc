#include "services/cache/watch_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace slipstream::cache {

namespace {

size_t BytesOf(const Invalidation& what) {
  size_t out = sizeof(Invalidation) + what.id.size() + what.user_key.size();
  for (const auto& tag : what.tags) out += sizeof(tag) + tag.size();
  if (what.filter != nullptr) out += what.filter->glob().size();
  return out;
}

}  // namespace

std::string WatchLog::PositionOf(Offset offset) const { return absl::StrCat(epoch_, ":", offset); }

std::string WatchLog::Position(Offset offset) const {
  sync::MutexLock lock(mutex_);
  return PositionOf(offset);
}

std::string WatchLog::Head() const {
  sync::MutexLock lock(mutex_);
  return PositionOf(head_);
}

void WatchLog::Keep(Offset offset, Invalidation what) {
  head_ = offset;
  bytes_ += BytesOf(what);
  items_.push_back({offset, std::make_shared<const Invalidation>(std::move(what))});
  while (items_.size() > kMaxKeptCount || bytes_ > kMaxKeptBytes) {
    floor_ = items_.front().offset;
    bytes_ -= BytesOf(*items_.front().what);
    items_.pop_front();
  }
}

Offset WatchLog::Append(Invalidation what) {
  Offset offset;
  {
    sync::MutexLock lock(mutex_);
    offset = head_ + 1;
    Keep(offset, std::move(what));
  }
  changed_.Notify();
  return offset;
}

void WatchLog::AppendAt(Offset offset, Invalidation what) {
  {
    sync::MutexLock lock(mutex_);
    if (offset <= head_) return;
    Keep(offset, std::move(what));
  }
  changed_.Notify();
}

void WatchLog::Restart(std::string epoch, Offset offset) {
  {
    sync::MutexLock lock(mutex_);
    // The same history with nothing missed: what is kept stays good.
    if (epoch == epoch_ && offset == head_) return;
    epoch_ = std::move(epoch);
    head_ = floor_ = offset;
    items_.clear();
    bytes_ = 0;
  }
  changed_.Notify();
}

WatchLog::Portion WatchLog::After(std::string_view position, size_t max_count) const {
  const size_t colon = position.rfind(':');
  Offset after = 0;
  const bool parsed =
      colon != std::string_view::npos &&
      absl::SimpleAtoi(absl::string_view(position.data() + colon + 1, position.size() - colon - 1),
                       &after);
  Portion out;
  sync::MutexLock lock(mutex_);
  out.epoch = epoch_;
  out.reset = !parsed || position.substr(0, colon) != epoch_ || after < floor_ || after > head_;
  if (out.reset) {
    out.position = PositionOf(head_);
    return out;
  }
  auto it = std::upper_bound(items_.begin(), items_.end(), after,
                             [](Offset value, const Item& item) { return value < item.offset; });
  for (; it != items_.end() && out.items.size() < max_count; ++it) out.items.push_back(*it);
  out.position = PositionOf(out.items.empty() ? after : out.items.back().offset);
  return out;
}

void WatchLog::Close() {
  {
    sync::MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.Notify();
}

bool WatchLog::closed() const {
  sync::MutexLock lock(mutex_);
  return closed_;
}

}  // namespace slipstream::cache
