// A cluster's primaries: one connection each, the owner of each slot, and the refresh of both.
//
// Until CLUSTER SLOTS has been answered the first seed gets everything, and its MOVED replies tell
// where it belongs. Later a MOVED changes its slot at once and has all slots read again, at most
// every kRefreshPause; and again and again while that fails or a slot has no owner.
#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/async/event.h"
#include "libs/redis/cluster_slots.h"
#include "libs/redis/router.h"

namespace slipstream::redis {
namespace {

namespace asio = boost::asio;
using ConnectionPtr = std::shared_ptr<Connection>;

constexpr absl::Duration kRefreshPause = absl::Milliseconds(100);

Async<absl::StatusOr<Endpoint>> Always(Endpoint endpoint) { co_return endpoint; }

// The endpoints that subscriptions may use; outlives the router.
struct Known {
  sync::Mutex mutex;
  std::vector<Endpoint> endpoints ABSL_GUARDED_BY(mutex);
  std::vector<SlotRange> ranges ABSL_GUARDED_BY(mutex);
  std::atomic<size_t> turn = 0;
};

Async<absl::StatusOr<Endpoint>> NextKnown(std::shared_ptr<Known> known) {
  sync::MutexLock lock(known->mutex);
  co_return known->endpoints[known->turn++ % known->endpoints.size()];
}

Async<absl::StatusOr<Endpoint>> OwnerOf(std::shared_ptr<Known> known, int slot) {
  sync::MutexLock lock(known->mutex);
  for (const SlotRange& range : known->ranges) {
    if (range.first <= slot && slot <= range.last) co_return range.owner;
  }
  // Says MOVED, and to where, unless it is the owner.
  co_return known->endpoints[known->turn++ % known->endpoints.size()];
}

class ClusterRouter final : public Router, public std::enable_shared_from_this<ClusterRouter> {
 public:
  explicit ClusterRouter(RouterConfig config)
      : config_(std::move(config)),
        strand_(asio::make_strand(config_.connection.executor)),
        pause_(strand_) {
    sync::MutexLock lock(known_->mutex);
    known_->endpoints = config_.url.hosts;
  }

  void Start() override {
    ConnectionPtr seed;
    {
      sync::MutexLock lock(mutex_);
      seed = NodeAt(config_.url.hosts.front());
    }
    Refresh();
  }

  void Submit(Request request, std::string_view routing_key) override {
    if (!routing_key.empty()) request.slot = KeySlot(routing_key);
    const ConnectionPtr connection = Pick(request.slot);
    connection->Submit(std::move(request));
  }

  bool connected() const override {
    sync::MutexLock lock(mutex_);
    return all_slots_known_ && std::all_of(nodes_.begin(), nodes_.end(),
                                           [](const auto& node) { return node.second->up(); });
  }

  std::vector<Node> nodes() const override {
    sync::MutexLock lock(mutex_);
    std::vector<Node> out;
    for (const auto& [endpoint, connection] : nodes_) {
      out.push_back({endpoint.ToString(), connection});
    }
    return out;
  }

  Async<std::vector<Node>> KnownNodes(TimePoint deadline) override {
    const auto self = shared_from_this();
    while (true) {
      const uint64_t version = refreshed_.version();
      {
        sync::MutexLock lock(mutex_);
        if (slots_read_) break;
      }
      if (!co_await refreshed_.Wait(version, deadline)) break;
    }
    co_return nodes();
  }

  Locate locate() const override {
    return [known = known_](Executor) { return NextKnown(known); };
  }
  Locate locate_owner(std::string_view key) const override {
    return [known = known_, slot = KeySlot(key)](Executor) { return OwnerOf(known, slot); };
  }

