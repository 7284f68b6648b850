// Commits that replicas must have, on a primary and a replica.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/redis/errors.h"
#include "libs/redis/redis_fixture.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

class ReplicationTest : public RedisFixture {
 protected:
  void SetUp() override {
    primary_ = *tests::RedisServer::Start({.settings = {"repl-diskless-sync-delay 0"}});
    replica_ = *tests::RedisServer::Start(
        {.settings = {absl::StrCat("replicaof 127.0.0.1 ", primary_->port())}});
    ASSERT_TRUE(Eventually([this] {
      const auto role = replica_->Cli({"ROLE"});
      return role.ok() && role->find("connected") != std::string::npos;
    }));
    // A slow machine costs no connection.
    client_ = Connect(Options{
        .url = primary_->url(), .command_timeout = absl::Seconds(20), .wait_replicas_count = 1});
    ASSERT_TRUE(CommitsAgain()) << "the first sync is over";
  }
  std::future<Reply> Commit(const std::string& key) {
    return SendEval(*client_, kSet, {key}, {"1"});
  }
  // After a pause a replica first catches up.
  bool CommitsAgain() {
    return Eventually([this] { return Commit("again").get().ok(); });
  }

  const Script kSet{"return redis.call('SET', KEYS[1], ARGV[1])", true};
  const Script kGet{"return redis.call('GET', KEYS[1])"};
  std::unique_ptr<tests::RedisServer> primary_, replica_;
  std::unique_ptr<Client> client_;
};

TEST_F(ReplicationTest, ACommitIsAnsweredOnceTheReplicaHasIt) {
  const uint64_t before = client_->stats().not_replicated_count;
  for (int i = 0; i < 100; ++i) {
    const std::string key = absl::StrCat("k", i);
    const Reply reply = Commit(key).get();
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text, "OK");
    EXPECT_EQ(*replica_->Cli({"GET", key}), "1") << key;
  }
  EXPECT_EQ(client_->stats().not_replicated_count, before);
}

TEST_F(ReplicationTest, ATransactionIsACommit) {
  const Reply reply = SendTransaction(*client_, {{"SET", "a", "1"}, {"SET", "b", "1"}}).get();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(*replica_->Cli({"GET", "b"}), "1");
  replica_->Pause();
  const absl::Status status = SendTransaction(*client_, {{"SET", "c", "1"}}).get().status();
  EXPECT_EQ(status::Reason(status), kNotReplicated) << status;
  replica_->Resume();
}

TEST_F(ReplicationTest, CommitsOfOneWriteShareAWait) {
  ASSERT_TRUE(Commit("first").get().ok());
  Replies replies;
  for (int i = 0; i < 1'000; ++i) replies.push_back(Commit(absl::StrCat("k", i)));
  for (auto& reply : replies) EXPECT_TRUE(reply.get().ok());
  const std::string stats = *primary_->Cli({"INFO", "commandstats"});
  const size_t at = stats.find("cmdstat_wait:calls=");
  ASSERT_NE(at, std::string::npos) << stats;
  const int waits = std::stoi(stats.substr(at + 19));
  EXPECT_LT(waits, 500) << "as many as writes, and these are batches";
  EXPECT_EQ(*replica_->Cli({"GET", "k999"}), "1");
}

TEST_F(ReplicationTest, WithoutTheReplicaItIsUnavailableInTimeThoughItWasMade) {
  const uint64_t before = client_->stats().not_replicated_count;
  ASSERT_TRUE(Commit("before").get().ok());
  replica_->Pause();
  const auto began = async::After(absl::ZeroDuration());
  std::future<Reply> commit = Commit("during"), next = Commit("next");
  const absl::Status status = commit.get().status();
  const auto took = async::After(absl::ZeroDuration()) - began;
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(status::Reason(status), kNotReplicated);
  EXPECT_TRUE(status::RetryAfter(status).has_value());
  EXPECT_GE(took, std::chrono::milliseconds(190));
  EXPECT_EQ(status::Reason(next.get().status()), kNotReplicated);
  EXPECT_EQ(*primary_->Cli({"GET", "during"}), "1");
  // The connection lives, and what does not commit is answered.
  EXPECT_EQ(SendEval(*client_, kGet, {"during"}, {}).get()->text, "1");
  EXPECT_EQ(client_->stats().reconnects_count, 0u);
  EXPECT_EQ(client_->stats().not_replicated_count, before + 2);
  replica_->Resume();
  EXPECT_TRUE(CommitsAgain());
}

// Commits one after the other while the replica is stopped in the middle, and the primary killed.
TEST_F(ReplicationTest, NothingAcknowledgedIsMissingAtTheReplica) {
  std::vector<std::string> acknowledged;
  int refused_count = 0;
  for (int i = 0; i < 300; ++i) {
    if (i == 100) replica_->Pause();
    if (i == 103) replica_->Resume();
    const std::string key = absl::StrCat("k", i);
    if (Commit(key).get().ok()) {
      acknowledged.push_back(key);
    } else {
      ++refused_count;
    }
  }
  primary_->Kill();
  EXPECT_GE(refused_count, 1);
  EXPECT_GE(acknowledged.size(), 200u);
  for (const std::string& key : acknowledged) EXPECT_EQ(*replica_->Cli({"GET", key}), "1") << key;
}

TEST_F(ReplicationTest, ALostPrimaryAnswersTheCommitsThatWait) {
  ASSERT_TRUE(Commit("before").get().ok());
  replica_->Pause();
  std::future<Reply> commit = Commit("during");
  ASSERT_TRUE(Eventually([this] { return *primary_->Cli({"EXISTS", "during"}) == "1"; }));
  primary_->Kill();
  const absl::Status status = commit.get().status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(client_->stats().pending_count, 0);
}

TEST(ReplicationOptions, AWaitFitsIntoTheTimeOfACommand) {
  async::Runtime runtime(1);
  random::SystemRandom random;
  const auto create = [&](Options options) {
    options.url = "redis://127.0.0.1:1";
    return Client::Create({runtime.executor(), random, logging::Logger()}, options).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(create({.wait_replicas_count = -1})));
  EXPECT_TRUE(absl::IsInvalidArgument(
      create({.wait_replicas_count = 1, .wait_timeout = absl::Milliseconds(301)})));
  EXPECT_TRUE(create({.wait_replicas_count = 1, .wait_timeout = absl::Milliseconds(300)}).ok());
}

}  // namespace
}  // namespace slipstream::redis
