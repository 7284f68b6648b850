// Doubly linked lists over key numbers, in arrays: the nodes of all lists of one cache.
//
// Thread safety: none.
#ifndef TESTS_BENCH_CACHE_TRACE_KEY_LIST_H_
#define TESTS_BENCH_CACHE_TRACE_KEY_LIST_H_

#include <cstdint>
#include <vector>

namespace slipstream::bench {

inline constexpr uint32_t kNoKey = UINT32_MAX;

struct KeyLinks {
  explicit KeyLinks(uint32_t keys_count) : newer(keys_count, kNoKey), older(keys_count, kNoKey) {}
  std::vector<uint32_t> newer;
  std::vector<uint32_t> older;
};

// A key is in at most one list of the same KeyLinks.
class KeyList {
 public:
  explicit KeyList(KeyLinks* links) : links_(*links) {}

  void PushNewest(uint32_t key) {
    links_.newer[key] = kNoKey;
    links_.older[key] = newest_;
    (newest_ != kNoKey ? links_.newer[newest_] : oldest_) = key;
    newest_ = key;
    ++size_;
  }
  void Remove(uint32_t key) {
    const uint32_t newer = links_.newer[key], older = links_.older[key];
    (newer != kNoKey ? links_.older[newer] : newest_) = older;
    (older != kNoKey ? links_.newer[older] : oldest_) = newer;
    --size_;
  }
  uint32_t PopOldest() {
    const uint32_t key = oldest_;
    Remove(key);
    return key;
  }
  void MoveToNewest(uint32_t key) {
    Remove(key);
    PushNewest(key);
  }

  uint32_t newest() const { return newest_; }
  uint32_t oldest() const { return oldest_; }
  uint32_t NewerThan(uint32_t key) const { return links_.newer[key]; }
  uint32_t size() const { return size_; }

 private:
  KeyLinks& links_;
  uint32_t newest_ = kNoKey;
  uint32_t oldest_ = kNoKey;
  uint32_t size_ = 0;
};

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_CACHE_TRACE_KEY_LIST_H_
