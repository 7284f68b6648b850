// Several nodes on one Redis: what is published at one reaches the subscribers of all, once and in
// order, whatever becomes of Redis and of the links to it.
#include <algorithm>
#include <atomic>
#include <thread>

#include "libs/status/status.h"
#include "services/notification/notification_engine.h"
#include "services/notification/redis_history_fixture.h"
#include "services/notification/redis_presence.h"
#include "tests/harness/redis_server.h"

namespace slipstream::notification {
namespace {

using Names = std::vector<std::string>;

// A process: a store and an engine.
struct Node {
  Node(const redis::Options& redis, const RedisHistoryOptions& options, const clock::Clock& clock)
      : clock(clock),
        history(redis, options, clock),
        presence(history.client(), clock, {.node_id = absl::StrCat(history.random().Next64())}),
        engine({}, {.store = history.store(),
                    .clock = clock,
                    .random = history.random(),
                    .directory = &presence}) {}

  absl::StatusOr<Appended> TryPublish(const std::string& id,
                                      const std::string& channel = "user:alice",
                                      EventType type = EventType::kSystemAlert,
                                      const std::string& task = "", const std::string& key = "") {
    std::vector<AppendRequest> requests;
    requests.push_back(MakeAppend(clock, id, channel, type, task, key));
    auto out = Await(history.executor(), engine.Publish(std::move(requests)));
    if (!out.ok()) return out.status();
    return out->at(0);
  }
  void Publish(const std::string& id, const std::string& channel = "user:alice",
               EventType type = EventType::kSystemAlert, const std::string& task = "") {
    const auto appended = TryPublish(id, channel, type, task);
    EXPECT_TRUE(appended.ok()) << appended.status();
  }

  UserPresence PresenceOf(const std::string& user) {
    return Await(history.executor(), engine.FindPresence({user})).at(0);
  }

  const clock::Clock& clock;
  RedisHistoryNode history;
  RedisPresence presence;
  NotificationEngine engine;
};

// A subscriber that keeps a ledger.
struct Reader {
  Reader(Node& node, const std::string& user, const std::string& cursor = "") : node(node) {
    link = *node.engine.OpenLink({.single = true});
    SubscriberSpec spec{.id = kOnlySubscriber, .user = user, .credit_count = 1 << 30};
    if (!cursor.empty()) spec.cursor = ParseCursor(cursor);
    const absl::Status subscribed =
        Await(node.history.executor(), node.engine.Subscribe(link, std::move(spec)));
    EXPECT_TRUE(subscribed.ok()) << subscribed;
    Drain();
  }
  ~Reader() { node.engine.CloseLink(link); }

  void Drain() {
    for (LinkMessage& message : node.engine.Take(link, 1000)) {
      if (auto* subscribed = std::get_if<SubscribedMessage>(&message)) {
        starts.push_back(subscribed->recovered);
        cursor = subscribed->cursor;
      } else if (auto* delivery = std::get_if<DeliveryMessage>(&message)) {
        ids.push_back(delivery->event->id);
        cursor = delivery->cursor;
      }
    }
  }
  bool Gets(size_t count) {
    return Eventually([&] {
      Drain();
      return ids.size() >= count;
    });
  }
  // What comes behind everything that was published before.
  Names UpTo(const std::string& id) {
    EXPECT_TRUE(Eventually([&] {
      Drain();
      return std::find(ids.begin(), ids.end(), id) != ids.end();
    })) << id;
    return ids;
  }

  Node& node;
  std::shared_ptr<Link> link;
  Names ids;
  std::vector<bool> starts;  // recovered?
  std::string cursor;
};

class RedisNodesTest : public testing::Test {
 protected:
  void Start(std::vector<std::string> settings = {}) {
    server_ = *tests::RedisServer::Start({.settings = std::move(settings)});
    for (auto* node : {&a_, &b_}) *node = MakeNode();
  }
  std::unique_ptr<Node> MakeNode() {
    return std::make_unique<Node>(redis::Options{.url = server_->url()}, RedisHistoryOptions{},
                                  clock_);
  }
  // Until Redis takes it again; the key keeps it one.
  void PublishInTheEnd(Node& node, const std::string& id) {
    ASSERT_TRUE(Eventually(
        [&] { return node.TryPublish(id, "user:alice", EventType::kSystemAlert, "", id).ok(); }));
  }
  bool EventuallyAttached() {
    return Eventually([&] {
      a_->engine.Tick();
      b_->engine.Tick();
      return !a_->history.store().degraded() && !b_->history.store().degraded();
    });
  }
  static Names Numbers(int from, int to) {
    Names out;
    for (int i = from; i <= to; ++i) out.push_back(std::to_string(i));
    return out;
  }

