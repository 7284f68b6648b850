#include "services/notification/notification_engine.h"

#include <atomic>
#include <functional>
#include <set>
#include <thread>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"
#include "services/notification/engine_testing.h"
#include "services/notification/memory_history_store.h"

namespace slipstream::notification {
namespace {

using Names = std::vector<std::string>;
constexpr int64_t kManyCredits = 1 << 30;

// A reader as a stream is: takes what the link has, and keeps a ledger.
struct Reader {
  std::shared_ptr<Link> link;
  Names ids;
  std::vector<Position> positions;
  std::string cursor;
  std::optional<bool> recovered;
  std::optional<CloseReason> closed;
  bool told_to_reconnect = false;

  void Drain(NotificationEngine& engine, size_t max_count = 1000) {
    for (LinkMessage& message : engine.Take(link, max_count)) {
      if (auto* subscribed = std::get_if<SubscribedMessage>(&message)) {
        recovered = subscribed->recovered;
        cursor = subscribed->cursor;
      } else if (auto* delivery = std::get_if<DeliveryMessage>(&message)) {
        ids.push_back(delivery->event->id);
        positions.push_back(delivery->event->position);
        cursor = delivery->cursor;
      } else if (auto* end = std::get_if<ClosedMessage>(&message)) {
        closed = end->reason;
        cursor = end->cursor;
      } else if (auto* drain = std::get_if<DrainMessage>(&message)) {
        told_to_reconnect = true;
        cursor = drain->cursor;
      }
    }
  }
};

// The memory store, and what happens just before and after it is read.
class HookedStore final : public HistoryStore {
 public:
  explicit HookedStore(HistoryStore& store) : store_(store) {}

  Async<absl::StatusOr<std::vector<Appended>>> Append(
      std::vector<AppendRequest> requests) override {
    return store_.Append(std::move(requests));
  }
  Async<absl::StatusOr<std::vector<ReadResult>>> Read(std::vector<ReadRequest> requests) override {
    if (before_read) co_await before_read();
    auto out = co_await store_.Read(std::move(requests));
    if (after_read) co_await after_read();
    co_return out;
  }
  Async<absl::StatusOr<std::vector<int>>> Acknowledge(
      std::vector<AcknowledgeRequest> requests) override {
    return store_.Acknowledge(std::move(requests));
  }
  void Tick() override { store_.Tick(); }
  HistoryStats Stats() const override { return store_.Stats(); }
  std::string_view name() const override { return "hooked"; }

  std::function<Async<void>()> before_read, after_read;

 private:
  HistoryStore& store_;
};

class NotificationEngineTest : public testing::Test {
 protected:
  explicit NotificationEngineTest(EngineOptions options = {}) { Restart(options); }

