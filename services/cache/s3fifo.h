// S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023), by bytes: a
// small queue takes newcomers, so that a scan passes through it without touching the main one;
// what was read again moves to the main queue; what left the small queue is remembered for a while
// by its hash, and enters the main queue at once when it comes back. A hit is one counter.
//
// Thread safety: none; the shard's lock guards it.
#ifndef SERVICES_CACHE_S3FIFO_H_
#define SERVICES_CACHE_S3FIFO_H_

#include <cstddef>
#include <cstdint>
#include <deque>

#include "absl/container/flat_hash_map.h"

namespace slipstream::cache {

class S3Fifo {
 public:
  // What an entry carries for the policy.
  struct Link {
    Link* newer = nullptr;
    Link* older = nullptr;
    size_t hash = 0;
    uint32_t weight_bytes = 0;
    uint8_t reads = 0;  // since it was queued, at most kMaxReads
    bool in_main = false;
  };

  static constexpr uint8_t kMaxReads = 3;
  // Share of the room that the small queue may take before it is evicted from first.
  static constexpr int64_t kSmallPercent = 10;

  explicit S3Fifo(int64_t max_bytes) : small_max_bytes_(max_bytes * kSmallPercent / 100) {}
  S3Fifo(const S3Fifo&) = delete;
  S3Fifo& operator=(const S3Fifo&) = delete;

  void Insert(Link* link);
  static void Touch(Link* link) {
    if (link->reads < kMaxReads) ++link->reads;
  }
  void Remove(Link* link);
  // `next` takes the place of `link`: an overwrite is no reason to lose one's standing.
  void Replace(Link* link, Link* next);
  // Takes out whom to evict. REQUIRES: not empty.
  Link* Evict();

  bool empty() const { return small_.bytes + main_.bytes == 0; }
  int64_t bytes() const { return small_.bytes + main_.bytes; }

 private:
  struct Queue {
    Link* newest = nullptr;
    Link* oldest = nullptr;
    int64_t bytes = 0;
    size_t count = 0;
    void Push(Link* link);
    void Unlink(Link* link);
  };
  Queue& QueueOf(const Link* link) { return link->in_main ? main_ : small_; }
  void Remember(size_t hash);
  bool Recall(size_t hash);

  const int64_t small_max_bytes_;
  Queue small_;
  Queue main_;
  // Hashes that left the small queue, oldest first, with how often each stands in the queue; as
  // many as there are entries.
  std::deque<size_t> ghosts_;
  absl::flat_hash_map<size_t, uint32_t> ghost_counts_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_S3FIFO_H_