  void Close(std::function<void()> closed) override {
    asio::post(strand_, [self = shared_from_this(), closed = std::move(closed)] {
      self->pause_.cancel();
      std::map<Endpoint, ConnectionPtr> nodes;
      {
        sync::MutexLock lock(self->mutex_);
        self->closed_ = true;
        nodes = self->nodes_;
      }
      auto left = std::make_shared<std::atomic<size_t>>(nodes.size());
      for (const auto& [endpoint, connection] : nodes) {
        connection->Close([left, closed] {
          if (left->fetch_sub(1) == 1) closed();
        });
      }
    });
  }

 private:
  // REQUIRES: the cluster is not closed, or the caller finds out by the refusal of a Submit.
  ConnectionPtr NodeAt(const Endpoint& endpoint) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ConnectionPtr& node = nodes_[endpoint];
    if (node != nullptr) return node;
    ConnectionConfig config = config_.connection;
    config.locate = [endpoint](Executor) { return Always(endpoint); };
    const std::weak_ptr<ClusterRouter> weak = weak_from_this();
    config.reroute = [weak](Request request, const Redirect* redirect) {
      if (auto router = weak.lock()) router->Reroute(std::move(request), redirect);
    };
    config.on_doubt = [weak] {
      if (auto router = weak.lock()) router->Refresh();
    };
    node = std::make_shared<Connection>(std::move(config));
    node->Start();
    return node;
  }

  ConnectionPtr Pick(int slot) {
    sync::MutexLock lock(mutex_);
    if (slot >= 0 && owners_[static_cast<size_t>(slot)] != nullptr) {
      return owners_[static_cast<size_t>(slot)];
    }
    // Any will do: it runs the command, or says where that belongs.
    const size_t start = turn_++ % nodes_.size();
    auto it = std::next(nodes_.begin(), static_cast<ptrdiff_t>(start));
    const ConnectionPtr first = it->second;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      if (it->second->up()) return it->second;
      if (++it == nodes_.end()) it = nodes_.begin();
    }
    return first;
  }

  void Reroute(Request request, const Redirect* redirect) {
    ConnectionPtr to;
    if (redirect == nullptr) {
      to = Pick(request.slot);
    } else {
      sync::MutexLock lock(mutex_);
      if (!closed_) {
        to = NodeAt(redirect->to);
        if (redirect->ask) {
          asked_.insert(redirect->to);
        } else {
          owners_[static_cast<size_t>(redirect->slot)] = to;
        }
      } else {
        to = nodes_.begin()->second;  // refuses it
      }
    }
    if (redirect != nullptr && !redirect->ask) Refresh();
    to->Submit(std::move(request));
  }

  // Has the slots read again, soon. From any thread.
  void Refresh() {
    {
      sync::MutexLock lock(mutex_);
      refresh_wanted_ = true;
      if (closed_ || std::exchange(refreshing_, true)) return;
    }
    asio::co_spawn(strand_, RefreshLoop(shared_from_this()), asio::detached);
  }

