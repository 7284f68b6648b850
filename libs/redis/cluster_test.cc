// Three primaries: slots that move, a primary that dies.
#include <atomic>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/redis/cluster_slots.h"
#include "libs/redis/errors.h"
#include "libs/redis/redis_fixture.h"
#include "libs/redis/server_check.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

using tests::RedisCluster;

class ClusterTest : public RedisFixture {
 protected:
  void SetUp() override {
    auto cluster = RedisCluster::Start(3);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
  }
  // A key whose slot node `i` owns.
  std::string KeyAt(int i) const {
    for (int n = 0;; ++n) {
      std::string key = absl::StrCat("{", n, "}");
      if (cluster_->OwnerOf(KeySlot(key)) == i) return key;
    }
  }
  // Each node says `words` about the key's slot.
  void SetSlot(int node, const std::string& key, std::vector<std::string> words) {
    std::vector<std::string> command = {"CLUSTER", "SETSLOT", absl::StrCat(KeySlot(key))};
    command.insert(command.end(), words.begin(), words.end());
    auto done = cluster_->node(node).Cli(command);
    ASSERT_TRUE(done.ok()) << done.status();
  }
  std::unique_ptr<Client> ConnectAll() {
    auto client = Connect(cluster_->url());
    EXPECT_TRUE(Eventually([&] { return client->connected(); }));
    return client;
  }
  std::unique_ptr<RedisCluster> cluster_;
};

TEST_F(ClusterTest, KeysGoWhereTheyBelong) {
  auto client = Connect(cluster_->url());  // commands come before the slots are known
  Replies replies;
  const Script script("redis.call('SET', KEYS[1], ARGV[1]) return ARGV[1]");
  for (int i = 0; i < 300; ++i) {
    const std::string key = absl::StrCat("k", i);
    replies.push_back(Send(*client, {"SET", key, "v"}, key));
    replies.push_back(SendEval(*client, script, {absl::StrCat("{", i, "}s")}, {"v"}));
  }
  for (auto& reply : replies) {
    const Reply r = reply.get();
    EXPECT_TRUE(r.ok()) << r.status();
  }
  ASSERT_TRUE(Eventually([&] { return client->connected(); }));
  EXPECT_EQ(client->NodeAddresses().size(), 3U);
  // Known slots need no redirection.
  const uint64_t redirects = client->stats().redirects_count;
  for (int i = 0; i < 300; ++i) {
    const std::string key = absl::StrCat("k", i);
    EXPECT_EQ(Do(*client, {"GET", key}, key)->text, "v");
  }
  EXPECT_EQ(client->stats().redirects_count, redirects);
  EXPECT_TRUE(Do(*client, {"PING"}).ok());  // any node
  EXPECT_EQ(client->stats().nodes_up_count, 3);
}

// Each of many fresh clients: the seed's waiting commands are sent to where they belong just when
// those for all nodes come.
TEST_F(ClusterTest, EachPrimaryAnswersForItself) {
  std::set<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    auto id = cluster_->node(i).Cli({"CLUSTER", "MYID"});
    ASSERT_TRUE(id.ok());
    ids.insert(std::string(absl::StripAsciiWhitespace(*id)));
  }
  for (int i = 0; i < 60; ++i) {
    auto client = Connect(cluster_->url());
    const auto replies = Await<std::vector<NodeReply>>([&]() -> Async<std::vector<NodeReply>> {
      return client->ForEachPrimary({"CLUSTER", "MYID"});
    });
    std::set<std::string> answered;
    for (const NodeReply& one : replies) {
      ASSERT_TRUE(one.reply.ok()) << one.reply.status();
      answered.insert(one.reply->text);
    }
    ASSERT_EQ(answered, ids) << "client " << i;
  }
}

TEST_F(ClusterTest, EveryPrimaryIsChecked) {
  ASSERT_TRUE(cluster_->node(1).Cli({"CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"}).ok());
  auto client = Connect(cluster_->url());  // waits for the slots
  auto report = Await<absl::StatusOr<ServerReport>>(
      [&]() -> Async<absl::StatusOr<ServerReport>> { return CheckServer(*client); });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->nodes.size(), 3U);
  EXPECT_TRUE(report->nodes[0].cluster_enabled);
  const absl::Status evicts = RequireNoEviction(*report);
  EXPECT_NE(evicts.message().find(cluster_->node(1).address()), absl::string_view::npos) << evicts;
  EXPECT_EQ(evicts.message().find(cluster_->node(0).address()), absl::string_view::npos) << evicts;
}

