#include <utility>

#include "libs/redis/router.h"
#include "libs/redis/sentinel.h"

namespace slipstream::redis {
namespace {

Async<absl::StatusOr<Endpoint>> Always(Endpoint endpoint) { co_return endpoint; }

class SingleRouter final : public Router {
 public:
  explicit SingleRouter(RouterConfig config) {
    if (config.url.mode == Url::Mode::kSentinel) {
      auto sentinels = std::make_shared<Sentinels>(config.url, config.connection.dial,
                                                   config.connection.options);
      locate_ = [sentinels](Executor strand) { return sentinels->Locate(sentinels, strand); };
      config.connection.dial.must_be_primary = true;
    } else {
      address_ = config.url.hosts.front().ToString();
      locate_ = [endpoint = config.url.hosts.front()](Executor) { return Always(endpoint); };
    }
    config.connection.locate = locate_;
    connection_ = std::make_shared<Connection>(std::move(config.connection));
  }

  void Start() override { connection_->Start(); }
  void Submit(Request request, std::string_view) override {
    connection_->Submit(std::move(request));
  }
  bool connected() const override { return connection_->up(); }
  std::vector<Node> nodes() const override {
    const std::string now = connection_->address();
    return {{now.empty() ? address_ : now, connection_}};
  }
  Async<std::vector<Node>> KnownNodes(TimePoint) override { co_return nodes(); }
  Locate locate() const override { return locate_; }
  Locate locate_owner(std::string_view) const override { return locate_; }
  void Close(std::function<void()> closed) override { connection_->Close(std::move(closed)); }

 private:
  std::string address_;
  Locate locate_;
  std::shared_ptr<Connection> connection_;
};

}  // namespace

std::shared_ptr<Router> MakeSingleRouter(RouterConfig config) {
  return std::make_shared<SingleRouter>(std::move(config));
}

}  // namespace slipstream::redis
