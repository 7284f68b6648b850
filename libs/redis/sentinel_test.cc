// A primary, its replica and a Sentinel: who is killed is replaced.
#include <atomic>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/redis/errors.h"
#include "libs/redis/redis_fixture.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

using tests::RedisServer;

class SentinelTest : public RedisFixture {
 protected:
  void StartAll(const std::string& password, const std::string& sentinel_password) {
    primary_ = Server({.password = password});
    replica_ = Server({.settings = {absl::StrCat("replicaof 127.0.0.1 ", primary_->port()),
                                    "repl-diskless-sync-delay 0"},
                       .password = password});
    std::vector<std::string> settings = {
        absl::StrCat("sentinel monitor main 127.0.0.1 ", primary_->port(), " 1"),
        "sentinel down-after-milliseconds main 500", "sentinel failover-timeout main 5000"};
    if (!password.empty()) settings.push_back("sentinel auth-pass main " + password);
    sentinel_ = Server({.settings = settings, .password = sentinel_password, .sentinel = true});
    ASSERT_TRUE(Eventually([&] {
      return absl::StrContains(replica_->Cli({"INFO", "replication"}).value_or(""),
                               "master_link_status:up") &&
             absl::StrContains(sentinel_->Cli({"SENTINEL", "MASTER", "main"}).value_or(""),
                               "num-slaves\n1");
    }));
  }
  static std::unique_ptr<RedisServer> Server(tests::RedisOptions options) {
    auto server = RedisServer::Start(std::move(options));
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? *std::move(server) : nullptr;
  }
  std::unique_ptr<RedisServer> primary_, replica_, sentinel_;
};

TEST_F(SentinelTest, AKilledPrimaryIsReplaced) {
  StartAll("pw", "");
  // The first Sentinel of the list is dead.
  auto dead = Server({});
  const std::string dead_address = dead->address();
  dead.reset();
  auto client = Connect(
      absl::StrCat("redis+sentinel://:pw@", dead_address, ",", sentinel_->address(), "/main"));
  ASSERT_TRUE(Do(*client, {"SET", "k", "v"}).ok());
  EXPECT_EQ(client->NodeAddresses(), std::vector<std::string>{primary_->address()});
  std::atomic<int> messages = 0;
  auto subscription = client->Subscribe(
      {"c"}, [&](std::string_view, std::string_view) { ++messages; }, [](bool) {});
  ASSERT_TRUE(Eventually([&] { return subscription->up(); }));
  ASSERT_TRUE(Eventually([&] { return replica_->Cli({"GET", "k"}).value_or("") == "v"; }));
  primary_->Kill();
  const absl::Status down = Do(*client, {"SET", "k", "w"}).status();
  EXPECT_EQ(down.code(), absl::StatusCode::kUnavailable) << down;
  ASSERT_TRUE(Eventually([&] { return Do(*client, {"SET", "k", "w"}).ok(); }));
  EXPECT_EQ(client->NodeAddresses(), std::vector<std::string>{replica_->address()});
  EXPECT_EQ(*replica_->Cli({"GET", "k"}), "w");
  ASSERT_TRUE(
      Eventually([&] { return Do(*client, {"PUBLISH", "c", "x"}).ok() && messages.load() > 0; }));
}

// Sentinel swaps the roles of two servers that are alive.
TEST_F(SentinelTest, ASwitchoverIsFollowed) {
  StartAll("", "sp");
  auto client =
      Connect(Options{.url = absl::StrCat("redis+sentinel://", sentinel_->address(), "/main"),
                      .sentinel_password = "sp"});
  ASSERT_TRUE(Do(*client, {"SET", "k", "v"}).ok());
  ASSERT_TRUE(sentinel_->Cli({"SENTINEL", "FAILOVER", "main"}).ok());
  ASSERT_TRUE(Eventually([&] {
    return Do(*client, {"SET", "k", "w"}).ok() &&
           client->NodeAddresses().front() == replica_->address();
  }));
}

TEST_F(SentinelTest, AnUnknownNameSaysSo) {
  StartAll("", "");
  auto client =
      Connect(Options{.url = absl::StrCat("redis+sentinel://", sentinel_->address(), "/other"),
                      .command_timeout = absl::Milliseconds(300)});
  const absl::Status status = Do(*client, {"PING"}).status();
  EXPECT_EQ(status::Reason(status), kUnavailable);
  EXPECT_NE(status.message().find("\"other\""), absl::string_view::npos) << status;
}

// Without Sentinel, too, READONLY makes the client connect anew: the name may lead elsewhere.
TEST_F(SentinelTest, AReadOnlyServerIsLeft) {
  auto server = Server({});
  auto client = Connect(server->url());
  ASSERT_TRUE(Do(*client, {"SET", "k", "v"}).ok());
  ASSERT_TRUE(server->Cli({"REPLICAOF", "127.0.0.1", "1"}).ok());
  const absl::Status status = Do(*client, {"SET", "k", "v"}).status();
  EXPECT_EQ(status::Reason(status), kUnavailable);
  EXPECT_EQ(status::Metadata(status, kSent), "false");
  ASSERT_TRUE(Eventually([&] { return client->stats().reconnects_count > 0; }));
  ASSERT_TRUE(server->Cli({"REPLICAOF", "NO", "ONE"}).ok());
  EXPECT_TRUE(Eventually([&] { return Do(*client, {"SET", "k", "v"}).ok(); }));
}

}  // namespace
}  // namespace slipstream::redis