TEST_F(ClusterTest, AMovedSlotIsFollowed) {
  auto client = ConnectAll();
  const std::string key = KeyAt(0);
  ASSERT_TRUE(Do(*client, {"GET", key}, key).ok());
  // The slot is empty: it is simply given away. The new owner first.
  for (const int node : {2, 0, 1}) SetSlot(node, key, {"NODE", cluster_->NodeId(2)});
  const uint64_t before = client->stats().redirects_count;
  ASSERT_TRUE(Do(*client, {"SET", key, "v"}, key).ok());
  EXPECT_EQ(client->stats().redirects_count, before + 1);
  ASSERT_TRUE(Do(*client, {"SET", key, "v"}, key).ok());
  EXPECT_EQ(client->stats().redirects_count, before + 1);  // learnt
  EXPECT_EQ(*cluster_->node(2).Cli({"GET", key}), "v");
}

TEST_F(ClusterTest, ASlotThatIsMovingIsAskedFor) {
  auto client = ConnectAll();
  const std::string key = KeyAt(0);
  const std::string old_key = key + "old";
  const std::string new_key = key + "new";
  ASSERT_TRUE(Do(*client, {"SET", old_key, "v"}, key).ok());
  SetSlot(1, key, {"IMPORTING", cluster_->NodeId(0)});
  SetSlot(0, key, {"MIGRATING", cluster_->NodeId(1)});
  // What is still there is served there; what is not, at the importing node, for this time only.
  EXPECT_EQ(Do(*client, {"GET", old_key}, key)->text, "v");
  const uint64_t before = client->stats().redirects_count;
  ASSERT_TRUE(Do(*client, {"SET", new_key, "w"}, key).ok());
  EXPECT_EQ(client->stats().redirects_count, before + 1);
  ASSERT_TRUE(Do(*client, {"GET", new_key}, key).ok());
  EXPECT_EQ(client->stats().redirects_count, before + 2);
  // The importing node does not know the script either.
  const Script script("return redis.call('GET', KEYS[1])");
  const Reply by_script = SendEval(*client, script, {new_key}, {}).get();
  ASSERT_TRUE(by_script.ok()) << by_script.status();
  EXPECT_EQ(by_script->text, "w");
  // Keys on both sides: neither node can.
  const absl::Status both = Do(*client, {"MGET", old_key, new_key}, key).status();
  EXPECT_EQ(status::Reason(both), kUnavailable) << both;
  EXPECT_EQ(status::Metadata(both, kSent), "false");
  // The move ends.
  ASSERT_TRUE(cluster_->node(0)
                  .Cli({"MIGRATE", "127.0.0.1", absl::StrCat(cluster_->node(1).port()), old_key,
                        "0", "5000"})
                  .ok());
  for (const int node : {1, 0, 2}) SetSlot(node, key, {"NODE", cluster_->NodeId(1)});
  const Reply moved = Do(*client, {"MGET", old_key, new_key}, key);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ((*moved)[0].text + (*moved)[1].text, "vw");
}

