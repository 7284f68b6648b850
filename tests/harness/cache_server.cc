#include "tests/harness/cache_server.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>
#include <vector>

#include "libs/auth/permissions.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/server.h"
#include "services/cache/cache_service.h"
#include "services/cache/local_cache_store.h"

namespace slipstream::testing_harness {

namespace {

class MetadataAuth final : public rpc::Stage {
 public:
  std::string_view name() const override { return "auth"; }
  absl::Status Begin(rpc::CallContext& call) override {
    auto who = std::make_shared<auth::Principal>();
    who->user = call.metadata("x-user");
    who->tenant = call.metadata("x-tenant");
    who->roles = {std::string(call.metadata("x-role"))};
    call.set_principal(who);
    return permissions_.Check(*who, call.method().permission);
  }
  void End(rpc::CallContext&, const absl::Status&) override {}

 private:
  const auth::PermissionMap permissions_ = *auth::PermissionMap::Create();
};

std::vector<std::unique_ptr<rpc::Stage>> Stages() {
  std::vector<std::unique_ptr<rpc::Stage>> out;
  out.push_back(std::make_unique<MetadataAuth>());
  return out;
}

}  // namespace

struct CacheServer::Parts {
  Parts(cache::CacheEngine& engine, const Executor& executor, const clock::Clock& clock)
      : dispatcher{chain, executor, clock},
        service(engine, dispatcher, {.permissions = &permissions}) {
    server.AddService(service.grpc());
    started = server.Start().ok();
    server.SetServing(true);
    channel = rpc::MakeChannel(server.LocalAddress());
    // A call of a test is not to fail because the machine took its time to connect.
    connected =
        channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(60));
  }

  const auth::PermissionMap permissions = *auth::PermissionMap::Create();
  rpc::Chain chain{Stages()};
  rpc::Dispatcher dispatcher;
  cache::CacheService service;
  rpc::Server server{rpc::ServerOptions{}};
  std::shared_ptr<grpc::Channel> channel;
  bool started = false;
  bool connected = false;
};

CacheServer::CacheServer(const clock::Clock& clock)
    : store_(std::make_unique<cache::LocalCacheStore>(cache::MemoryCacheStore::Options{}, 7, "e1")),
      engine_(std::make_unique<cache::CacheEngine>(
          cache::CacheEngine::Deps{*store_, clock, random_}, cache::EngineOptions{})),
      parts_(std::make_unique<Parts>(*engine_, runtime_.executor(), clock)) {}

CacheServer::~CacheServer() { Shutdown(); }

void CacheServer::Shutdown() { parts_->server.Shutdown(absl::Seconds(2)); }

const std::shared_ptr<grpc::Channel>& CacheServer::channel() const { return parts_->channel; }

rpc::CallOptions CacheServer::As(const std::string& user, const std::string& role) {
  rpc::CallOptions out;
  out.timeout = absl::Seconds(20);
  out.metadata = {{"x-user", user}, {"x-role", role}, {"x-tenant", "acme"}};
  return out;
}

}  // namespace slipstream::testing_harness