  // A new process: the history is gone.
  void Restart(EngineOptions options = {}) {
    engine_.reset();
    store_ = std::make_unique<MemoryHistoryStore>(MemoryHistoryOptions{}, clock_, random_);
    hooked_ = std::make_unique<HookedStore>(*store_);
    engine_ = std::make_unique<NotificationEngine>(
        options, NotificationEngine::Deps{*hooked_, clock_, random_});
  }
  std::vector<Appended> Publish(std::vector<AppendRequest> requests) {
    auto out = Await(runtime_.executor(), engine_->Publish(std::move(requests)));
    EXPECT_TRUE(out.ok()) << out.status();
    return *std::move(out);
  }
  Appended Publish(const std::string& id, const std::string& channel = "user:alice",
                   EventType type = EventType::kSystemAlert, const std::string& task = "") {
    std::vector<AppendRequest> requests;
    requests.push_back(MakeAppend(clock_, id, channel, type, task));
    return Publish(std::move(requests)).at(0);
  }
  UserPresence PresenceOf(const std::string& user) {
    return Await(runtime_.executor(), engine_->FindPresence({user})).at(0);
  }
  Reader Open(LinkOptions options = {.single = true}) {
    Reader reader;
    reader.link = *engine_->OpenLink(options);
    return reader;
  }
  absl::Status TrySubscribe(Reader& reader, SubscriberSpec spec) {
    if (spec.id == 0) spec.id = kOnlySubscriber;
    if (spec.credit_count == 0) spec.credit_count = kManyCredits;
    return Await(runtime_.executor(), engine_->Subscribe(reader.link, std::move(spec)));
  }
  Reader Subscribe(const std::string& user, const std::string& cursor = "",
                   const std::string& tenant = "") {
    Reader reader = Open();
    SubscriberSpec spec{.user = user, .tenant = tenant};
    if (!cursor.empty()) spec.cursor = ParseCursor(cursor);
    EXPECT_TRUE(TrySubscribe(reader, spec).ok());
    reader.Drain(*engine_);
    return reader;
  }

  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  async::Runtime runtime_{4};
  std::unique_ptr<MemoryHistoryStore> store_;
  std::unique_ptr<HookedStore> hooked_;
  std::unique_ptr<NotificationEngine> engine_;
};

TEST_F(NotificationEngineTest, DeliversToItsChannelsAlone) {
  Reader alice = Subscribe("alice", "", "acme");
  Reader bob = Subscribe("bob", "", "other");
  Publish("to alice", "user:alice");
  Publish("to bob", "user:bob");
  Publish("to acme", "tenant:acme");
  Publish("to all", "broadcast");
  alice.Drain(*engine_);
  bob.Drain(*engine_);
  EXPECT_EQ(alice.ids, (Names{"to alice", "to acme", "to all"}));
  EXPECT_EQ(bob.ids, (Names{"to bob", "to all"}));
  EXPECT_EQ(alice.recovered, true);
}

TEST_F(NotificationEngineTest, ResumesAtEveryOffset) {
  std::vector<std::string> cursors = {Subscribe("alice").cursor};
  Reader watcher = Subscribe("alice");
  for (int i = 1; i <= 60; ++i) {
    // Progress in between takes no place among the 50.
    Publish("p", "user:alice", EventType::kTaskProgress, "running");
    Publish("e" + std::to_string(i), i % 3 == 0 ? "broadcast" : "user:alice",
            EventType::kTaskCompleted, "t" + std::to_string(i));
    watcher.Drain(*engine_);
    cursors.push_back(watcher.cursor);
  }
  for (int from = 0; from <= 60; ++from) {
    Reader reader = Subscribe("alice", cursors[static_cast<size_t>(from)]);
    EXPECT_EQ(reader.recovered, true) << from;
    Names expected;
    for (int i = from + 1; i <= 60; ++i) expected.push_back("e" + std::to_string(i));
    std::set<std::string> got;
    int progress = 0;
    for (const std::string& id : reader.ids) {
      if (id == "p") {
        ++progress;
      } else {
        EXPECT_TRUE(got.insert(id).second) << "twice: " << id;
      }
    }
    EXPECT_EQ(got, (std::set<std::string>(expected.begin(), expected.end()))) << from;
    EXPECT_LE(progress, 1);
    engine_->CloseLink(reader.link);
  }
}

TEST_F(NotificationEngineTest, WhatComesBetweenHistoryAndLiveIsNeitherLostNorRepeated) {
  const std::string cursor = Subscribe("alice").cursor;
  const auto publish = [this](const char* id) {
    return [this, id]() -> Async<void> {
      std::vector<AppendRequest> requests;
      requests.push_back(MakeAppend(clock_, id, "user:alice"));
      const auto published = co_await engine_->Publish(std::move(requests));
      EXPECT_TRUE(published.ok()) << published.status();
    };
  };
  hooked_->before_read = publish("before the read");
  hooked_->after_read = publish("after the read");
  Reader reader = Subscribe("alice", cursor);
  EXPECT_EQ(reader.ids, (Names{"before the read", "after the read"}));
  EXPECT_EQ(reader.recovered, true);
}

TEST_F(NotificationEngineTest, SaysWhenSomethingMayBeMissing) {
  Reader reader = Subscribe("alice");
  const std::string start = reader.cursor;
  for (int i = 1; i <= 51; ++i) Publish("e" + std::to_string(i));
  Reader late = Subscribe("alice", start);
  EXPECT_EQ(late.recovered, false);
  EXPECT_EQ(late.ids.size(), 50u);
  EXPECT_EQ(late.ids.front(), "e2");
}

TEST_F(NotificationEngineTest, ANewEpochIsNeverTakenForCompleteness) {
  Reader reader = Subscribe("alice");
  Publish("before");
  reader.Drain(*engine_);
  Restart();
  Publish("after");
  Reader resumed = Subscribe("alice", reader.cursor);
  EXPECT_EQ(resumed.recovered, false);
  EXPECT_EQ(resumed.ids, Names{"after"});
  // From then on the new epoch counts.
  Publish("more");
  Reader again = Subscribe("alice", resumed.cursor);
  EXPECT_EQ(again.recovered, true);
  EXPECT_EQ(again.ids, Names{"more"});
}

TEST_F(NotificationEngineTest, AnothersCursorShowsNothingOfTheOther) {
  Publish("secret", "user:bob");
  Reader bob = Subscribe("bob");
  Publish("mine", "user:alice");
  Reader alice = Subscribe("alice", bob.cursor);
  EXPECT_EQ(alice.recovered, false);
  EXPECT_EQ(alice.ids, Names{"mine"});
}

TEST_F(NotificationEngineTest, AcknowledgedOnOneDeviceIsNotReplayedToAnother) {
  Reader phone = Subscribe("alice");
  const std::string start = phone.cursor;
  for (const char* id : {"e1", "e2", "e3"}) Publish(id);
  phone.Drain(*engine_, 2);
  auto pending =
      Await(runtime_.executor(), engine_->Acknowledge("alice", "", *ParseCursor(phone.cursor)));
  ASSERT_TRUE(pending.ok());
  EXPECT_EQ(*pending, 1);
  Reader laptop = Subscribe("alice", start);
  EXPECT_EQ(laptop.recovered, true);
  EXPECT_EQ(laptop.ids, Names{"e3"});
}

TEST_F(NotificationEngineTest, OnlyTheTypesAskedFor) {
  Reader reader = Open();
  ASSERT_TRUE(
      TrySubscribe(reader, {.user = "alice", .types = TypeBit(EventType::kTaskFailed)}).ok());
  Publish("s", "user:alice", EventType::kTaskStarted, "t");
  Publish("f", "user:alice", EventType::kTaskFailed, "t");
  Publish("a");
  reader.Drain(*engine_);
  EXPECT_EQ(reader.ids, Names{"f"});
}

TEST_F(NotificationEngineTest, CreditBoundsWhatIsSentAndProgressIsConflatedMeanwhile) {
  Reader reader = Open({.single = false});
  ASSERT_TRUE(TrySubscribe(reader, {.id = 7, .user = "alice", .credit_count = 2}).ok());
  Publish("e1");
  for (int i = 0; i < 10; ++i) {
    Publish("p" + std::to_string(i), "user:alice", EventType::kTaskProgress, "t");
  }
  Publish("done", "user:alice", EventType::kTaskCompleted, "t");
  reader.Drain(*engine_);
  EXPECT_EQ(reader.ids, (Names{"e1", "p0"}));
  engine_->AddCredit(reader.link, {7}, 10);
  reader.Drain(*engine_);
  EXPECT_EQ(reader.ids, (Names{"e1", "p0", "p9", "done"}));
  EXPECT_EQ(engine_->Stats("", "").figures.conflated_count, 8);
}

TEST_F(NotificationEngineTest, ASlowReaderIsClosedWithItsCursorAndTheOthersGoOn) {
  EngineOptions options;
  options.registry.subscriber_queue_bytes = 20'000;
  Restart(options);
  Reader slow = Open({.single = true, .max_queued_bytes = 5'000});
  ASSERT_TRUE(TrySubscribe(slow, {.user = "alice"}).ok());
  Reader fast = Subscribe("alice");
  for (int i = 1; i <= 100; ++i) {
    std::vector<AppendRequest> requests;
    requests.push_back(MakeAppend(clock_, "e" + std::to_string(i), "user:alice"));
    requests[0].event.encoded.assign(1000, 'x');
    Publish(std::move(requests));
    fast.Drain(*engine_);
  }
  EXPECT_EQ(fast.ids.size(), 100u);
  slow.Drain(*engine_);
  EXPECT_EQ(slow.closed, CloseReason::kSlowReader);
  ASSERT_FALSE(slow.ids.empty());
  EXPECT_LT(slow.ids.size(), 30u);
  EXPECT_EQ(slow.cursor.substr(0, slow.cursor.find('.')),
            "u" + FormatPosition(slow.positions.back()));
  EXPECT_EQ(engine_->Stats("", "").queue_bytes, 0);
  EXPECT_EQ(engine_->Stats("", "").connections_count, 1);
}

TEST_F(NotificationEngineTest, AFullLinkGoesOnWhenItHasRoom) {
  Reader reader = Open({.single = true, .max_queued_bytes = 1'000});
  ASSERT_TRUE(TrySubscribe(reader, {.user = "alice"}).ok());
  Names expected;
  for (int i = 0; i < 100; ++i) {
    expected.push_back("e" + std::to_string(i));
    Publish(expected.back());
  }
  for (int i = 0; i < 200; ++i) reader.Drain(*engine_, 2);
  EXPECT_EQ(reader.ids, expected);
}

TEST_F(NotificationEngineTest, OneDeliveryForAllReceiversOfALink) {
  Reader edge = Open({.single = false});
  for (uint64_t id = 1; id <= 5; ++id) {
    ASSERT_TRUE(TrySubscribe(edge, {.id = id, .user = "u" + std::to_string(id)}).ok());
  }
  edge.Drain(*engine_);
  Publish("all", "broadcast");
  const auto messages = engine_->Take(edge.link, 100);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(std::get<DeliveryMessage>(messages[0]).subscriber_ids.size(), 5u);
}

TEST_F(NotificationEngineTest, Bounds) {
  EngineOptions options;
  options.registry.max_subscribers_count = 3;
  options.registry.max_connections_per_user_count = 2;
  Restart(options);
  Reader edge = Open({.single = false});
  EXPECT_TRUE(TrySubscribe(edge, {.id = 1, .user = "alice"}).ok());
  EXPECT_TRUE(TrySubscribe(edge, {.id = 2, .user = "alice"}).ok());
  EXPECT_EQ(status::Reason(TrySubscribe(edge, {.id = 3, .user = "alice"})), "TOO_MANY_CONNECTIONS");
  EXPECT_EQ(status::Reason(TrySubscribe(edge, {.id = 2, .user = "bob"})), "SUBSCRIBER_ID_IN_USE");
  EXPECT_TRUE(TrySubscribe(edge, {.id = 3, .user = "bob"}).ok());
  EXPECT_EQ(status::Reason(TrySubscribe(edge, {.id = 4, .user = "carol"})), "TOO_MANY_SUBSCRIBERS");
  engine_->Unsubscribe(edge.link, 3);
  EXPECT_TRUE(TrySubscribe(edge, {.id = 4, .user = "carol"}).ok());
}

TEST_F(NotificationEngineTest, AnExpiredTokenEndsItsSubscriberUnlessRefreshed) {
  Reader edge = Open({.single = false});
  const absl::Time exp = clock_.Now() + absl::Minutes(5);
  for (uint64_t id : {1, 2}) {
    ASSERT_TRUE(TrySubscribe(edge, {.id = id, .user = "alice", .token_expires_at = exp}).ok());
  }
  EXPECT_FALSE(engine_->Refresh(edge.link, 2, "bob", "", exp + absl::Hours(1)));
  EXPECT_FALSE(engine_->Refresh(edge.link, 2, "alice", "rival", exp + absl::Hours(1)));
  EXPECT_TRUE(engine_->Refresh(edge.link, 2, "alice", "", exp + absl::Hours(1)));
  clock_.Advance(absl::Minutes(6));
  engine_->Tick();
  EXPECT_EQ(engine_->Stats("", "").connections_count, 2) << "the leeway holds";
  clock_.Advance(absl::Seconds(1));
  engine_->Tick();
  edge.Drain(*engine_);
  EXPECT_EQ(edge.closed, CloseReason::kTokenExpired);
  EXPECT_EQ(engine_->Stats("", "").connections_count, 1);
}

TEST_F(NotificationEngineTest, PresenceFollowsTheConnections) {
  EXPECT_FALSE(PresenceOf("alice").known);
  Reader reader = Subscribe("alice", "", "acme");
  EXPECT_EQ(PresenceOf("alice").connections_count, 1);
  EXPECT_EQ(PresenceOf("alice").tenant, "acme");
  engine_->CloseLink(reader.link);
  const absl::Time left = clock_.Now();
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(PresenceOf("alice").connections_count, 0);
  EXPECT_EQ(PresenceOf("alice").last_seen_at, left);
}

TEST_F(NotificationEngineTest, StatsByUserAndTenant) {
  Reader alice = Subscribe("alice", "", "acme");
  Reader bob = Subscribe("bob", "", "acme");
  Publish("e", "user:alice", EventType::kTaskStarted, "t");
  Publish("t", "tenant:acme");
  EXPECT_EQ(engine_->Stats("", "").figures.delivered_count, 3);
  EXPECT_EQ(engine_->Stats("alice", "").figures.delivered_count, 2);
  EXPECT_EQ(engine_->Stats("bob", "").figures.delivered_count, 1);
  EXPECT_EQ(engine_->Stats("", "acme").figures.delivered_count, 3);
  EXPECT_EQ(engine_->Stats("", "acme").users_count, 2);
  EXPECT_EQ(engine_->Stats("nobody", "").figures.delivered_count, 0);
  EXPECT_EQ(engine_->Stats("alice", "").figures.published[0], 1);
}

TEST_F(NotificationEngineTest, DrainSendsEveryReaderAwayWithItsCursor) {
  std::vector<Reader> readers;
  for (int i = 0; i < 4; ++i) readers.push_back(Subscribe("user" + std::to_string(i)));
  Reader edge = Open({.single = false});
  engine_->BeginDrain(absl::Seconds(4));
  EXPECT_EQ(engine_->OpenLink({}).status().code(), absl::StatusCode::kUnavailable);
  edge.Drain(*engine_);
  EXPECT_TRUE(edge.told_to_reconnect);
  int ended = 0;
  for (int step = 0; step < 5; ++step) {
    engine_->Tick();
    int now_ended = 0;
    for (Reader& reader : readers) now_ended += reader.link->ended() ? 1 : 0;
    EXPECT_GE(now_ended, ended);
    EXPECT_LE(now_ended - ended, 2) << "spread over the window";
    ended = now_ended;
    EXPECT_EQ(engine_->drained(), step == 4);
    clock_.Advance(absl::Seconds(1));
  }
  for (Reader& reader : readers) {
    const std::string before = reader.cursor;
    reader.Drain(*engine_);
    EXPECT_TRUE(reader.told_to_reconnect);
    EXPECT_EQ(reader.cursor, before);
  }
}

// Publishers, and readers that come and go, all at once: every ledger is contiguous.
TEST_F(NotificationEngineTest, ConcurrentPublishersAndResumingReadersKeepContiguousLedgers) {
  EngineOptions options;
  options.registry.max_connections_per_user_count = 100;
  Restart(options);
  constexpr int kPublishers = 3;
  constexpr int kEach = 400;
  constexpr int kReaders = 6;
  std::atomic<int> published{0};
  const std::string start = Subscribe("alice").cursor;
  std::vector<std::thread> threads;
  for (int p = 0; p < kPublishers; ++p) {
    threads.emplace_back([&, p] {
      for (int i = 0; i < kEach; ++i) {
        std::vector<AppendRequest> requests;
        requests.push_back(MakeAppend(clock_, std::to_string(p) + "-" + std::to_string(i),
                                      i % 2 == 0 ? "user:alice" : "broadcast",
                                      EventType::kTaskCompleted, "t"));
        requests.push_back(MakeAppend(clock_, "p", "user:alice", EventType::kTaskProgress, "t"));
        auto out = Await(runtime_.executor(), engine_->Publish(std::move(requests)));
        ASSERT_TRUE(out.ok()) << out.status();
        ++published;
      }
    });
  }
  for (int r = 0; r < kReaders; ++r) {
    threads.emplace_back([&, r] {
      std::string cursor = start;
      int round = 0;
      while (published < kPublishers * kEach) {
        Reader reader = Open();
        SubscriberSpec spec{.user = "alice", .cursor = ParseCursor(cursor)};
        ASSERT_TRUE(TrySubscribe(reader, spec).ok());
        Cursor expected = *ParseCursor(cursor);
        bool first = true;
        for (int i = 0; i < 20 + 10 * r; ++i) {
          for (LinkMessage& message : engine_->Take(reader.link, 3)) {
            if (auto* subscribed = std::get_if<SubscribedMessage>(&message)) {
              ASSERT_TRUE(first);
              first = false;
              if (subscribed->recovered) {
                ASSERT_EQ(subscribed->cursor, cursor) << "round " << round;
              }
              expected = *ParseCursor(subscribed->cursor);
              cursor = subscribed->cursor;
            } else if (auto* delivery = std::get_if<DeliveryMessage>(&message)) {
              cursor = delivery->cursor;
              if (!delivery->event->position.is_set()) continue;
              Position& at = expected[Index(delivery->event->channel.kind)];
              ++at.offset;
              ASSERT_EQ(delivery->event->position, at) << "round " << round;
            }
          }
          std::this_thread::yield();
        }
        engine_->CloseLink(reader.link);
        ++round;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(
      engine_->Stats("", "").figures.published[static_cast<size_t>(EventType::kTaskCompleted)],
      kPublishers * kEach);
}

class RateTest : public NotificationEngineTest {
 protected:
  RateTest() : NotificationEngineTest({.registry = {.user_messages_per_minute_count = 10}}) {}
  void PassSeconds(int count) {
    for (int i = 0; i < count; ++i) {
      clock_.Advance(absl::Seconds(1));
      engine_->Tick();
    }
  }
  static Names Numbers(int from, int to) {
    Names out;
    for (int i = from; i <= to; ++i) out.push_back(std::to_string(i));
    return out;
  }
};

TEST_F(RateTest, AlertsBeyondTheMinutesNumberComeLaterAndAll) {
  Reader alice = Subscribe("alice");
  for (const std::string& id : Numbers(1, 25)) Publish(id);
  alice.Drain(*engine_);
  EXPECT_EQ(alice.ids, Numbers(1, 10));
  EXPECT_EQ(engine_->Stats("alice", "").figures.delayed_count, 15);
  PassSeconds(30);
  alice.Drain(*engine_);
  EXPECT_EQ(alice.ids, Numbers(1, 15));
  PassSeconds(60);
  alice.Drain(*engine_);
  EXPECT_EQ(alice.ids, Numbers(1, 25));
}

TEST_F(RateTest, WhatEndsATaskIsNotCountedAndOnlyWaitsBehindWhatIs) {
  Reader alice = Subscribe("alice");
  for (const std::string& id : Numbers(1, 30)) {
    Publish(id, "user:alice", EventType::kTaskCompleted, id);
  }
  for (const std::string& id : Numbers(31, 41)) Publish(id);
  Publish("42", "user:alice", EventType::kBudgetAlert);
  alice.Drain(*engine_);
  EXPECT_EQ(alice.ids, Numbers(1, 40));
  PassSeconds(10);
  alice.Drain(*engine_);
  EXPECT_EQ(alice.ids, Numbers(1, 42));
}

TEST_F(RateTest, ProgressThatWaitsIsConflated) {
  Reader alice = Subscribe("alice");
  for (const std::string& id : Numbers(1, 10)) Publish(id);
  for (const std::string& id : Numbers(11, 60)) {
    Publish(id, "user:alice", EventType::kTaskProgress, "t");
  }
  PassSeconds(60);
  alice.Drain(*engine_);
  Names expected = Numbers(1, 10);
  expected.push_back("60");
  EXPECT_EQ(alice.ids, expected);
}

TEST_F(RateTest, AUsersConnectionsShareTheNumberAndOthersHaveTheirOwn) {
  Reader first = Subscribe("alice"), second = Subscribe("alice"), bob = Subscribe("bob");
  for (const std::string& id : Numbers(1, 25)) Publish(id, "broadcast");
  first.Drain(*engine_);
  second.Drain(*engine_);
  bob.Drain(*engine_);
  EXPECT_EQ(first.ids, Numbers(1, 10));
  EXPECT_EQ(second.ids, Numbers(1, 10));
  EXPECT_EQ(bob.ids, Numbers(1, 10));
}

TEST_F(RateTest, WhoComesBackHasNoNewMinute) {
  Reader alice = Subscribe("alice");
  for (const std::string& id : Numbers(1, 20)) Publish(id);
  alice.Drain(*engine_);
  engine_->CloseLink(alice.link);
  Reader again = Subscribe("alice", alice.cursor);
  EXPECT_EQ(again.recovered, true);
  EXPECT_EQ(again.ids, Names{});
  PassSeconds(60);
  again.Drain(*engine_);
  EXPECT_EQ(again.ids, Numbers(11, 20));
}

}  // namespace
}  // namespace slipstream::notification