  Async<void> RefreshLoop([[maybe_unused]] std::shared_ptr<ClusterRouter> self) {
    while (true) {
      {
        sync::MutexLock lock(mutex_);
        if (closed_ || !std::exchange(refresh_wanted_, false)) {
          refreshing_ = false;
          co_return;
        }
      }
      const absl::Status status = co_await ReadSlots();
      if (!status.ok()) {
        if (status.message() != last_error_.message()) {
          config_.connection.logger.Warning("cannot read the slots of the Redis Cluster",
                                            {{"error", status}});
        }
      }
      last_error_ = status;
      absl::Duration pause = kRefreshPause;
      {
        sync::MutexLock lock(mutex_);
        if (!status.ok() || !all_slots_known_) {
          // Nobody may ever send to a slot without an owner and be told of a new one.
          refresh_wanted_ = true;
          pause = config_.connection.options.backoff_max *
                  (0.5 + config_.connection.random->NextDouble() / 2);
        }
      }
      pause_.expires_at(async::After(pause));
      co_await pause_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }

  // Those that are up first, then the rest, then the seeds.
  std::vector<Endpoint> Candidates() const {
    sync::MutexLock lock(mutex_);
    std::vector<Endpoint> out;
    for (const bool up : {true, false}) {
      for (const auto& [endpoint, connection] : nodes_) {
        if (connection->up() == up) out.push_back(endpoint);
      }
    }
    for (const Endpoint& seed : config_.url.hosts) {
      if (!nodes_.contains(seed)) out.push_back(seed);
    }
    return out;
  }

  Async<absl::Status> ReadSlots() {
    const std::vector<std::vector<std::string>> question = {{"CLUSTER", "SLOTS"}};
    absl::Status last;
    for (const Endpoint& endpoint : Candidates()) {
      auto replies = co_await Ask(strand_, config_.connection.dial, endpoint, question);
      last = replies.status();
      if (!replies.ok()) continue;
      auto ranges = ParseClusterSlots(replies->front(), endpoint);
      last = ranges.status();
      if (!ranges.ok()) continue;
      if (ranges->empty()) {
        last = Unavailable(endpoint.ToString() + " knows no owner of any slot", false);
        continue;
      }
      Install(*ranges);
      co_return absl::OkStatus();
    }
    co_return last;
  }

  void Install(const std::vector<SlotRange>& ranges) {
    std::vector<ConnectionPtr> gone;
    std::vector<ConnectionPtr> seeds;  // got commands for any node while nothing was known
    {
      sync::MutexLock lock(mutex_);
      if (closed_) return;
      std::set<Endpoint> needed = std::exchange(asked_, {});
      owners_ = {};
      int slots_count = 0;
      for (const SlotRange& range : ranges) {
        needed.insert(range.owner);
        const ConnectionPtr owner = NodeAt(range.owner);
        for (int slot = range.first; slot <= range.last; ++slot, ++slots_count) {
          owners_[static_cast<size_t>(slot)] = owner;
        }
      }
      all_slots_known_ = slots_count == kSlotsCount;
      if (!std::exchange(slots_read_, true)) {
        for (const auto& [endpoint, connection] : nodes_) seeds.push_back(connection);
      }
      for (auto it = nodes_.begin(); it != nodes_.end();) {
        if (needed.contains(it->first)) {
          ++it;
        } else {
          gone.push_back(it->second);
          it = nodes_.erase(it);
        }
      }
      sync::MutexLock known_lock(known_->mutex);
      known_->ranges = ranges;
      known_->endpoints.clear();
      for (const auto& [endpoint, connection] : nodes_) known_->endpoints.push_back(endpoint);
    }
    for (const ConnectionPtr& connection : gone) connection->Retire();
    for (const ConnectionPtr& connection : seeds) connection->RerouteWaiting();
    refreshed_.Notify();
  }

  const RouterConfig config_;
  const asio::strand<Executor> strand_;
  const std::shared_ptr<Known> known_ = std::make_shared<Known>();
  asio::steady_timer pause_;  // on the strand, as is last_error_
  absl::Status last_error_;
  async::Event refreshed_;

  mutable sync::Mutex mutex_;
  // Never empty after Start.
  std::map<Endpoint, ConnectionPtr> nodes_ ABSL_GUARDED_BY(mutex_);
  std::array<ConnectionPtr, kSlotsCount> owners_ ABSL_GUARDED_BY(mutex_) = {};
  std::set<Endpoint> asked_ ABSL_GUARDED_BY(mutex_);  // named by ASK since the last refresh
  size_t turn_ ABSL_GUARDED_BY(mutex_) = 0;
  bool all_slots_known_ ABSL_GUARDED_BY(mutex_) = false;
  bool slots_read_ ABSL_GUARDED_BY(mutex_) = false;
  bool refreshing_ ABSL_GUARDED_BY(mutex_) = false;
  bool refresh_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

std::shared_ptr<Router> MakeClusterRouter(RouterConfig config) {
  return std::make_shared<ClusterRouter>(std::move(config));
}

}  // namespace slipstream::redis
