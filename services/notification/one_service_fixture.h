// One whole service over a real server on loopback, with its history in memory, and who calls it.
#ifndef SERVICES_NOTIFICATION_ONE_SERVICE_FIXTURE_H_
#define SERVICES_NOTIFICATION_ONE_SERVICE_FIXTURE_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "libs/auth/key_set.h"
#include "libs/auth/token_issuer.h"
#include "libs/clock/clock.h"
#include "libs/config/load.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/status_convert.h"
#include "libs/service/process.h"
#include "libs/status/status.h"
#include "services/notification/notification_module.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"

namespace slipstream::notification {

inline constexpr char kSecret[] = "a-secret-of-more-than-thirty-two-bytes-for-tests";

inline config::v1::Config TestConfig() {
  config::v1::Config config = config::DefaultConfig();
  config.mutable_notification()->set_grpc_address("127.0.0.1:0");
  config.mutable_notification()->set_http_address("127.0.0.1:0");
  config.mutable_logging()->set_level(config::v1::LoggingConfig::ERROR);
  config.mutable_rpc()->set_drain_grace_ms(10'000);
  const std::string path = testing::TempDir() + "/notification_secret";
  std::ofstream(path) << kSecret;
  config.mutable_auth()->set_hs256_secret_file(path);
  return config;
}

inline std::unique_ptr<grpc::ClientContext> Context(const std::string& token) {
  auto context = std::make_unique<grpc::ClientContext>();
  if (!token.empty()) context->AddMetadata("authorization", "Bearer " + token);
  // A hang fails the test and not the machine.
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  return context;
}

// A Subscribe call of one user.
struct Subscription {
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::ClientReader<v1::Event>> reader;

  v1::Event Next() {
    v1::Event event;
    if (!reader->Read(&event)) event.set_type("ended");
    return event;
  }
  absl::Status Finish() { return rpc::FromGrpc(reader->Finish()); }
};

class NotificationServiceTest : public testing::Test {
 protected:
  NotificationServiceTest() {
    const absl::Status started = process_->Start({MakeNotificationModule});
    EXPECT_TRUE(started.ok()) << started;
    channel_ = rpc::MakeChannel("127.0.0.1:" + std::to_string(process_->grpc_port()));
    stub_ = v1::NotificationService::NewStub(channel_);
  }

  std::string Token(const std::string& user, std::vector<std::string> roles = {"user"},
                    const std::string& tenant = "") {
    auth::TokenRequest request;
    request.user = user;
    request.roles = std::move(roles);
    request.tenant = tenant;
    return *auth::TokenIssuer({}, *keys_, clock_).Issue(request);
  }
  std::string ServiceToken() { return Token("task_queue", {"service"}); }

  static v1::PublishRequest Request(const std::string& channel, const std::string& text,
                                    const std::string& type = "system_alert",
                                    const std::string& task_id = "") {
    v1::PublishRequest request;
    request.set_channel(channel);
    request.set_type(type);
    request.set_task_id(task_id);
    (*request.mutable_payload()->mutable_fields())["text"].set_string_value(text);
    return request;
  }
  absl::Status Publish(const v1::PublishRequest& request, const std::string& token,
                       v1::PublishResponse* response = nullptr) {
    v1::PublishResponse unused;
    return rpc::FromGrpc(
        stub_->Publish(Context(token).get(), request, response == nullptr ? &unused : response));
  }
  Subscription Open(const std::string& token, const std::string& cursor = "",
                    const std::string& last_event_id = "") {
    Subscription out;
    out.context = Context(token);
    v1::SubscribeRequest request;
    request.set_cursor(cursor);
    request.set_last_event_id(last_event_id);
    out.reader = stub_->Subscribe(out.context.get(), request);
    return out;
  }
  v1::NotificationStats Stats(const std::string& token) {
    v1::NotificationStats stats;
    EXPECT_TRUE(stub_->GetStats(Context(token).get(), {}, &stats).ok());
    return stats;
  }
  static std::string Text(const v1::Event& event) {
    auto it = event.payload().fields().find("text");
    return it == event.payload().fields().end() ? "" : it->second.string_value();
  }

  const config::v1::Config config_ = TestConfig();
  clock::SystemClock clock_;
  std::unique_ptr<auth::KeySet> keys_ = *auth::KeySet::FromText(kSecret);
  std::unique_ptr<service::Process> process_ =
      std::make_unique<service::Process>(config_, service::ProcessOptions{.name = "notification"});
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::NotificationService::Stub> stub_;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_ONE_SERVICE_FIXTURE_H_
