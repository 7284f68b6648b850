// Subscriptions against a real server that is paused, killed and started again.
#include <atomic>
#include <utility>

#include "libs/redis/redis_fixture.h"

namespace slipstream::redis {
namespace {

using tests::RedisServer;

class PubSubTest : public RedisFixture {
 protected:
  void SetUp() override {
    auto server = RedisServer::Start();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    client_ = Connect(server_->url());
  }
  std::unique_ptr<Client::Subscription> Listen(std::vector<std::string> channels) {
    return client_->Subscribe(
        std::move(channels),
        [this](std::string_view channel, std::string_view payload) {
          sync::MutexLock lock(mutex_);
          messages_.emplace_back(channel, payload);
        },
        [this](bool up) {
          sync::MutexLock lock(mutex_);
          links_.push_back(up);
        });
  }
  std::vector<std::pair<std::string, std::string>> messages() {
    sync::MutexLock lock(mutex_);
    return messages_;
  }
  std::vector<bool> links() {
    sync::MutexLock lock(mutex_);
    return links_;
  }

  sync::Mutex mutex_;
  std::vector<std::pair<std::string, std::string>> messages_ ABSL_GUARDED_BY(mutex_);
  std::vector<bool> links_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<RedisServer> server_;
  std::unique_ptr<Client> client_;
};

TEST_F(PubSubTest, MessagesOfAllChannelsInOrder) {
  auto subscription = Listen({"a", "b"});
  ASSERT_TRUE(Eventually([&] { return subscription->up(); }));
  std::vector<std::pair<std::string, std::string>> sent;
  for (int i = 0; i < 500; ++i) {
    sent.emplace_back(i % 2 == 0 ? "a" : "b", std::string("x\0\r\n", 4) + std::to_string(i));
    const Reply reply = Do(*client_, {"PUBLISH", sent.back().first, sent.back().second});
    ASSERT_TRUE(reply.ok());
    EXPECT_EQ(reply->integer, 1);
  }
  ASSERT_TRUE(Do(*client_, {"PUBLISH", "c", "not ours"}).ok());
  ASSERT_TRUE(Eventually([&] { return messages().size() >= sent.size(); }));
  EXPECT_EQ(messages(), sent);
  EXPECT_EQ(links(), std::vector<bool>{true});
}

TEST_F(PubSubTest, ALostLinkIsToldAndMade) {
  auto subscription = Listen({"a"});
  ASSERT_TRUE(Eventually([&] { return links().size() == 1; }));
  server_->Kill();
  ASSERT_TRUE(Eventually([&] { return links().size() == 2; }));
  EXPECT_FALSE(subscription->up());
  ASSERT_TRUE(server_->Restart().ok());
  ASSERT_TRUE(Eventually([&] { return links().size() == 3; }));
  EXPECT_EQ(links(), (std::vector<bool>{true, false, true}));
  ASSERT_TRUE(Eventually([&] { return Do(*client_, {"PUBLISH", "a", "again"}).ok(); }));
  ASSERT_TRUE(Eventually([&] { return messages().size() == 1; }));
}

TEST_F(PubSubTest, AServerThatHangsIsALostLink) {
  auto subscription = Listen({"a"});
  ASSERT_TRUE(Eventually([&] { return subscription->up(); }));
  server_->Pause();
  ASSERT_TRUE(Eventually([&] { return !subscription->up(); }));
  server_->Resume();
  ASSERT_TRUE(Eventually([&] { return subscription->up(); }));
}

// More than the two heartbeats that find a dead server.
TEST_F(PubSubTest, ASilentLinkStaysUp) {
  auto quick = Connect(Options{.url = server_->url(), .command_timeout = absl::Milliseconds(200)});
  std::atomic<int> changes = 0;
  auto subscription =
      quick->Subscribe({"a"}, [](std::string_view, std::string_view) {}, [&](bool) { ++changes; });
  const sync::Deadline second(absl::Seconds(1));
  ASSERT_TRUE(Eventually([&] { return second.Passed(); }));
  EXPECT_EQ(changes.load(), 1);
  EXPECT_TRUE(subscription->up());
}

TEST_F(PubSubTest, TheHandlesEndUnsubscribes) {
  auto subscription = Listen({"a"});
  ASSERT_TRUE(Eventually([&] { return subscription->up(); }));
  subscription.reset();
  ASSERT_TRUE(Eventually([&] { return Do(*client_, {"PUBLISH", "a", "x"})->integer == 0; }));
  EXPECT_TRUE(messages().empty());
  EXPECT_EQ(links(), std::vector<bool>{true});  // the end is not a lost link
}

TEST_F(PubSubTest, ACallbackMayEndIt) {
  std::unique_ptr<Client::Subscription> subscription;
  sync::Mutex mutex;
  std::promise<void> ended;
  {
    sync::MutexLock lock(mutex);  // until the handle is here
    subscription = client_->Subscribe(
        {"a"},
        [&](std::string_view, std::string_view) {
          sync::MutexLock inner(mutex);
          subscription.reset();
          ended.set_value();
        },
        [](bool) {});
  }
  auto future = ended.get_future();
  ASSERT_TRUE(Eventually([&] { return Do(*client_, {"PUBLISH", "a", "x"})->integer == 1; }));
  future.get();
  ASSERT_TRUE(Eventually([&] { return Do(*client_, {"PUBLISH", "a", "x"})->integer == 0; }));
}

TEST_F(PubSubTest, ItMayOutliveItsClient) {
  auto subscription = Listen({"a"});
  client_.reset();
  ASSERT_TRUE(Eventually([&] { return subscription->up(); }));
  server_->Kill();
  ASSERT_TRUE(Eventually([&] { return !subscription->up(); }));
}

}  // namespace
}  // namespace slipstream::redis
