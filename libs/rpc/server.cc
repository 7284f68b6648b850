#include "libs/rpc/server.h"

#include <grpcpp/ext/channelz_service_plugin.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/impl/server_initializer.h>

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/process_settings.h"

namespace slipstream::rpc {

namespace {

// Which of gRPC's process-wide plugins one server gets, and what the services registered at it are
// called. Reflection puts itself into the process-wide list as soon as it is linked, and channelz
// stays there once it was asked for, so what a server shall not have is taken out again.
class Plugins final : public grpc::ServerBuilderOption {
 public:
  Plugins(bool reflection, bool channelz, std::vector<std::string>* service_names)
      : reflection_(reflection), channelz_(channelz), service_names_(service_names) {}

  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [this](const auto& plugin) {
      return (plugin->name() == "proto_server_reflection" && !reflection_) ||
             (plugin->name() == "channelz_service" && !channelz_);
    });
    plugins->push_back(std::make_unique<Names>(service_names_));
  }

 private:
  class Names final : public grpc::ServerBuilderPlugin {
   public:
    explicit Names(std::vector<std::string>* names) : names_(names) {}
    std::string name() override { return "slipstream_service_names"; }
    void InitServer(grpc::ServerInitializer*) override {}
    void Finish(grpc::ServerInitializer* initializer) override {
      if (names_ != nullptr) *names_ = *initializer->GetServiceList();
    }
    void ChangeArguments(const std::string&, void*) override {}

   private:
    std::vector<std::string>* const names_;
  };

  const bool reflection_, channelz_;
  std::vector<std::string>* const service_names_;  // may be null
};

void EnableReflection() {
  static std::once_flag once;
  std::call_once(once, grpc::reflection::InitProtoReflectionServerBuilderPlugin);
}

void EnableChannelz() {
  static std::once_flag once;
  std::call_once(once, grpc::channelz::experimental::InitChannelzService);
}

}  // namespace

struct Server::Impl {
  std::vector<grpc::Service*> services;
  std::vector<std::string> service_names;
  std::unique_ptr<grpc::Server> server;
  // Each outlives the server it is registered at.
  grpc::CallbackGenericService unimplemented, no_service;
  std::unique_ptr<grpc::Server> channelz;
};

Server::Server(ServerOptions options)
    : options_(std::move(options)), impl_(std::make_unique<Impl>()) {}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

void Server::AddService(grpc::Service* service) { impl_->services.push_back(service); }

absl::Status Server::Start() {
  SetUpProcess();
  grpc::EnableDefaultHealthCheckService(true);
  if (options_.reflection) EnableReflection();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options_.address, grpc::InsecureServerCredentials(), &port_);
  // Two servers on one port would share its traffic; a second start shall fail instead.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(options_.max_message_bytes);
  builder.SetMaxSendMessageSize(options_.max_message_bytes);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             absl::ToInt64Milliseconds(options_.keepalive_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             absl::ToInt64Milliseconds(options_.keepalive_timeout));
  // Our own clients ping as often as the server does, also between calls.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.SetOption(std::make_unique<Plugins>(options_.reflection, false, &impl_->service_names));
  for (grpc::Service* service : impl_->services) builder.RegisterService(service);
  // Health alone (the edge, the worker) has no completion queue of its own, and without reflection
  // nothing else would bring one: gRPC refuses to start then.
  if (impl_->services.empty()) builder.RegisterCallbackGenericService(&impl_->no_service);
  impl_->server = builder.BuildAndStart();
  if (!impl_->server || port_ == 0) {
    impl_->server.reset();
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", options_.address,
        ": the address is in use or not of this machine; choose another grpc_address"));
  }
  SetServing(false);
  if (options_.channelz) {
    EnableChannelz();
    grpc::ServerBuilder admin;
    admin.SetOption(std::make_unique<Plugins>(options_.reflection, true, nullptr));
    // A callback service beside channelz' synchronous ones, so that gRPC gives those a completion
    // queue that does not poll: with one that does, their thread takes part in the calls of every
    // server of the process, only to hand each on.
    admin.RegisterCallbackGenericService(&impl_->unimplemented);
    admin.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &channelz_port_);
    impl_->channelz = admin.BuildAndStart();
    if (!impl_->channelz) return absl::UnavailableError("cannot open a loopback port for channelz");
  }
  return absl::OkStatus();
}

std::string Server::LocalAddress() const {
  const size_t colon = options_.address.rfind(':');
  std::string host = options_.address.substr(0, colon);
  if (host.empty() || host == "0.0.0.0" || host == "[::]") host = "127.0.0.1";
  return absl::StrCat(host, ":", port_);
}

void Server::SetServing(bool serving) {
  if (!impl_->server) return;
  if (auto* health = impl_->server->GetHealthCheckService(); health != nullptr) {
    health->SetServingStatus(serving);  // the server as a whole
    for (const std::string& name : impl_->service_names) health->SetServingStatus(name, serving);
  }
}

void Server::Shutdown(absl::Duration grace) {
  const auto deadline = std::chrono::system_clock::now() + absl::ToChronoMilliseconds(grace);
  if (impl_->server) {
    impl_->server->Shutdown(deadline);
    impl_->server->Wait();
    impl_->server.reset();
  }
  if (impl_->channelz) {
    impl_->channelz->Shutdown(deadline);
    impl_->channelz->Wait();
    impl_->channelz.reset();
  }
}

}  // namespace slipstream::rpc
