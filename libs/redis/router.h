// Which connection a request goes to: the one of a single server, or a cluster's.
//
// Thread safety: all methods from any thread.
#ifndef LIBS_REDIS_ROUTER_H_
#define LIBS_REDIS_ROUTER_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/async/async.h"
#include "libs/redis/connection.h"
#include "libs/redis/request.h"
#include "libs/redis/url.h"

namespace slipstream::redis {

using Locate = std::function<Async<absl::StatusOr<Endpoint>>(Executor strand)>;

struct Node {
  std::string address;
  std::shared_ptr<Connection> connection;
};

class Router {
 public:
  virtual ~Router() = default;

  virtual void Start() = 0;
  virtual void Submit(Request request, std::string_view routing_key) = 0;
  virtual bool connected() const = 0;
  virtual std::vector<Node> nodes() const = 0;
  // Waits until the primaries are known, or the deadline.
  virtual Async<std::vector<Node>> KnownNodes(TimePoint deadline) = 0;
  // Where a connection apart from the nodes' may go. It outlives the router.
  virtual Locate locate() const = 0;
  // The same, to the owner of a key's slot as far as that is known.
  virtual Locate locate_owner(std::string_view key) const = 0;
  // `closed` is called once, when nothing of it runs any more.
  virtual void Close(std::function<void()> closed) = 0;
};

struct RouterConfig {
  ConnectionConfig connection;  // locate, reroute and on_doubt are the router's to fill
  Url url;
};

// One server, or the primary that Sentinels name.
std::shared_ptr<Router> MakeSingleRouter(RouterConfig config);
std::shared_ptr<Router> MakeClusterRouter(RouterConfig config);

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_ROUTER_H_
