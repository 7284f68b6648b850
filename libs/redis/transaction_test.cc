// MULTI .. EXEC: all or nothing, among the commands of others, in a cluster whose slots move.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/redis/cluster_slots.h"
#include "libs/redis/errors.h"
#include "libs/redis/redis_fixture.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

class TransactionTest : public RedisFixture {
 protected:
  void StartServer(std::vector<std::string> settings = {}) {
    auto server = tests::RedisServer::Start({.settings = std::move(settings)});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::unique_ptr<tests::RedisServer> server_;
};

TEST_F(TransactionTest, EachAnswersInOrderAmongTheCommandsOfOthers) {
  StartServer();
  auto client = Connect(server_->url());
  Replies plain, transactions;
  for (int i = 0; i < 500; ++i) {
    plain.push_back(Send(*client, {"INCR", "n"}));
    transactions.push_back(SendTransaction(
        *client, {{"INCR", "n"}, {"RPUSH", "list", absl::StrCat(i)}, {"GET", "n"}}));
  }
  for (int i = 0; i < 500; ++i) {
    const Reply one = plain[static_cast<size_t>(i)].get();
    ASSERT_TRUE(one.ok()) << one.status();
    EXPECT_EQ(one->integer, 2 * i + 1);
    const Reply all = transactions[static_cast<size_t>(i)].get();
    ASSERT_TRUE(all.ok()) << all.status();
    ASSERT_EQ(all->size(), 3U);
    EXPECT_EQ((*all)[0].integer, 2 * i + 2);
    EXPECT_EQ((*all)[1].integer, i + 1);
    EXPECT_EQ((*all)[2].text, absl::StrCat(2 * i + 2));
  }
  EXPECT_EQ(client->stats().pending_count, 0);
}

TEST_F(TransactionTest, OneThatIsRefusedBeforehandLeavesNothing) {
  StartServer();
  auto client = Connect(server_->url());
  ASSERT_TRUE(Do(*client, {"SET", "big", std::string(4 << 20, 'x')}).ok());
  ASSERT_TRUE(server_->Cli({"CONFIG", "SET", "maxmemory", "1mb"}).ok());
  absl::Status status = SendTransaction(*client, {{"GET", "a"}, {"SET", "a", "1"}}).get().status();
  EXPECT_EQ(status::Reason(status), kOutOfMemory) << status;
  ASSERT_TRUE(server_->Cli({"CONFIG", "SET", "maxmemory", "0"}).ok());
  status = SendTransaction(*client, {{"SET", "a", "1"}, {"NOSUCHCOMMAND"}}).get().status();
  EXPECT_EQ(status::Reason(status), kError);
  EXPECT_NE(status.message().find("NOSUCHCOMMAND"), absl::string_view::npos) << status;
  EXPECT_EQ(*server_->Cli({"EXISTS", "a"}), "0");
  EXPECT_TRUE(SendTransaction(*client, {{"SET", "a", "1"}}).get().ok()) << "the link goes on";
  EXPECT_EQ(client->stats().reconnects_count, 0U);
}

TEST_F(TransactionTest, TheErrorOfOneIsTheAnswer) {
  StartServer();
  auto client = Connect(server_->url());
  const absl::Status status =
      SendTransaction(*client, {{"SET", "a", "text"}, {"INCR", "a"}, {"SET", "b", "1"}})
          .get()
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  EXPECT_NE(status.message().find("not an integer"), absl::string_view::npos) << status;
  EXPECT_EQ(*server_->Cli({"GET", "b"}), "1") << "Redis takes nothing back";
}

TEST_F(TransactionTest, AUserWithoutTheRightIsToldSo) {
  StartServer({"user plain on >secret ~* -@all +@read +@connection +info"});
  std::string url = server_->url();
  url.insert(url.find("://") + 3, "plain:secret@");
  auto client = Connect(url);
  const absl::Status status = SendTransaction(*client, {{"GET", "a"}}).get().status();
  EXPECT_EQ(status::Reason(status), kNoPermission) << status;
  EXPECT_TRUE(Do(*client, {"GET", "a"}).ok()) << "its replies were taken as one";
}

TEST_F(TransactionTest, ASlotThatMovesIsFollowed) {
  auto cluster = tests::RedisCluster::Start(3);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  auto client = Connect((*cluster)->url());
  ASSERT_TRUE(Eventually([&] { return client->connected(); }));
  int n = 0;
  while ((*cluster)->OwnerOf(KeySlot(absl::StrCat("{", n, "}"))) != 0) ++n;
  const std::string key = absl::StrCat("{", n, "}");
  const auto slot = absl::StrCat(KeySlot(key));
  const auto set = [&](int node, std::vector<std::string> words) {
    std::vector<std::string> command = {"CLUSTER", "SETSLOT", slot};
    command.insert(command.end(), words.begin(), words.end());
    ASSERT_TRUE((*cluster)->node(node).Cli(command).ok());
  };
  const auto add = [&] {
    return SendTransaction(*client, {{"RPUSH", key, "x"}, {"RPUSH", key, "y"}}, key).get();
  };
  // On its way: ASK, until the new owner has it.
  set(2, {"IMPORTING", (*cluster)->NodeId(0)});
  set(0, {"MIGRATING", (*cluster)->NodeId(2)});
  Reply reply = add();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ((*reply)[1].integer, 2);
  for (const int node : {2, 0, 1}) set(node, {"NODE", (*cluster)->NodeId(2)});
  reply = add();  // MOVED
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ((*reply)[1].integer, 4) << "each ran once";
  EXPECT_GE(client->stats().redirects_count, 2U);
}

TEST_F(TransactionTest, WhatALostLinkAnswersIsUnavailable) {
  StartServer();
  auto client = Connect(server_->url());
  ASSERT_TRUE(SendTransaction(*client, {{"PING"}}).get().ok());
  server_->Pause();
  auto reply = SendTransaction(*client, {{"SET", "a", "1"}, {"SET", "b", "1"}});
  auto behind = Send(*client, {"PING"});
  const absl::Status status = reply.get().status();
  EXPECT_EQ(status::Reason(status), kUnavailable) << status;
  EXPECT_TRUE(absl::IsUnavailable(behind.get().status()));
  server_->Resume();
  EXPECT_TRUE(Eventually([&] { return SendTransaction(*client, {{"PING"}}).get().ok(); }));
  EXPECT_EQ(client->stats().pending_count, 0);
}

}  // namespace
}  // namespace slipstream::redis