TEST_F(ClusterTest, ADeadPrimaryTakesItsSlotsOnly) {
  auto client = ConnectAll();
  const std::string at0 = KeyAt(0);
  const std::string at1 = KeyAt(1);
  ASSERT_TRUE(Do(*client, {"SET", at0, "v"}, at0).ok());
  cluster_->node(0).Kill();
  auto dead = Send(*client, {"GET", at0}, at0);
  ASSERT_TRUE(Do(*client, {"SET", at1, "v"}, at1).ok());
  // Until its end is noticed, a command for any node may still go to it.
  ASSERT_TRUE(Eventually([&] { return !client->connected(); }));
  for (int i = 0; i < 50; ++i) {
    const Reply alive = Do(*client, {"SET", at1, "v"}, at1);
    ASSERT_TRUE(alive.ok()) << alive.status();
    ASSERT_TRUE(Do(*client, {"PING"}).ok());  // any node that is up
  }
  EXPECT_EQ(dead.get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(client->connected());
  ASSERT_TRUE(cluster_->node(0).Restart().ok());
  ASSERT_TRUE(Eventually([&] { return Do(*client, {"SET", at0, "v"}, at0).ok(); }));
  ASSERT_TRUE(Eventually([&] { return client->connected(); }));
}

TEST_F(ClusterTest, OneSeedIsEnoughAndADeadOneDoesNoHarm) {
  cluster_->node(0).Kill();
  auto client =
      Connect("redis+cluster://" + cluster_->node(0).address() + "," + cluster_->node(1).address());
  const std::string key = KeyAt(2);
  const Reply reply = Do(*client, {"SET", key, "v"}, key);
  EXPECT_TRUE(reply.ok()) << reply.status();
}

// The last slot leaves a node: its connection ends, and nothing is lost by that.
TEST_F(ClusterTest, ANodeWithoutSlotsIsLeft) {
  auto client = ConnectAll();
  const std::string key = KeyAt(0);
  std::vector<std::string> slots;
  for (int slot = 0; cluster_->OwnerOf(slot) == 0; ++slot) slots.push_back(absl::StrCat(slot));
  std::vector<std::string> remove = {"CLUSTER", "DELSLOTS"};
  remove.insert(remove.end(), slots.begin(), slots.end());
  std::vector<std::string> add = {"CLUSTER", "ADDSLOTS"};
  add.insert(add.end(), slots.begin(), slots.end());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(cluster_->node(i).Cli(remove).ok());
  ASSERT_TRUE(cluster_->node(1).Cli(add).ok());
  ASSERT_TRUE(Eventually([&] { return Do(*client, {"SET", key, "v"}, key).ok(); }));
  ASSERT_TRUE(Eventually([&] { return client->NodeAddresses().size() == 2; }));
  EXPECT_TRUE(Eventually([&] { return client->connected(); }));
  EXPECT_EQ(*cluster_->node(1).Cli({"GET", key}), "v");
}

TEST_F(ClusterTest, MessagesCrossNodes) {
  auto client = ConnectAll();
  std::atomic<int> messages = 0;
  auto subscription = client->Subscribe(
      {"c"}, [&](std::string_view, std::string_view) { ++messages; }, [](bool) {});
  ASSERT_TRUE(Eventually([&] { return subscription->up(); }));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(cluster_->node(i).Cli({"PUBLISH", "c", "x"}).ok());
  EXPECT_TRUE(Eventually([&] { return messages.load() == 3; }));
}

TEST_F(ClusterTest, ShardedMessagesComeFromTheOwnersAndFollowASlot) {
  auto client = ConnectAll();
  const std::vector<std::string> channels = {KeyAt(0), KeyAt(1), KeyAt(2)};
  std::atomic<int> messages = 0;
  std::atomic<int> ups = 0;
  auto subscription = client->SubscribeSharded(
      channels, [&](std::string_view, std::string_view) { ++messages; },
      [&](bool up) { ups += up ? 1 : 0; });
  ASSERT_TRUE(Eventually([&] { return subscription->up(); }));
  EXPECT_TRUE(subscription->supported());
  EXPECT_TRUE(Eventually([&] { return ups == 1; })) << "told once, when all are up";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(*cluster_->node(i).Cli({"SPUBLISH", channels[static_cast<size_t>(i)], "x"}), "1");
  }
  EXPECT_TRUE(Eventually([&] { return messages == 3; }));
  for (int i = 1; i >= 0; --i) SetSlot(i, channels[0], {"NODE", cluster_->NodeId(1)});
  EXPECT_TRUE(Eventually(
      [&] { return cluster_->node(1).Cli({"SPUBLISH", channels[0], "x"}).value_or("") == "1"; }));
  EXPECT_TRUE(Eventually([&] { return messages == 4; }));
  EXPECT_TRUE(Eventually([&] { return ups == 2; }));
}

TEST_F(ClusterTest, AServerWithoutShardedChannelsIsTold) {
  auto server = tests::RedisServer::Start({.settings = {"rename-command SSUBSCRIBE \"\""}});
  ASSERT_TRUE(server.ok()) << server.status();
  auto client = Connect((*server)->url());
  auto subscription =
      client->SubscribeSharded({"a", "b"}, [](std::string_view, std::string_view) {}, [](bool) {});
  EXPECT_TRUE(Eventually([&] { return !subscription->supported(); }));
  EXPECT_FALSE(subscription->up());
}

TEST_F(ClusterTest, TheEndAnswersWhatIsPending) {
  auto client = ConnectAll();
  for (int i = 0; i < 3; ++i) cluster_->node(i).Pause();
  Replies replies;
  for (int i = 0; i < 300; ++i) {
    const std::string key = absl::StrCat("k", i);
    replies.push_back(Send(*client, {"GET", key}, key));
  }
  client.reset();
  for (auto& reply : replies) {
    EXPECT_EQ(reply.get().status().code(), absl::StatusCode::kUnavailable);
  }
}

}  // namespace
}  // namespace slipstream::redis
