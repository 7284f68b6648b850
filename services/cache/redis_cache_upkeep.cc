// What a RedisCacheStore does in the background. See redis_cache_store.h.
#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/async/deadline.h"
#include "services/cache/redis_cache_scripts.h"
#include "services/cache/redis_cache_store.h"
#include "services/cache/redis_entry.h"

namespace slipstream::cache {

namespace {

namespace scripts = redis_cache_scripts;

// A pattern whose own node has died is taken over after this long.
constexpr absl::Duration kGlobPeriod = absl::Seconds(5);
// How long one node has the walk for itself; one that takes longer shares the work.
constexpr int64_t kWalkLockMs = 60'000;
constexpr absl::Duration kSamplePeriod = absl::Seconds(5);

// The line `name:value` of INFO as a number; 0 for none.
int64_t InfoNumber(std::string_view info, std::string_view name) {
  for (absl::string_view line :
       absl::StrSplit(absl::string_view(info.data(), info.size()), "\r\n")) {
    int64_t out = 0;
    if (line.size() > name.size() && line[name.size()] == ':' &&
        std::string_view(line.data(), name.size()) == name &&
        absl::SimpleAtoi(line.substr(name.size() + 1), &out)) {
      return out;
    }
  }
  return 0;
}

std::string InfoText(std::string_view info, std::string_view name) {
  const std::string key = absl::StrCat(absl::string_view(name.data(), name.size()), ":");
  const size_t at = info.find(key);
  if (at == std::string_view::npos) return {};
  const size_t from = at + key.size();
  return std::string(info.substr(from, info.find('\r', from) - from));
}

// The upper edge of the bucket in which the share lies, in milliseconds.
double PercentileMs(const redis::Stats& stats, double share) {
  uint64_t all = 0;
  for (const uint64_t count : stats.round_trip_buckets) all += count;
  const auto rank = static_cast<uint64_t>(std::ceil(share * static_cast<double>(all)));
  uint64_t seen = 0;
  for (size_t i = 0; i < redis::Stats::kBucketSeconds.size(); ++i) {
    seen += stats.round_trip_buckets[i];
    if (all > 0 && seen >= rank) return redis::Stats::kBucketSeconds[i] * 1000;
  }
  return all > 0 ? redis::Stats::kBucketSeconds.back() * 1000 : 0;
}

}  // namespace

Async<void> RedisCacheStore::GlobLoop() {
  while (!loops_.stop_requested()) {
    const uint64_t seen = globs_due_.version();
    if (attached() && !follower_.globs().empty()) co_await SweepGlobs();
    co_await globs_due_.Wait(seen, async::After(kGlobPeriod));
  }
}

Async<void> RedisCacheStore::SweepGlobs() {
  const LifeRef life = follower_.life();
  const std::string lock = absl::StrCat(link_.base(), "w");
  auto locked = co_await link_.Command(
      {"SET", lock, life->node, "NX", "PX", absl::StrCat(kWalkLockMs)}, kCommandTimeout);
  if (!locked.ok() || !locked->is_ok()) co_return;
  const auto globs = follower_.globs();
  if (co_await DropMatching(globs, *life)) {
    for (const auto& glob : globs) {
      (void)co_await link_.Eval(scripts::Retire(), {life->generation, absl::StrCat(glob.offset)},
                                kCommandTimeout);
    }
  }
  (void)co_await link_.Command({"DEL", lock}, kCommandTimeout);
}

// Over all of q once, in small pages; false when it did not come to the end.
Async<bool> RedisCacheStore::DropMatching(const std::vector<InvalidationFollower::Glob>& globs,
                                          const InvalidationFollower::Life& life) {
  std::string cursor = "0";
  do {
    if (loops_.stop_requested()) co_return false;
    auto page = co_await link_.Eval(
        scripts::Walk(), {life.generation, cursor, absl::StrCat(kRedisHeadBytes)}, kCommandTimeout);
    if (!page.ok() || WordOf(*page) != "OK" || page->size() < 2) co_return false;
    cursor = (*page)[1].text;
    RedisLink::Args drop{life.generation};
    for (size_t i = 2; i + 1 < page->size(); i += 2) {
      const std::string& id = (*page)[i].text;
      const auto entry = DecodeEntry((*page)[i + 1].text);
      if (!entry || !IsKeyId(id)) continue;
      const bool matches = std::any_of(globs.begin(), globs.end(), [&](const auto& glob) {
        return glob.offset > entry->as_of && glob.filter->Matches(id, entry->user_key);
      });
      if (!matches && entry->generation == life.generation) continue;
      drop.push_back(id);
      drop.push_back(Padded(entry->version));
    }
    if (drop.size() == 1) continue;
    auto dropped = co_await link_.Eval(scripts::Drop(), std::move(drop), kCommandTimeout);
    if (!dropped.ok() || WordOf(*dropped) != "OK") co_return false;
  } while (cursor != "0");
  co_return true;
}

Async<void> RedisCacheStore::SampleLoop() {
  while (!loops_.stop_requested()) {
    auto info = co_await link_.Command({"INFO"}, kCommandTimeout);
    if (info.ok()) TakeSample(info->text);
    if (!co_await loops_.SleepFor(info.ok() ? kSamplePeriod : absl::Milliseconds(200))) break;
  }
}

void RedisCacheStore::TakeSample(const std::string& info) {
  SecondTier::Server server;
  server.version = InfoText(info, "redis_version");
  server.used_memory_bytes = InfoNumber(info, "used_memory");
  server.max_memory_bytes = InfoNumber(info, "maxmemory");
  server.evicted_keys_count = InfoNumber(info, "evicted_keys");
  const auto hits = static_cast<double>(InfoNumber(info, "keyspace_hits"));
  const auto misses = static_cast<double>(InfoNumber(info, "keyspace_misses"));
  if (hits + misses > 0) server.hit_ratio = hits / (hits + misses);
  if (options_.l2_max_bytes == 0) {
    l2_max_bytes_ = server.max_memory_bytes > 0 ? server.max_memory_bytes / 2 : kDefaultL2MaxBytes;
  }
  sync::MutexLock lock(server_mutex_);
  server_ = std::move(server);
}

std::optional<SecondTier> RedisCacheStore::second_tier() const {
  const auto count = [](const std::atomic<int64_t>& value) {
    return value.load(std::memory_order_relaxed);
  };
  const RedisNode::Figures node = node_.figures();
  SecondTier out;
  out.degraded = !attached();
  out.hits_count = count(counters_.hits);
  out.misses_count = count(counters_.misses);
  out.failed_reads_count = count(counters_.failed_reads);
  out.sets_count = count(counters_.sets);
  out.deletes_count = count(counters_.deletes);
  out.not_kept_count = count(counters_.not_kept);
  out.bytes = node.bytes;
  out.max_bytes = l2_max_bytes();
  out.entries_count = node.entries_count;
  out.nodes_count = node.nodes_count;
  out.fences_count = node.fences_count;
  out.read_p50_us = counters_.reads.PercentileUs(0.5);
  out.read_p99_us = counters_.reads.PercentileUs(0.99);
  sync::MutexLock lock(server_mutex_);
  if (client_ != nullptr) {
    const redis::Stats stats = client_->stats();
    out.command_p50_ms = PercentileMs(stats, 0.5);
    out.command_p99_ms = PercentileMs(stats, 0.99);
  }
  out.server = server_;
  return out;
}

}  // namespace slipstream::cache
