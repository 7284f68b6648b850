#include "services/cache/s3fifo.h"

#include <algorithm>

namespace slipstream::cache {

void S3Fifo::Queue::Push(Link* link) {
  link->newer = nullptr;
  link->older = newest;
  (newest != nullptr ? newest->newer : oldest) = link;
  newest = link;
  bytes += link->weight_bytes;
  ++count;
}

void S3Fifo::Queue::Unlink(Link* link) {
  (link->newer != nullptr ? link->newer->older : newest) = link->older;
  (link->older != nullptr ? link->older->newer : oldest) = link->newer;
  link->newer = link->older = nullptr;
  bytes -= link->weight_bytes;
  --count;
}

void S3Fifo::Insert(Link* link) {
  link->reads = 0;
  link->in_main = Recall(link->hash);
  QueueOf(link).Push(link);
}

void S3Fifo::Remove(Link* link) { QueueOf(link).Unlink(link); }

void S3Fifo::Replace(Link* link, Link* next) {
  Queue& queue = QueueOf(link);
  next->newer = link->newer;
  next->older = link->older;
  next->reads = link->reads;
  next->in_main = link->in_main;
  (next->newer != nullptr ? next->newer->older : queue.newest) = next;
  (next->older != nullptr ? next->older->newer : queue.oldest) = next;
  queue.bytes += int64_t{next->weight_bytes} - int64_t{link->weight_bytes};
  link->newer = link->older = nullptr;
}

S3Fifo::Link* S3Fifo::Evict() {
  // Each turn moves an entry to the main queue or lowers a counter of at most kMaxReads, so it
  // ends.
  for (;;) {
    if (small_.count > 0 && (small_.bytes > small_max_bytes_ || main_.count == 0)) {
      Link* link = small_.oldest;
      small_.Unlink(link);
      if (link->reads > 1) {
        link->reads = 0;
        link->in_main = true;
        main_.Push(link);
        continue;
      }
      Remember(link->hash);
      return link;
    }
    Link* link = main_.oldest;
    main_.Unlink(link);
    if (link->reads > 0) {
      --link->reads;
      main_.Push(link);
      continue;
    }
    return link;
  }
}

void S3Fifo::Remember(size_t hash) {
  ghosts_.push_back(hash);
  ++ghost_counts_[hash];
  const size_t max_count = std::max<size_t>(16, small_.count + main_.count);
  while (ghosts_.size() > max_count) {
    auto it = ghost_counts_.find(ghosts_.front());
    ghosts_.pop_front();
    if (it != ghost_counts_.end() && --it->second == 0) ghost_counts_.erase(it);
  }
}

bool S3Fifo::Recall(size_t hash) {
  // The queue keeps its place until it ages out; without a count it means nothing.
  return ghost_counts_.erase(hash) > 0;
}

}  // namespace slipstream::cache
