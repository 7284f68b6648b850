// The wait for the other nodes. See redis_node.h.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "services/cache/redis_cache_scripts.h"
#include "services/cache/redis_node.h"

namespace slipstream::cache {

namespace {

// How often Redis is asked when no confirmation is heard: hints may be lost.
constexpr absl::Duration kPollPeriod = absl::Milliseconds(50);
// Beyond a lease's time: for a walk by pattern, and for a Redis that answers slowly.
constexpr absl::Duration kMaxExtraWait = absl::Seconds(8);

}  // namespace

struct RedisNode::Wait {
  std::shared_ptr<const InvalidationFollower::Life> life;
  Offset needed = 0;
  std::vector<NodeRenewal> pending;
  Invalidated done;
  absl::Status status;
};

Async<absl::StatusOr<Invalidated>> RedisNode::Acknowledge(
    std::shared_ptr<const InvalidationFollower::Life> life, Offset needed,
    std::vector<NodeRenewal> pending) {
  Wait wait{std::move(life), needed, std::move(pending), {}, absl::OkStatus()};
  wait.done.position = needed;
  std::erase_if(wait.pending, [&wait](const auto& one) { return one.node == wait.life->node; });
  const absl::Duration begin = deps_.clock.Monotonic();
  const absl::Duration give_up = begin + sightings_.lapse() + kMaxExtraWait;
  absl::Duration next_poll = begin + kPollPeriod;
  for (;;) {
    const uint64_t seen_follower = deps_.follower.changed().version();
    const uint64_t seen_others = sightings_.changed().version();
    if (deps_.follower.life()->generation != wait.life->generation) co_return Away();
    const absl::Duration now = deps_.clock.Monotonic();
    absl::Duration next = std::min(next_poll, give_up);
    bool lapsed = false;
    std::erase_if(wait.pending, [&](const NodeRenewal& one) {
      if (sightings_.ConfirmedBy(one.node) < wait.needed) {
        const absl::Duration lapse = sightings_.LapseOf(one, now);
        lapsed = lapsed || lapse <= now;
        next = std::min(next, lapse);
        return false;
      }
      ++wait.done.confirmed_nodes_count;
      return true;
    });
    // In a later session than the one before, this node has emptied itself.
    const bool applied =
        deps_.follower.applied() >= wait.needed || lease_.session() != wait.life->session;
    const absl::Duration settled_at =
        absl::Nanoseconds(settled_at_ns_.load(std::memory_order_acquire));
    const bool settled = settled_at <= now;
    if (applied && settled && wait.pending.empty()) co_return wait.done;
    if (now >= give_up) co_return Away();
    if (!wait.pending.empty() && (lapsed || now >= next_poll)) {
      co_await Poll(wait);
      if (!wait.status.ok()) co_return wait.status;
      next_poll = deps_.clock.Monotonic() + kPollPeriod;
      continue;
    }
    if (!settled) next = std::min(next, settled_at);
    const absl::Duration pause = std::max(next - now, absl::Milliseconds(1));
    if (applied) {
      co_await sightings_.changed().Wait(seen_others, async::After(pause));
    } else {
      co_await deps_.follower.changed().Wait(seen_follower, async::After(pause));
    }
  }
}

// Asks Redis who has confirmed; those whose lease is over by our clock are taken off its list in
// the same step, unless they have renewed it.
Async<void> RedisNode::Poll(Wait& wait) {
  const absl::Duration now = deps_.clock.Monotonic();
  RedisLink::Args args{wait.life->generation, absl::StrCat(wait.needed)};
  for (const auto& one : wait.pending) {
    args.push_back(one.node);
    args.push_back(sightings_.LapseOf(one, now) <= now ? one.renewal : "");
  }
  auto reply =
      co_await deps_.link.Eval(redis_cache_scripts::Poll(), std::move(args), options_.lease);
  if (!reply.ok()) co_return;  // until the wait gives up
  if (WordOf(*reply) != "OK" || reply->size() != wait.pending.size() + 1) {
    GenerationOver(*wait.life);
    wait.status = Away();
    co_return;
  }
  std::vector<NodeRenewal> left;
  for (size_t i = 0; i < wait.pending.size(); ++i) {
    const std::string& answer = (*reply)[i + 1].text;
    if (answer == "C") {
      ++wait.done.confirmed_nodes_count;
    } else if (answer == "L") {
      ++wait.done.lapsed_nodes_count;
    } else {
      left.push_back({std::move(wait.pending[i].node), answer});
    }
  }
  wait.pending = std::move(left);
}

}  // namespace slipstream::cache
