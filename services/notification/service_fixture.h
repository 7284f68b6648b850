// Processes of the notification service on one Redis, and who calls them, for tests over gRPC.
#ifndef SERVICES_NOTIFICATION_SERVICE_FIXTURE_H_
#define SERVICES_NOTIFICATION_SERVICE_FIXTURE_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "libs/auth/key_set.h"
#include "libs/auth/token_issuer.h"
#include "libs/clock/clock.h"
#include "libs/config/load.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/status_convert.h"
#include "libs/service/process.h"
#include "services/notification/notification_module.h"
#include "services/notification/redis_history_fixture.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"
#include "tests/harness/redis_server.h"

namespace slipstream::notification {

// One process and its client.
struct ServiceProcess {
  explicit ServiceProcess(config::v1::Config settings)
      : config(std::move(settings)), process(config, {.name = "notification"}) {
    const absl::Status started = process.Start({MakeNotificationModule});
    EXPECT_TRUE(started.ok()) << started;
    channel = rpc::MakeChannel("127.0.0.1:" + std::to_string(process.grpc_port()));
    stub = v1::NotificationService::NewStub(channel);
  }
  const config::v1::Config config;  // outlives the process
  service::Process process;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::NotificationService::Stub> stub;
};

class ServiceFixture : public testing::Test {
 protected:
  static constexpr char kSecret[] = "a-secret-of-more-than-thirty-two-bytes-for-tests";

  // Port 0 takes a free one.
  std::unique_ptr<ServiceProcess> StartProcess(int port = 0) {
    config::v1::Config config = config::DefaultConfig();
    config.mutable_notification()->set_grpc_address("127.0.0.1:" + std::to_string(port));
    config.mutable_notification()->set_http_address("127.0.0.1:0");
    config.mutable_notification()->set_redis_url(redis_->url());
    config.mutable_notification()->set_user_messages_per_minute_count(0);
    config.mutable_logging()->set_level(config::v1::LoggingConfig::ERROR);
    const std::string path = testing::TempDir() + "/notification_redis_secret";
    std::ofstream(path) << kSecret;
    config.mutable_auth()->set_hs256_secret_file(path);
    return std::make_unique<ServiceProcess>(config);
  }
  std::string Token(const std::string& user, const std::string& role = "user") {
    auth::TokenRequest request;
    request.user = user;
    request.roles = {role};
    return *auth::TokenIssuer({}, *keys_, clock_).Issue(request);
  }
  std::unique_ptr<grpc::ClientContext> Context(const std::string& user,
                                               const std::string& role = "user") {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization", "Bearer " + Token(user, role));
    // A hang fails the test and not the machine.
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return context;
  }
  // The text is the idempotency key too.
  absl::Status Publish(ServiceProcess& process, const std::string& user, const std::string& text,
                       const std::string& type = "system_alert") {
    v1::PublishRequest request;
    request.set_channel("user:" + user);
    request.set_type(type);
    request.set_idempotency_key(text);
    (*request.mutable_payload()->mutable_fields())["text"].set_string_value(text);
    v1::PublishResponse response;
    return rpc::FromGrpc(
        process.stub->Publish(Context("queue", "service").get(), request, &response));
  }
  static std::string Text(const v1::Event& event) {
    auto it = event.payload().fields().find("text");
    return it == event.payload().fields().end() ? "" : it->second.string_value();
  }
  v1::NotificationStats Stats(ServiceProcess& process) {
    v1::NotificationStats stats;
    EXPECT_TRUE(process.stub->GetStats(Context("root", "admin").get(), {}, &stats).ok());
    return stats;
  }

  clock::SystemClock clock_;
  std::unique_ptr<auth::KeySet> keys_ = *auth::KeySet::FromText(kSecret);
  std::unique_ptr<tests::RedisServer> redis_ =
      *tests::RedisServer::Start({.settings = {"appendonly yes", "appendfsync always"}});
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_SERVICE_FIXTURE_H_
