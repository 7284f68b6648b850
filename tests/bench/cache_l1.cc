// The cache's first tier in this process, without a server around it, and its peer: an unbounded
// sharded hash map of the same values. Prints one JSON object.
//   --side=ours|map    reads (and --write_percent writes) of zipf-like keys by --threads threads
//   --side=memory      what --keys entries take beyond key and value, and what a million
//                      overwrites, invalidations and expiries leave behind
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "libs/sync/mutex.h"
#include "nlohmann/json.hpp"
#include "services/cache/entry_memory.h"
#include "services/cache/memory_cache_store.h"
#include "services/cache/tag_slots.h"

ABSL_FLAG(std::string, side, "ours", "ours, map or memory");
ABSL_FLAG(int, threads, 2, "that read and write");
ABSL_FLAG(int, keys, 200'000, "different ones");
ABSL_FLAG(int, value_bytes, 200, "of each value");
ABSL_FLAG(double, zipf, 0.99, "exponent of the keys' popularity");
ABSL_FLAG(int, write_percent, 2, "of the operations");
ABSL_FLAG(int64_t, max_bytes, int64_t{256} << 20, "ours: l1_max_bytes");
ABSL_FLAG(double, seconds, 5, "measured, after a fifth of it to warm up");

// jemalloc's, which every binary of the suite is linked with.
extern "C" int mallctl(const char* name, void* out, size_t* out_bytes, void* in, size_t in_bytes)
    __attribute__((weak));

namespace slipstream::bench {
namespace {

using cache::EntryRef;
using cache::ScopedKey;

constexpr int64_t kFarAwayMs = int64_t{1} << 50;
constexpr int kOperationsPerClock = 64;  // one of so many is timed, and the time is read once
constexpr size_t kSequenceCount = 1 << 20;
constexpr size_t kMaxTimedCount = 1'000'000;  // per thread

// Keys as a caller's requests give them, made before the measurement.
struct Keys {
  explicit Keys(int count) {
    auth::Principal user;
    user.user = "bench";
    user.roles = {"user"};
    asked.resize(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      auto& key = asked[static_cast<size_t>(i)];
      key.set_namespace_("bench");
      key.set_type(cache::v1::CacheKey::API_RESPONSE);
      key.set_scope(cache::v1::CacheKey::USER);
      key.set_key("item:" + std::to_string(1'000'000 + i));
    }
    for (const auto& key : asked) keys.push_back(*cache::CallerScopes(user).Key(key));
  }
  std::vector<cache::v1::CacheKey> asked;
  std::vector<ScopedKey> keys;
};

// The side under test; both keep their values as shared_ptr, and a hit copies one.
class Side {
 public:
  virtual ~Side() = default;
  virtual bool Read(const ScopedKey& key, int64_t now_ms, EntryRef* found) = 0;
  virtual void Write(const ScopedKey& key, int64_t now_ms, std::string_view value) = 0;
};

class Ours final : public Side {
 public:
  Ours() : store({.max_bytes = absl::GetFlag(FLAGS_max_bytes)}) {}
  bool Read(const ScopedKey& key, int64_t now_ms, EntryRef* found) override {
    store.Read(absl::MakeConstSpan(&key, 1), now_ms, absl::MakeSpan(found, 1));
    return *found != nullptr;
  }
  void Write(const ScopedKey& key, int64_t now_ms, std::string_view value) override {
    Write(key, now_ms, value, kFarAwayMs);
  }
  void Write(const ScopedKey& key, int64_t now_ms, std::string_view value, int64_t ends_at_ms) {
    const cache::ScopedTag tag = cache::CallerScopes::NamespaceOf(key);
    const uint32_t slot = slots.Of(tag.id());
    cache::WriteRequest write{.key = &key, .value = value};
    write.stale_at_ms = write.expires_at_ms = ends_at_ms;
    write.tags = absl::MakeConstSpan(&tag, 1);
    store.Write(write, absl::MakeConstSpan(&slot, 1), now_ms);
  }
  cache::MemoryCacheStore store;
  const cache::TagSlots slots{1};
};

class Map final : public Side {
 public:
  bool Read(const ScopedKey& key, int64_t, EntryRef* found) override {
    Shard& shard = ShardOf(key);
    sync::MutexLock lock(shard.mutex);
    const auto it = shard.map.find(Lookup{key.id(), key.hash()});
    if (it == shard.map.end()) return false;
    *found = it->second;
    return true;
  }
  void Write(const ScopedKey& key, int64_t now_ms, std::string_view value) override {
    auto entry = cache::MakeEntry<cache::Entry>(key.id(), key.user_key(), value);
    entry->stored_at_ms = now_ms;
    Shard& shard = ShardOf(key);
    EntryRef replaced = std::move(entry);
    sync::MutexLock lock(shard.mutex);
    auto it = shard.map.find(Lookup{key.id(), key.hash()});
    if (it == shard.map.end()) {
      shard.map.emplace(Stored{key.id(), key.hash()}, std::move(replaced));
    } else {
      std::swap(it->second, replaced);
    }
  }

 private:
  static constexpr size_t kShardsCount = 64;
  // The key's hash is known, as it is to ours.
  struct Lookup {
    std::string_view id;
    size_t hash;
  };
  struct Stored {
    std::string id;
    size_t hash;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(const Lookup& key) const { return key.hash; }
    size_t operator()(const Stored& key) const { return key.hash; }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Stored& a, const Stored& b) const { return a.id == b.id; }
    bool operator()(const Stored& a, const Lookup& b) const { return a.id == b.id; }
    bool operator()(const Lookup& a, const Stored& b) const { return a.id == b.id; }
  };
  struct alignas(64) Shard {
    sync::Mutex mutex;
    absl::flat_hash_map<Stored, EntryRef, Hash, Equal> map ABSL_GUARDED_BY(mutex);
  };
  Shard& ShardOf(const ScopedKey& key) { return shards_[(key.hash() >> 48) % kShardsCount]; }
  std::array<Shard, kShardsCount> shards_;
};

// Key numbers, popular ones often, in an order of its own for each thread.
std::vector<uint32_t> Sequence(int keys_count, unsigned seed) {
  std::vector<double> until(static_cast<size_t>(keys_count));
  double sum = 0;
  for (size_t i = 0; i < until.size(); ++i) {
    until[i] = sum += 1 / std::pow(static_cast<double>(i + 1), absl::GetFlag(FLAGS_zipf));
  }
  // Which key is how popular has nothing to do with where it lies.
  std::vector<uint32_t> order(until.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> pick(0, sum);
  std::vector<uint32_t> out(kSequenceCount);
  for (auto& number : out) {
    const auto at = std::lower_bound(until.begin(), until.end(), pick(random)) - until.begin();
    number = order[std::min(static_cast<size_t>(at), order.size() - 1)];
  }
  return out;
}

int64_t NowNs() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Counts {
  uint64_t operations = 0, reads = 0, hits = 0;
  std::vector<int64_t> read_ns;
};

nlohmann::json Measure(Side* side, const Keys& keys) {
  const std::string value(static_cast<size_t>(absl::GetFlag(FLAGS_value_bytes)), 'v');
  for (const auto& key : keys.keys) side->Write(key, 0, value);
  const int threads_count = absl::GetFlag(FLAGS_threads);
  const auto write_percent = static_cast<uint32_t>(absl::GetFlag(FLAGS_write_percent));
  std::vector<std::vector<uint32_t>> sequences;
  for (int t = 0; t < threads_count; ++t) {
    sequences.push_back(Sequence(absl::GetFlag(FLAGS_keys), 10u + static_cast<unsigned>(t)));
  }
  std::vector<Counts> counts(static_cast<size_t>(threads_count));
  std::atomic<int> phase{0};  // 0 warm-up, 1 measured, 2 end
  auto loop = [&](size_t t) {
    Counts mine;
    const auto& sequence = sequences[t];
    uint32_t random = static_cast<uint32_t>(t) + 1;
    int64_t now_ms = 1;
    bool measured = false;
    for (size_t i = 0;; ++i) {
      const bool timed = i % kOperationsPerClock == 0;
      if (timed) {
        const int now = phase.load(std::memory_order_relaxed);
        if (now == 2) break;
        if (now == 1 && !measured) mine = {}, measured = true;
        now_ms = NowNs() / 1'000'000;
      }
      const ScopedKey& key = keys.keys[sequence[i % kSequenceCount]];
      random = random * 1664525 + 1013904223;
      ++mine.operations;
      if ((random >> 16) % 100 < write_percent) {
        side->Write(key, now_ms, value);
        continue;
      }
      EntryRef found;
      const int64_t begun_ns = timed ? NowNs() : 0;
      mine.hits += side->Read(key, now_ms, &found);
      ++mine.reads;
      if (timed && mine.read_ns.size() < kMaxTimedCount) {
        mine.read_ns.push_back(NowNs() - begun_ns);
      }
      if (!found) side->Write(key, now_ms, value);
    }
    counts[t] = std::move(mine);
  };
  std::vector<std::thread> threads;
  for (size_t t = 0; t < counts.size(); ++t) threads.emplace_back(loop, t);
  const double seconds = absl::GetFlag(FLAGS_seconds);
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds / 5));
  phase = 1;
  const auto began = std::chrono::steady_clock::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  phase = 2;
  for (auto& thread : threads) thread.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;

  Counts sum;
  for (auto& one : counts) {
    sum.operations += one.operations;
    sum.reads += one.reads;
    sum.hits += one.hits;
    sum.read_ns.insert(sum.read_ns.end(), one.read_ns.begin(), one.read_ns.end());
  }
  std::sort(sum.read_ns.begin(), sum.read_ns.end());
  auto percentile = [&](double part) {
    if (sum.read_ns.empty()) return int64_t{0};
    return sum.read_ns[static_cast<size_t>(part * static_cast<double>(sum.read_ns.size() - 1))];
  };
  return {{"operations_per_second", static_cast<double>(sum.operations) / took.count()},
          {"hit_percent", 100 * static_cast<double>(sum.hits) /
                              static_cast<double>(std::max<uint64_t>(sum.reads, 1))},
          {"read_p50_ns", percentile(0.5)},
          {"read_p99_ns", percentile(0.99)},
          {"read_p999_ns", percentile(0.999)}};
}

// What the allocator has handed out; 0 without jemalloc.
int64_t AllocatedBytes() {
  if (mallctl == nullptr) return 0;
  uint64_t epoch = 1;
  size_t allocated = 0, bytes = sizeof(epoch);
  mallctl("thread.tcache.flush", nullptr, nullptr, nullptr, 0);
  mallctl("epoch", &epoch, &bytes, &epoch, sizeof(epoch));
  bytes = sizeof(allocated);
  mallctl("stats.allocated", &allocated, &bytes, nullptr, 0);
  return static_cast<int64_t>(allocated);
}

nlohmann::json MeasureMemory(const Keys& keys) {
  nlohmann::json out;
  const std::string value(static_cast<size_t>(absl::GetFlag(FLAGS_value_bytes)), 'v');
  const auto count = static_cast<int64_t>(keys.keys.size());
  const int64_t empty = AllocatedBytes();
  Ours ours;
  const int64_t before = AllocatedBytes();
  for (const auto& key : keys.keys) ours.Write(key, 0, value);
  const int64_t filled = AllocatedBytes();
  int64_t payload = 0;
  for (int part = 0; part < ours.store.parts_count(); ++part) {
    for (const auto& entry : ours.store.List(part))
      payload += static_cast<int64_t>(entry->user_key().size() + entry->value().size());
  }
  const auto usage = ours.store.Usage();
  const auto held = static_cast<double>(std::max<int64_t>(usage.total.entries_count, 1));
  out["entries"] = usage.total.entries_count;
  out["empty_store_bytes"] = before - empty;
  out["key_and_value_bytes_per_entry"] = static_cast<double>(payload) / held;
  out["allocated_bytes_per_entry"] = static_cast<double>(filled - before) / held;
  out["accounted_bytes_per_entry"] = static_cast<double>(usage.total.bytes) / held;
  out["bytes_per_entry_beyond_key_and_value"] =
      static_cast<double>(filled - before - payload) / held;
  out["max_bytes"] = usage.max_bytes;
  out["accounted_bytes"] = usage.total.bytes;

  // The same entries again and again: as much of each kind as there are entries.
  int64_t now_ms = 1;
  auto round = [&] {
    for (const auto& key : keys.keys) ours.Write(key, now_ms, value);  // overwrites
    const uint32_t slot = ours.slots.Of(cache::CallerScopes::NamespaceOf(keys.keys[0]).id());
    ours.store.Invalidate(absl::MakeConstSpan(&slot, 1));
    for (const auto& key : keys.keys) ours.Write(key, now_ms, value, now_ms + 10);  // and expire
    now_ms += 10;
    for (const auto& key : keys.keys) {
      EntryRef found;
      ours.Read(key, now_ms, &found);
    }
    for (const auto& key : keys.keys) ours.Write(key, now_ms, value);
    return AllocatedBytes();
  };
  const int64_t first = round();
  out["churn"] = {{"overwrites", count},
                  {"invalidated", count},
                  {"expired", count},
                  {"allocated_after_first_round", first}};
  const int64_t last = round();
  out["churn"]["allocated_after_second_round"] = last;
  out["churn"]["growth_percent"] =
      100.0 * static_cast<double>(last - first) / static_cast<double>(std::max<int64_t>(first, 1));
  return out;
}

int Run() {
  const Keys keys(absl::GetFlag(FLAGS_keys));
  const std::string side = absl::GetFlag(FLAGS_side);
  nlohmann::json out;
  if (side == "ours") {
    Ours ours;
    out = Measure(&ours, keys);
  } else if (side == "map") {
    Map map;
    out = Measure(&map, keys);
  } else if (side == "memory") {
    out = MeasureMemory(keys);
  } else {
    std::cerr << "--side is ours, map or memory\n";
    return 2;
  }
  std::cout << out.dump() << "\n";
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return slipstream::bench::Run();
}
