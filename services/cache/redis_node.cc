#include "services/cache/redis_node.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/status/status.h"
#include "services/cache/redis_cache_scripts.h"

namespace slipstream::cache {

namespace {

namespace scripts = redis_cache_scripts;

// Renewals in the time of one lease.
constexpr int kRenewalsPerLease = 3;
constexpr absl::Duration kJoinPause = absl::Milliseconds(50);
constexpr absl::Duration kRetryDelay = absl::Milliseconds(500);
// Records that one read of the log answers.
constexpr int kLogPortionCount = 512;
constexpr size_t kOffsetDigits = 16;
constexpr size_t kGenerationDigits = 16;
// A generation that is older, by Redis's clock, was made long before any lease that still holds.
constexpr uint64_t kYoungGenerationMs = 60'000;

}  // namespace

RedisNode::RedisNode(const Deps& deps, const Options& options)
    : deps_(deps),
      options_(options),
      lease_(deps.clock),
      sightings_(options.lease),
      loops_(deps.link.client().executor()) {}

RedisNode::~RedisNode() { Stop(); }

void RedisNode::Start() {
  const std::string& base = deps_.link.base();
  subscription_ = deps_.link.client().Subscribe(
      {absl::StrCat(base, "log"), absl::StrCat(base, "ack"), absl::StrCat(base, "key")},
      [this](std::string_view channel, std::string_view payload) { OnMessage(channel, payload); },
      [](bool) {});
  loops_.Spawn([this] { return LeaseLoop(); });
  loops_.Spawn([this] { return FollowLoop(); });
  loops_.Spawn([this] { return ConfirmLoop(); });
}

void RedisNode::Stop() {
  lease_.Fence();
  loops_.RequestStop();
  wake_lease_.Notify();
  deps_.follower.changed().Notify();
  loops_.Close();
  subscription_.reset();
}

void RedisNode::OnMessage(std::string_view channel, std::string_view payload) {
  const std::string_view kind = channel.substr(deps_.link.base().size());
  if (kind == "key") {
    if (IsKeyId(payload)) deps_.follower.KeyEnded(payload);
    return;
  }
  const size_t before = kind == "log" ? kGenerationDigits : 0;
  if (payload.size() < before + kOffsetDigits) return;
  Offset offset = 0;
  if (!absl::SimpleAtoi(absl::string_view(payload.data() + before, kOffsetDigits), &offset)) return;
  const std::string_view rest = payload.substr(before + kOffsetDigits);
  if (kind == "log") {
    deps_.follower.Take(payload.substr(0, before), offset, std::string(rest));
  } else {
    sightings_.Confirmed(std::string(rest), offset);
  }
}

void RedisNode::Fence(std::string_view why) {
  lease_.Fence();
  if (!joined_.exchange(false)) return;
  fences_count_.fetch_add(1, std::memory_order_relaxed);
  deps_.logger.Warning("the cache serves nothing of its memory until it has joined anew",
                       {{"why", why}});
  wake_lease_.Notify();
}

void RedisNode::GenerationOver(const InvalidationFollower::Life& life) {
  if (lease_.session() == life.session) Fence("the data in Redis began anew");
}

Async<void> RedisNode::LeaseLoop() {
  bool warned = false;
  while (!loops_.stop_requested()) {
    const uint64_t seen = wake_lease_.version();
    if (!joined_) {
      co_await Join();
    } else {
      co_await Renew();
    }
    const bool valid = lease_.Valid();
    if (!valid && !std::exchange(warned, true)) {
      deps_.logger.Warning("the cache is degraded: Redis does not answer in time");
    } else if (valid && std::exchange(warned, false)) {
      deps_.logger.Info("the cache is no longer degraded");
    }
    const absl::Duration pause = joined_ && valid ? options_.lease / kRenewalsPerLease : kJoinPause;
    co_await wake_lease_.Wait(seen, async::After(pause));
  }
  co_await Leave();
}

Async<void> RedisNode::Join() {
  const uint64_t session = lease_.Fence();
  const absl::Duration asked_at = deps_.clock.Monotonic();
  // What the process was before serves nothing any more.
  const std::string before = std::exchange(node_, absl::StrCat(options_.node_id, ".", session));
  auto reply = co_await deps_.link.Eval(scripts::Join(), {node_, before}, options_.lease);
  if (!reply.ok()) co_return;
  if (!reply->is_array() || reply->size() < 6 || loops_.stop_requested()) co_return;
  Begin(*reply, session, asked_at);
}

void RedisNode::EmptyMemory() {
  // What is on its way into the memory comes too late from here on.
  deps_.memory.RefuseOlderFills();
  for (int part = 0; part < deps_.memory.parts_count(); ++part) {
    deps_.memory.EraseListed(deps_.memory.List(part), EvictionCause::kFenced);
  }
}

void RedisNode::Begin(const redis::Value& reply, uint64_t session, absl::Duration asked_at) {
  EmptyMemory();
  InvalidationFollower::Start start;
  start.generation = reply[0].text;
  start.node = node_;
  start.session = session;
  start.offset = NumberAt(reply, 1);
  for (size_t i = 0; i + 1 < reply[3].size(); i += 2) {
    const auto slot = static_cast<uint32_t>(NumberAt(reply[3], i));
    if (slot < EpochTable::kSlotsCount) start.epochs.emplace_back(slot, NumberAt(reply[3], i + 1));
  }
  for (size_t i = 0; i + 1 < reply[4].size(); i += 2) {
    auto glob = Invalidation::Decode(reply[4][i + 1].text);
    if (!glob.ok() || glob->filter == nullptr) continue;
    start.globs.push_back({NumberAt(reply[4], i), glob->filter});
  }
  SetRedisTime(NumberAt(reply, 5));
  const std::string generation = start.generation;
  sightings_.Restart();
  deps_.follower.Begin(std::move(start));
  const absl::Duration now = deps_.clock.Monotonic();
  const bool young = NumberAt(reply, 2) < kYoungGenerationMs;
  settled_at_ns_ = absl::ToInt64Nanoseconds(young ? now + sightings_.lapse() : absl::Duration());
  joined_ = true;
  if (lease_.session() != session) joined_ = false;  // fenced meanwhile
  lease_.Extend(session, asked_at + options_.lease);
  deps_.logger.Info("the cache has joined", {{"generation", generation}});
}

Async<void> RedisNode::Renew() {
  const auto life = deps_.follower.life();
  const absl::Duration asked_at = deps_.clock.Monotonic();
  auto reply = co_await deps_.link.Eval(
      scripts::Renew(), {life->generation, life->node, absl::StrCat(deps_.follower.applied())},
      options_.lease);
  if (!reply.ok()) co_return;
  if (WordOf(*reply) != "OK" || reply->size() < 6) {
    if (lease_.session() == life->session) Fence("Redis no longer knows of its lease");
    co_return;
  }
  SetRedisTime(NumberAt(*reply, 5));
  lease_.Extend(life->session, asked_at + options_.lease);
  deps_.follower.SetHead(life->generation, NumberAt(*reply, 1));
  bytes_ = static_cast<int64_t>(NumberAt(*reply, 2));
  entries_count_ = static_cast<int64_t>(NumberAt(*reply, 3));
  const std::vector<NodeRenewal> nodes = NodesOf((*reply)[4]);
  nodes_count_ = static_cast<int64_t>(nodes.size());
  sightings_.Replace(nodes, deps_.clock.Monotonic());
}

// Its clock was read before the answer came: what it is ahead of ours is not less than this.
void RedisNode::SetRedisTime(uint64_t time_ms) {
  redis_ahead_ms_.store(
      static_cast<int64_t>(time_ms) - absl::ToInt64Milliseconds(deps_.clock.Monotonic()) - 1,
      std::memory_order_relaxed);
}

int64_t RedisNode::RedisDeadlineMs(absl::Duration timeout) const {
  return absl::ToInt64Milliseconds(deps_.clock.Monotonic() + timeout) +
         redis_ahead_ms_.load(std::memory_order_relaxed);
}

Async<void> RedisNode::Leave() {
  const auto life = deps_.follower.life();
  if (!joined_ || !deps_.link.client().connected()) co_return;
  (void)co_await deps_.link.Eval(scripts::Leave(), {life->generation, life->node}, options_.lease);
}

Async<void> RedisNode::FollowLoop() {
  while (!loops_.stop_requested()) {
    const uint64_t seen = deps_.follower.changed().version();
    co_await deps_.follower.Walk();
    if (deps_.follower.Broken() && joined_) Fence("a record of the log can't be read");
    if (const auto gap = deps_.follower.NextGap(); gap && joined_) {
      co_await ReadLog(*gap);
      // Whether or not it helped, not again at once.
      if (deps_.follower.NextGap() == gap) {
        co_await deps_.follower.changed().Wait(deps_.follower.changed().version(),
                                               async::After(kJoinPause));
        continue;
      }
    }
    co_await deps_.follower.changed().Wait(seen, async::After(options_.lease));
  }
}

Async<void> RedisNode::ReadLog(Offset from) {
  const auto life = deps_.follower.life();
  auto reply = co_await deps_.link.Command(
      {"XRANGE", absl::StrCat(deps_.link.base(), "log"), absl::StrCat(from, "-1"), "+", "COUNT",
       absl::StrCat(kLogPortionCount)},
      options_.lease);
  if (!reply.ok() || !reply->is_array()) co_return;
  bool begins = false;
  for (const auto& one : reply->elements) {
    Offset offset = 0;
    if (!one.is_array() || one.size() < 2 || one[1].size() < 2) continue;
    const std::string& id = one[0].text;
    const size_t dash = id.find('-');
    if (!absl::SimpleAtoi(absl::string_view(id).substr(0, dash), &offset)) continue;
    begins = begins || offset == from;
    deps_.follower.Take(life->generation, offset, one[1][1].text);
  }
  if (!begins && lease_.session() == life->session) Fence("it fell behind the log");
}

Async<void> RedisNode::ConfirmLoop() {
  Offset confirmed = 0;
  uint64_t session = 0;
  while (!loops_.stop_requested()) {
    const uint64_t seen = deps_.follower.changed().version();
    const auto life = deps_.follower.life();
    const Offset applied = deps_.follower.applied();
    if (std::exchange(session, life->session) != life->session) confirmed = 0;
    if (joined_ && applied > confirmed) {
      auto reply = co_await deps_.link.Eval(scripts::Confirm(),
                                            {life->generation, life->node, absl::StrCat(applied)},
                                            options_.lease);
      if (reply.ok() && WordOf(*reply) != "OK" && lease_.session() == life->session) {
        Fence("Redis no longer knows of its lease");
      }
      // One that failed is repeated by the next renewal.
      confirmed = applied;
      continue;
    }
    co_await deps_.follower.changed().Wait(seen, async::After(options_.lease));
  }
}

RedisNode::Figures RedisNode::figures() const {
  return {bytes_.load(std::memory_order_relaxed), entries_count_.load(std::memory_order_relaxed),
          nodes_count_.load(std::memory_order_relaxed),
          fences_count_.load(std::memory_order_relaxed)};
}

std::vector<NodeRenewal> RedisNode::NodesOf(const redis::Value& list) {
  std::vector<NodeRenewal> out;
  for (size_t i = 0; i + 1 < list.size(); i += 2) out.push_back({list[i].text, list[i + 1].text});
  return out;
}

absl::Status RedisNode::Away() {
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, "CACHE_DEGRADED",
                    "the cache's Redis can't be reached, so it can't be promised that no node "
                    "serves the old value; try again after the delay given"),
      kRetryDelay);
}

}  // namespace slipstream::cache
