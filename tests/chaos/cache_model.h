// CacheModel: what the cache may still answer. Each slot is a value of an application's database
// with a copy in the cache: writers raise `origin`, make the cached copy invalid, and raise `floor`
// once that is acknowledged. A read that begins afterwards and finds less has found an old value.
//
// Thread safety: all methods, from any thread. Keys are never freed while the model lives.
#ifndef TESTS_CHAOS_CACHE_MODEL_H_
#define TESTS_CHAOS_CACHE_MODEL_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/sync/mutex.h"
#include "slipstream/cache/v1/cache.pb.h"

namespace slipstream::chaos {

// One key of the cache. A write whose outcome is unknown may still take effect later, so its key is
// never read again: the slot gets a new one.
struct ModelKey {
  cache::v1::CacheKey key;
  std::string tag;
  std::string name;  // begins each of its values
  std::atomic<int64_t> origin{1};
  std::atomic<int64_t> floor{0};
  // How the latest write was acknowledged and when (Unix ms), for the report of a violation.
  std::atomic<const char*> raised_by{"nothing"};
  std::atomic<int64_t> raised_at_ms{0};

  void Raise(int64_t n, const char* by);
};

class CacheModel {
 public:
  CacheModel(int groups_count, int group_size, uint64_t run);

  int groups_count() const { return groups_count_; }
  int slots_count() const { return static_cast<int>(slots_.size()); }
  int group_size() const { return group_size_; }
  int FirstOf(int group) const { return group * group_size_; }

  ModelKey& At(int slot) const {
    return *slots_[static_cast<size_t>(slot)]->now.load(std::memory_order_acquire);
  }
  // One writer of a slot at a time.
  sync::Mutex& WriterOf(int slot) const { return slots_[static_cast<size_t>(slot)]->writing; }
  // REQUIRES: the slot's writer.
  void Retire(int slot);

  static std::string TagOf(int group);
  static std::string GlobOf(int group);
  static constexpr char kNamespace[] = "checker";

  // Value number `n` of a key, 40 to a few thousand bytes.
  static std::string ValueOf(const ModelKey& key, int64_t n);
  // The number in a value of this key, or -1: another key's, or damaged.
  static int64_t NumberIn(const ModelKey& key, std::string_view value);

 private:
  struct Slot {
    sync::Mutex writing;
    std::atomic<ModelKey*> now{nullptr};
    std::vector<std::unique_ptr<ModelKey>> all;  // by the writer alone
  };
  std::unique_ptr<ModelKey> MakeKey(int slot, size_t life) const;

  const int groups_count_, group_size_;
  const uint64_t run_;
  std::vector<std::unique_ptr<Slot>> slots_;
};

}  // namespace slipstream::chaos

#endif  // TESTS_CHAOS_CACHE_MODEL_H_
