// Two processes of the service on one Redis, as a deployment has them: over gRPC.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>

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
namespace {

constexpr char kSecret[] = "a-secret-of-more-than-thirty-two-bytes-for-tests";

config::v1::Config ConfigFor(const std::string& redis_url) {
  config::v1::Config config = config::DefaultConfig();
  config.mutable_notification()->set_grpc_address("127.0.0.1:0");
  config.mutable_notification()->set_http_address("127.0.0.1:0");
  config.mutable_notification()->set_redis_url(redis_url);
  config.mutable_logging()->set_level(config::v1::LoggingConfig::ERROR);
  const std::string path = testing::TempDir() + "/notification_redis_secret";
  std::ofstream(path) << kSecret;
  config.mutable_auth()->set_hs256_secret_file(path);
  return config;
}

// One process and its client.
struct Server {
  explicit Server(const std::string& redis_url)
      : process(ConfigFor(redis_url), {.name = "notification"}) {
    const absl::Status started = process.Start({MakeNotificationModule});
    EXPECT_TRUE(started.ok()) << started;
    stub = v1::NotificationService::NewStub(
        rpc::MakeChannel("127.0.0.1:" + std::to_string(process.grpc_port())));
  }
  service::Process process;
  std::unique_ptr<v1::NotificationService::Stub> stub;
};

class NotificationRedisTest : public testing::Test {
 protected:
  std::unique_ptr<grpc::ClientContext> Context(const std::string& user, const std::string& role) {
    auth::TokenRequest request;
    request.user = user;
    request.roles = {role};
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization",
                         "Bearer " + *auth::TokenIssuer({}, *keys_, clock_).Issue(request));
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return context;
  }
  absl::Status Publish(Server& server, const std::string& user, const std::string& key) {
    v1::PublishRequest request;
    request.set_channel("user:" + user);
    request.set_type("system_alert");
    request.set_idempotency_key(key);
    (*request.mutable_payload()->mutable_fields())["text"].set_string_value(key);
    v1::PublishResponse response;
    return rpc::FromGrpc(
        server.stub->Publish(Context("queue", "service").get(), request, &response));
  }
  v1::NotificationStats Stats(Server& server) {
    v1::NotificationStats stats;
    EXPECT_TRUE(server.stub->GetStats(Context("root", "admin").get(), {}, &stats).ok());
    return stats;
  }

  clock::SystemClock clock_;
  std::unique_ptr<auth::KeySet> keys_ = *auth::KeySet::FromText(kSecret);
  std::unique_ptr<tests::RedisServer> redis_ =
      *tests::RedisServer::Start({.settings = {"appendonly yes", "appendfsync always"}});
};

TEST_F(NotificationRedisTest, TwoProcessesAreOneServiceThatSurvivesItsRedis) {
  Server a(redis_->url()), b(redis_->url());
  ASSERT_TRUE(Eventually([&] { return !Stats(a).degraded() && !Stats(b).degraded(); }));
  EXPECT_EQ(Stats(a).store(), "redis");

  auto context = Context("alice", "user");
  auto reader = b.stub->Subscribe(context.get(), {});
  v1::Event event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.type(), "subscribed");
  ASSERT_TRUE(Publish(a, "alice", "1").ok());
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.payload().fields().at("text").string_value(), "1");
  const std::string cursor = event.cursor();

  EXPECT_TRUE(Eventually([&] {
    v1::GetPresenceResponse presence;
    EXPECT_TRUE(a.stub->GetPresence(Context("alice", "user").get(), {}, &presence).ok());
    return presence.presences(0).online() && presence.presences(0).connections_count() == 1;
  }));

  redis_->Kill();
  EXPECT_TRUE(Eventually([&] { return Stats(a).degraded() && Stats(b).degraded(); }));
  EXPECT_EQ(Publish(a, "alice", "2").code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(redis_->Restart().ok());
  EXPECT_TRUE(Eventually([&] { return !Stats(a).degraded() && !Stats(b).degraded(); }));
  EXPECT_TRUE(Eventually([&] { return Publish(a, "alice", "2").ok(); }));
  EXPECT_TRUE(Publish(a, "alice", "2").ok()) << "the same again";
  EXPECT_TRUE(Publish(a, "alice", "3").ok());
  for (const char* text : {"2", "3"}) {
    ASSERT_TRUE(reader->Read(&event));
    EXPECT_EQ(event.payload().fields().at("text").string_value(), text);
  }
  context->TryCancel();
  while (reader->Read(&event)) {
  }
  (void)reader->Finish();

  // From the other process, with a cursor from before the restart.
  auto again = Context("alice", "user");
  v1::SubscribeRequest request;
  request.set_cursor(cursor);
  auto resumed = a.stub->Subscribe(again.get(), request);
  ASSERT_TRUE(resumed->Read(&event));
  EXPECT_TRUE(event.recovered());
  for (const char* text : {"2", "3"}) {
    ASSERT_TRUE(resumed->Read(&event));
    EXPECT_EQ(event.payload().fields().at("text").string_value(), text);
  }
  again->TryCancel();
}

}  // namespace
}  // namespace slipstream::notification