  clock::SystemClock clock_;
  std::unique_ptr<tests::RedisServer> server_;
  std::unique_ptr<Node> a_, b_;
};

TEST_F(RedisNodesTest, AnEventReachesTheSubscribersOfAllNodesOnceAndInOrder) {
  Start();
  Reader at_a(*a_, "alice"), at_b(*b_, "alice"), bob(*b_, "bob");
  for (int i = 1; i <= 200; ++i) (i % 2 == 0 ? a_ : b_)->Publish(std::to_string(i));
  a_->Publish("to bob", "user:bob");
  a_->Publish("to all", "broadcast");
  Names expected = Numbers(1, 200);
  expected.push_back("to all");
  ASSERT_TRUE(at_a.Gets(201) && at_b.Gets(201) && bob.Gets(2));
  EXPECT_EQ(at_a.ids, expected);
  EXPECT_EQ(at_b.ids, expected);
  EXPECT_EQ(bob.ids, (Names{"to bob", "to all"}));
}

TEST_F(RedisNodesTest, NodesThatPublishAtOnceDeliverOneOrder) {
  Start();
  Reader at_a(*a_, "alice"), at_b(*b_, "alice");
  std::vector<std::thread> publishers;
  for (Node* node : {a_.get(), b_.get()}) {
    for (int t = 0; t < 4; ++t) {
      publishers.emplace_back([node, t, first = a_.get()] {
        for (int i = 0; i < 50; ++i) {
          node->Publish(absl::StrCat(node == first, t, ".", i));
        }
      });
    }
  }
  for (auto& publisher : publishers) publisher.join();
  ASSERT_TRUE(at_a.Gets(400) && at_b.Gets(400));
  EXPECT_EQ(at_a.ids, at_b.ids);
  EXPECT_EQ(at_a.ids.size(), 400u);
}

TEST_F(RedisNodesTest, SubscribersJoinAtAnyMomentWithoutAGap) {
  Start();
  std::atomic<bool> done = false;
  std::thread publisher([&] {
    for (int i = 1; i <= 300; ++i) a_->Publish(std::to_string(i));
    done = true;
  });
  std::vector<std::unique_ptr<Reader>> readers;
  while (!done && readers.size() < 8) readers.push_back(std::make_unique<Reader>(*b_, "alice"));
  publisher.join();
  for (auto& reader : readers) {
    const Names ids = reader->UpTo("300");
    ASSERT_FALSE(ids.empty());
    EXPECT_EQ(ids, Numbers(std::stoi(ids.front()), 300));
  }
}

TEST_F(RedisNodesTest, ACursorOfOneNodeResumesAtAnother) {
  Start();
  std::string cursor;
  {
    Reader reader(*a_, "alice");
    a_->Publish("1");
    ASSERT_TRUE(reader.Gets(1));
    cursor = reader.cursor;
  }
  for (const std::string& id : Numbers(2, 40)) a_->Publish(id);
  Reader resumed(*b_, "alice", cursor);
  EXPECT_EQ(resumed.starts, std::vector<bool>{true});
  EXPECT_EQ(resumed.UpTo("40"), Numbers(2, 40));
}

TEST_F(RedisNodesTest, ProgressIsConflatedAndEndsWithItsTaskAtEveryNode) {
  Start();
  Reader at_b(*b_, "alice");
  a_->Publish("start", "user:alice", EventType::kTaskStarted, "t");
  a_->Publish("p1", "user:alice", EventType::kTaskProgress, "t");
  a_->Publish("p2", "user:alice", EventType::kTaskProgress, "t");
  a_->Publish("done", "user:alice", EventType::kTaskCompleted, "t");
  EXPECT_EQ(at_b.UpTo("done"), (Names{"start", "p1", "p2", "done"}));
  // Looking again brings nothing twice.
  b_->history.store().Tick();
  a_->Publish("next");
  EXPECT_EQ(at_b.UpTo("next").size(), 5u);
}

TEST_F(RedisNodesTest, WhatAHintDoesNotBringIsReadFromTheStream) {
  Start();
  Reader at_b(*b_, "alice");
  a_->Publish("1");
  ASSERT_TRUE(at_b.Gets(1));
  // Its link for hints is cut again and again, its commands are not.
  for (int i = 2; i <= 60; ++i) {
    ASSERT_TRUE(server_->Cli({"CLIENT", "KILL", "TYPE", "pubsub"}).ok());
    a_->Publish(std::to_string(i));
  }
  ASSERT_TRUE(EventuallyAttached());
  EXPECT_EQ(at_b.UpTo("60"), Numbers(1, 60));
  EXPECT_EQ(at_b.starts, std::vector<bool>{true}) << "and it is told of no loss";
}

TEST_F(RedisNodesTest, ARestartThatKeptAllLosesNothingAndSaysSo) {
  Start({"appendonly yes", "appendfsync always"});
  auto at_b = std::make_unique<Reader>(*b_, "alice");
  for (const std::string& id : Numbers(1, 10)) a_->Publish(id);
  ASSERT_TRUE(at_b->Gets(10));
  const std::string old_cursor = at_b->cursor;
  for (int round = 0; round < 3; ++round) {
    server_->Kill();
    EXPECT_FALSE(a_->TryPublish("lost").ok());
    ASSERT_TRUE(server_->Restart().ok());
    for (int i = 1; i <= 5; ++i) PublishInTheEnd(*a_, absl::StrCat(10 + round * 5 + i));
  }
  ASSERT_TRUE(EventuallyAttached());
  EXPECT_EQ(at_b->UpTo("25"), Numbers(1, 25));
  EXPECT_EQ(at_b->starts, std::vector<bool>{true});
  Reader resumed(*a_, "alice", old_cursor);
  EXPECT_EQ(resumed.starts, std::vector<bool>{true}) << "its epoch ended three times, without loss";
  EXPECT_EQ(resumed.UpTo("25"), Numbers(11, 25));
}

TEST_F(RedisNodesTest, ARestartThatLostTheTailIsToldToWhoMayMissIt) {
  Start({"save \"\"", "appendonly no"});
  std::string within, beyond;
  {
    Reader reader(*a_, "alice");
    for (const std::string& id : Numbers(1, 5)) a_->Publish(id);
    ASSERT_TRUE(reader.Gets(5));
    within = reader.cursor;
    ASSERT_TRUE(server_->Cli({"SAVE"}).ok());
    for (const std::string& id : Numbers(6, 9)) a_->Publish(id);
    ASSERT_TRUE(reader.Gets(9));
    beyond = reader.cursor;
  }
  server_->Kill();
  ASSERT_TRUE(server_->Restart().ok());
  // They take the offsets of those that were lost, and one more.
  for (int i = 1; i <= 5; ++i) PublishInTheEnd(*a_, absl::StrCat("new", i));
  const Names news = {"new1", "new2", "new3", "new4", "new5"};
  Reader at_b(*b_, "alice", within);
  EXPECT_EQ(at_b.starts, std::vector<bool>{true});
  EXPECT_EQ(at_b.UpTo("new5"), news);
  Reader after(*b_, "alice", beyond);
  EXPECT_EQ(after.starts, std::vector<bool>{false}) << "6 to 9 are in its past, not in this one's";
  EXPECT_EQ(after.UpTo("new5"), news);
}

TEST_F(RedisNodesTest, AFlushIsToldToOpenSubscribersToo) {
  Start();
  Reader at_b(*b_, "alice");
  for (const std::string& id : Numbers(1, 3)) a_->Publish(id);
  ASSERT_TRUE(at_b.Gets(3));
  const std::string cursor = at_b.cursor;
  ASSERT_TRUE(server_->Cli({"FLUSHALL"}).ok());
  for (const std::string& id : Numbers(4, 6)) a_->Publish(id);
  EXPECT_EQ(at_b.UpTo("6"), Numbers(1, 6));
  EXPECT_EQ(at_b.starts, (std::vector<bool>{true, false}));
  Reader resumed(*a_, "alice", cursor);
  EXPECT_EQ(resumed.starts, std::vector<bool>{false});
  EXPECT_EQ(resumed.UpTo("6"), Numbers(4, 6));
}

TEST_F(RedisNodesTest, ANodeThatLostRedisSaysSoAndRecovers) {
  Start();
  Reader at_a(*a_, "alice"), at_b(*b_, "alice");
  server_->Pause();
  ASSERT_TRUE(Eventually([&] { return a_->engine.Stats("", "").degraded; }));
  const auto refused = a_->TryPublish("x", "user:alice", EventType::kSystemAlert, "", "key-x");
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
  EXPECT_TRUE(status::RetryAfter(refused.status()).has_value());
  server_->Resume();
  ASSERT_TRUE(EventuallyAttached());
  EXPECT_FALSE(a_->engine.Stats("", "").degraded);
  // The paused server may have taken it after all; again, it is the same one.
  ASSERT_TRUE(Eventually([&] {
    return a_->TryPublish("x", "user:alice", EventType::kSystemAlert, "", "key-x").ok();
  }));
  a_->Publish("y");
  EXPECT_EQ(at_a.UpTo("y"), (Names{"x", "y"}));
  EXPECT_EQ(at_b.UpTo("y"), (Names{"x", "y"}));
}

TEST_F(RedisNodesTest, WhatIsAcknowledgedAtOneNodeIsNotSentAgainByAnother) {
  Start();
  Reader first(*a_, "alice");
  const std::string start = first.cursor;
  for (const std::string& id : Numbers(1, 4)) a_->Publish(id);
  ASSERT_TRUE(first.Gets(3));
  const Cursor seen = *ParseCursor(first.cursor);
  const auto pending = Await(a_->history.executor(), a_->engine.Acknowledge("alice", "", seen));
  ASSERT_TRUE(pending.ok());
  Reader second(*b_, "alice", start);
  EXPECT_EQ(second.starts, std::vector<bool>{true});
  EXPECT_EQ(second.ids, Numbers(5 - *pending, 4));
}

TEST_F(RedisNodesTest, OnAClusterHintsAreShardedAndReachAllNodes) {
  auto cluster = *tests::RedisCluster::Start(3);
  const redis::Options redis{.url = cluster->url()};
  Node a(redis, {}, clock_), b(redis, {}, clock_);
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 30; ++i) readers.push_back(std::make_unique<Reader>(b, absl::StrCat(i)));
  // Nothing ticks: what comes, comes by hints.
  for (const std::string& id : Numbers(1, 3)) {
    for (int i = 0; i < 30; ++i) a.Publish(id, absl::StrCat("user:", i));
    a.Publish("all" + id, "broadcast");
  }
  for (auto& reader : readers) {
    ASSERT_TRUE(reader->Gets(6));
    Names own;
    for (const std::string& id : reader->ids) {
      if (id.size() == 1) own.push_back(id);
    }
    EXPECT_EQ(own, Numbers(1, 3));
  }
  size_t channels_count = 0;
  for (int i = 0; i < 3; ++i) {
    const std::string listed = *cluster->node(i).Cli({"PUBSUB", "SHARDCHANNELS"});
    channels_count += static_cast<size_t>(std::count(listed.begin(), listed.end(), '{'));
  }
  EXPECT_EQ(channels_count, RedisPartitions::kCount);
}

TEST_F(RedisNodesTest, PresenceCountsTheConnectionsOfAllNodes) {
  Start();
  EXPECT_FALSE(a_->PresenceOf("alice").known);
  {
    Reader first(*a_, "alice"), second(*b_, "alice"), third(*b_, "alice");
    for (Node* node : {a_.get(), b_.get()}) {
      EXPECT_TRUE(Eventually([&] { return node->PresenceOf("alice").connections_count == 3; }));
      EXPECT_FALSE(node->PresenceOf("bob").known);
    }
  }
  for (Node* node : {a_.get(), b_.get()}) {
    EXPECT_TRUE(Eventually([&] { return node->PresenceOf("alice").connections_count == 0; }));
    EXPECT_TRUE(node->PresenceOf("alice").known);
    EXPECT_TRUE(node->PresenceOf("alice").last_seen_at.has_value());
  }
}

TEST_F(RedisNodesTest, PresenceIsThereAgainAfterRedisLostIt) {
  Start();
  Reader reader(*b_, "alice");
  ASSERT_TRUE(Eventually([&] { return a_->PresenceOf("alice").connections_count == 1; }));
  server_->Kill();
  EXPECT_FALSE(a_->PresenceOf("alice").known) << "of its own node alone while Redis is away";
  EXPECT_EQ(b_->PresenceOf("alice").connections_count, 1);
  ASSERT_TRUE(server_->Restart().ok());
  Reader another(*b_, "alice");
  ASSERT_TRUE(Eventually([&] { return a_->PresenceOf("alice").connections_count == 2; }));
}

TEST_F(RedisNodesTest, ANodeThatEndsTakesItsWordBackAndOneThatDiedIsForgotten) {
  Start();
  auto reader = std::make_unique<Reader>(*b_, "alice");
  ASSERT_TRUE(Eventually([&] { return a_->PresenceOf("alice").connections_count == 1; }));
  // As a node would leave it that died a minute ago.
  const auto keys = server_->Cli({"KEYS", "*u:alice"});
  ASSERT_TRUE(keys.ok());
  const int64_t long_ago = absl::ToUnixMillis(clock_.Now() - 2 * RedisPresence::kLease);
  ASSERT_TRUE(server_->Cli({"HSET", *keys, "died", absl::StrCat("7:", long_ago, ":")}).ok());
  EXPECT_EQ(a_->PresenceOf("alice").connections_count, 1);
  reader.reset();
  b_.reset();
  EXPECT_TRUE(Eventually([&] { return a_->PresenceOf("alice").connections_count == 0; }));
}

}  // namespace
}  // namespace slipstream::notification
