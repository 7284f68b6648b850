// Against a real server that is paused, killed and started again.
#include "libs/redis/client.h"

#include <atomic>
#include <set>

#include "libs/redis/errors.h"
#include "libs/redis/redis_fixture.h"
#include "libs/redis/server_check.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

using tests::RedisServer;

class ClientTest : public RedisFixture {
 protected:
  void SetUp() override {
    auto server = RedisServer::Start({.settings = {"appendonly yes", "appendfsync always"}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::unique_ptr<RedisServer> server_;
};

TEST_F(ClientTest, ACoroutineGetsItsReply) {
  auto client = Connect(server_->url() + "/2");
  auto reply =
      Await<Reply>([&]() -> Async<Reply> { return client->Command("", {"SET", "k", "v"}); });
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_TRUE(reply->is_ok());
  EXPECT_EQ(*server_->Cli({"-n", "2", "GET", "k"}), "v");
  const Script script("return {KEYS[1], ARGV[1], ARGV[2]}");
  reply = Await<Reply>([&]() -> Async<Reply> { return client->Eval(script, {"k"}, {"a", "b"}); });
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ((*reply)[0].text + (*reply)[1].text + (*reply)[2].text, "kab");
}

// What comes in while the client connects waits, and leaves as few writes.
TEST_F(ClientTest, CommandsAreGroupedAndKeepTheirOrder) {
  auto client = Connect(Options{.url = server_->url(), .client_name = "grouped"});
  constexpr int kCount = 20000;
  std::atomic<int> next = 0;
  std::atomic<int> out_of_order = 0;
  std::promise<void> all;
  for (int i = 0; i < kCount; ++i) {
    client->Command("", {"INCR", "n"}, [&, i](Reply reply) {
      if (!reply.ok() || reply->integer != i + 1 || next.load() != i) ++out_of_order;
      if (++next == kCount) all.set_value();
    });
  }
  all.get_future().get();
  EXPECT_EQ(out_of_order.load(), 0);
  const Stats stats = client->stats();
  EXPECT_EQ(stats.commands_count, uint64_t{kCount});
  EXPECT_LT(stats.writes_count, uint64_t{kCount} / 10);
  EXPECT_EQ(stats.pending_count, 0);
  uint64_t counted = 0;
  for (const uint64_t n : stats.round_trip_buckets) counted += n;
  EXPECT_EQ(counted, uint64_t{kCount});
  EXPECT_GT(stats.round_trip_sum, absl::ZeroDuration());
  EXPECT_NE(server_->Cli({"CLIENT", "LIST"})->find("name=grouped"), std::string::npos);
}

TEST_F(ClientTest, AnswersAreNeverInline) {
  auto client = Connect(server_->url());
  ASSERT_TRUE(Do(*client, {"PING"}).ok());
  sync::Mutex mutex;
  std::promise<void> done;
  {
    sync::MutexLock lock(mutex);  // a callback that ran inline would lock it twice
    client->Command("", {"PING"}, [&](Reply) {
      sync::MutexLock inner(mutex);
      done.set_value();
    });
  }
  done.get_future().get();
}

TEST_F(ClientTest, AScriptIsLoadedInTheMiddleOfAPipeline) {
  auto client = Connect(server_->url());
  const Script script("return redis.call('INCR', KEYS[1])");
  for (int round = 0; round < 2; ++round) {
    Replies replies;
    for (int i = 0; i < 100; ++i) {
      replies.push_back(Send(*client, {"PING"}));
      replies.push_back(SendEval(*client, script, {"n"}, {}));
      if (i == 50) replies.push_back(Send(*client, {"SCRIPT", "FLUSH"}));
    }
    for (auto& reply : replies) {
      const Reply r = reply.get();
      EXPECT_TRUE(r.ok()) << r.status();
    }
  }
  EXPECT_EQ(*server_->Cli({"GET", "n"}), "200");  // each ran once
  EXPECT_GE(client->stats().scripts_loaded_count, 2U);
}

TEST_F(ClientTest, AScriptsErrorIsItsOwn) {
  auto client = Connect(server_->url());
  const Reply reply =
      SendEval(*client, Script("return redis.error_reply('MY reason')"), {}, {}).get();
  EXPECT_EQ(status::Reason(reply.status()), kError);
  EXPECT_NE(reply.status().message().find("MY reason"), absl::string_view::npos);
  EXPECT_EQ(client->stats().errors_count, 1U);
}

TEST_F(ClientTest, AnyBytesUpToMegabytes) {
  auto client = Connect(server_->url());
  std::string bytes(1 << 20, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 256);
  Replies replies;
  for (int i = 0; i < 8; ++i) {
    replies.push_back(Send(*client, {"SET", "k" + std::to_string(i), bytes}));
    replies.push_back(Send(*client, {"GET", "k" + std::to_string(i)}));
  }
  for (size_t i = 0; i < replies.size(); ++i) {
    const Reply reply = replies[i].get();
    ASSERT_TRUE(reply.ok()) << reply.status();
    if (i % 2 == 1) EXPECT_TRUE(reply->text == bytes);
  }
  // A script with thousands of arguments.
  const std::vector<std::string> args(20000, std::string(100, 'x'));
  const Reply count = SendEval(*client, Script("return #ARGV"), {"k"}, args).get();
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(count->integer, 20000);
}

TEST_F(ClientTest, AHungServerIsUnavailableWithinASecondAndComesBack) {
  auto client = Connect(server_->url());
  ASSERT_TRUE(Do(*client, {"PING"}).ok());
  server_->Pause();
  const sync::Deadline second(absl::Seconds(1));
  Replies replies;
  for (int i = 0; i < 10; ++i) replies.push_back(Send(*client, {"INCR", "n"}));
  for (auto& reply : replies) {
    const absl::Status status = reply.get().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_EQ(status::Reason(status), kUnavailable);
    EXPECT_EQ(status::Metadata(status, kSent), "true");
    EXPECT_TRUE(status::RetryAfter(status).has_value());
  }
#ifndef SLIPSTREAM_TSAN
  EXPECT_FALSE(second.Passed());
#endif
  EXPECT_FALSE(client->connected());
  EXPECT_EQ(client->stats().timeouts_count, 10U);
  // While it hangs nothing is sent.
  const absl::Status waited = Do(*client, {"INCR", "n"}).status();
  EXPECT_EQ(status::Metadata(waited, kSent), "false") << waited;
  server_->Resume();
  ASSERT_TRUE(Eventually([&] { return Do(*client, {"PING"}).ok(); }));
  EXPECT_TRUE(client->connected());
  EXPECT_GE(client->stats().reconnects_count, 1U);
}

TEST_F(ClientTest, KilledAndStartedAgain) {
  auto client = Connect(server_->url());
  ASSERT_TRUE(Do(*client, {"PING"}).ok());
  std::atomic<int> answers = 0;
  std::atomic<int> succeeded = 0;
  constexpr int kCount = 5000;
  for (int i = 0; i < kCount; ++i) {
    client->Command("", {"INCR", "n"}, [&](Reply reply) {
      if (reply.ok()) ++succeeded;
      ++answers;
    });
    if (i == kCount / 2) server_->Kill();
  }
  ASSERT_TRUE(Eventually([&] { return answers.load() == kCount; }));
  EXPECT_LT(succeeded.load(), kCount);
  EXPECT_EQ(client->stats().pending_count, 0);
  ASSERT_TRUE(server_->Restart().ok());
  Reply n = absl::UnknownError("");
  ASSERT_TRUE(Eventually([&] {
    n = Do(*client, {"GET", "n"});
    return n.ok();
  }));
  // An answered write is on disk (appendfsync always); none was sent twice.
  const int stored = n->is_nil() ? 0 : std::stoi(n->text);
  EXPECT_GE(stored, succeeded.load());
  EXPECT_LE(stored, kCount);
  EXPECT_EQ(answers.load(), kCount);
}

// The server is down for less than the timeout: who has waited is served.
TEST_F(ClientTest, WhatWasNotSentWaitsForTheServer) {
  auto client = Connect(Options{.url = server_->url(), .command_timeout = absl::Seconds(20)});
  ASSERT_TRUE(Do(*client, {"PING"}).ok());
  server_->Kill();
  ASSERT_TRUE(Eventually([&] { return !client->connected(); }));
  auto reply = Send(*client, {"INCR", "n"});
  ASSERT_TRUE(server_->Restart().ok());
  const Reply r = reply.get();
  EXPECT_TRUE(r.ok()) << r.status();
}

TEST_F(ClientTest, TheQueueIsBounded) {
  auto client = Connect(Options{.url = server_->url(), .max_queued_count = 10});
  ASSERT_TRUE(Do(*client, {"PING"}).ok());
  server_->Pause();
  Replies replies;
  for (int i = 0; i < 11; ++i) replies.push_back(Send(*client, {"PING"}));
  const absl::Status status = replies.back().get().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(status::Reason(status), kQueueFull);
  EXPECT_EQ(client->stats().refused_count, 1U);
  EXPECT_EQ(client->stats().pending_count, 10);
  server_->Resume();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(replies[static_cast<size_t>(i)].get().ok()) << i;
  EXPECT_TRUE(Do(*client, {"PING"}).ok());

  auto by_bytes = Connect(Options{.url = server_->url(), .max_queued_bytes = 10000});
  ASSERT_TRUE(Do(*by_bytes, {"SET", "k", std::string(100000, 'x')}).ok());  // alone it may pass
  server_->Pause();
  auto first = Send(*by_bytes, {"SET", "k", std::string(9000, 'x')});
  EXPECT_EQ(status::Reason(Do(*by_bytes, {"SET", "k", std::string(9000, 'x')}).status()),
            kQueueFull);
  server_->Resume();
  EXPECT_TRUE(first.get().ok());
}

TEST_F(ClientTest, TheEndAnswersWhatIsPending) {
  auto client = Connect(server_->url());
  ASSERT_TRUE(Do(*client, {"PING"}).ok());
  server_->Pause();
  std::atomic<int> unavailable = 0;
  for (int i = 0; i < 1000; ++i) {
    client->Command("", {"PING"}, [&](Reply reply) {
      if (reply.status().code() == absl::StatusCode::kUnavailable) ++unavailable;
    });
  }
  client.reset();
  EXPECT_EQ(unavailable.load(), 1000);
}

TEST_F(ClientTest, TheEndWhileNothingListens) {
  server_->Kill();
  auto client = Connect(server_->url());
  auto reply = Send(*client, {"PING"});
  client.reset();
  EXPECT_EQ(status::Metadata(reply.get().status(), kSent), "false");
}

TEST_F(ClientTest, NobodyListensSaysSo) {
  server_->Kill();
  auto client = Connect(Options{.url = server_->url(), .command_timeout = absl::Milliseconds(200)});
  const absl::Status status = Do(*client, {"PING"}).status();
  EXPECT_EQ(status::Reason(status), kUnavailable);
  EXPECT_NE(status.message().find("Connection refused"), absl::string_view::npos) << status;
}

TEST_F(ClientTest, OutOfMemory) {
  ASSERT_TRUE(server_->Cli({"CONFIG", "SET", "maxmemory", "1"}).ok());
  auto client = Connect(server_->url());
  const absl::Status status = Do(*client, {"SET", "k", "v"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(status::Reason(status), kOutOfMemory);
  const absl::Status in_script =
      SendEval(*client, Script("return redis.call('SET', KEYS[1], 'v')"), {"k"}, {}).get().status();
  EXPECT_EQ(status::Reason(in_script), kOutOfMemory) << in_script;
}

TEST_F(ClientTest, ServerCheck) {
  auto client = Connect(server_->url());
  const auto check = [&] {
    return Await<absl::StatusOr<ServerReport>>(
        [&]() -> Async<absl::StatusOr<ServerReport>> { return CheckServer(*client); });
  };
  auto report = check();
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_EQ(report->nodes.size(), 1U);
  const NodeReport& node = report->nodes[0];
  EXPECT_EQ(node.address, server_->address());
  EXPECT_EQ(node.role, "master");
  EXPECT_EQ(node.maxmemory_policy, "noeviction");
  EXPECT_TRUE(node.aof_enabled);
  EXPECT_EQ(node.appendfsync, "always");
  EXPECT_FALSE(node.rdb_enabled);
  EXPECT_TRUE(report->sharded_pubsub);
  EXPECT_TRUE(report->persistent);
  EXPECT_TRUE(report->warnings.empty());
  EXPECT_TRUE(RequireNoEviction(*report).ok());

  ASSERT_TRUE(server_->Cli({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"}).ok());
  ASSERT_TRUE(server_->Cli({"CONFIG", "SET", "appendonly", "no"}).ok());
  report = check();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_FALSE(report->persistent);
  ASSERT_EQ(report->warnings.size(), 1U);
  EXPECT_NE(report->warnings[0].find("appendonly yes"), std::string::npos);
  const absl::Status evicts = RequireNoEviction(*report);
  EXPECT_EQ(status::Reason(evicts), kEvicts);
  EXPECT_NE(evicts.message().find("CONFIG SET maxmemory-policy noeviction"),
            absl::string_view::npos);

  ASSERT_TRUE(server_->Cli({"REPLICAOF", "127.0.0.1", "1"}).ok());
  EXPECT_EQ(status::Reason(check().status()), kNotPrimary);
}

TEST_F(ClientTest, EachNewConnectionIsGreetedFirst) {
  auto client = Connect({.url = server_->url(),
                         .greeting = {{"EVAL", "return redis.call('INCR', KEYS[1])", "1", "met"}}});
  EXPECT_EQ(Do(*client, {"GET", "met"})->text, "1");
  ASSERT_TRUE(server_->Cli({"CLIENT", "KILL", "TYPE", "normal"}).ok());
  ASSERT_TRUE(Eventually([&] {
    auto reply = Do(*client, {"GET", "met"});
    return reply.ok() && reply->text == "2";
  }));
}

TEST_F(ClientTest, AGreetingThatFailsIsNoConnection) {
  auto client = Connect({.url = server_->url(), .greeting = {{"NONSENSE"}}});
  EXPECT_FALSE(Do(*client, {"PING"}).ok());
  EXPECT_FALSE(client->connected());
}

TEST_F(ClientTest, BadOptionsAreRefused) {
  const auto refused = [&](Options options) {
    return status::Reason(
        Client::Create({runtime_.executor(), random_, logging::Logger()}, std::move(options))
            .status());
  };
  EXPECT_EQ(refused({.url = "nonsense"}), kUrlInvalid);
  EXPECT_EQ(refused({.url = "redis://h", .client_name = "a b"}), kOptionInvalid);
  EXPECT_EQ(refused({.url = "redis://h", .command_timeout = absl::ZeroDuration()}), kOptionInvalid);
  EXPECT_EQ(refused({.url = "rediss://h", .ca_file = "/nowhere/ca"}), kOptionInvalid);
  EXPECT_EQ(refused({.url = "redis://h", .max_queued_count = 0}), kOptionInvalid);
}

}  // namespace
}  // namespace slipstream::redis
