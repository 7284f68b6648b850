// The parts of a node, on a clock that is turned by hand.
#include <string>

#include "gtest/gtest.h"
#include "libs/clock/fake_clock.h"
#include "services/cache/await.h"
#include "services/cache/contract_keys.h"
#include "services/cache/invalidation_follower.h"
#include "services/cache/node_lease.h"
#include "services/cache/node_sightings.h"

namespace slipstream::cache {
namespace {

TEST(NodeLeaseTest, EndsAtItsMomentAndWithItsSession) {
  clock::FakeClock clock;
  NodeLease lease(clock);
  EXPECT_FALSE(lease.Valid());
  const uint64_t session = lease.Fence();
  lease.Extend(session, clock.Monotonic() + absl::Seconds(1));
  EXPECT_TRUE(lease.ValidIn(session));
  clock.Advance(absl::Milliseconds(999));
  EXPECT_TRUE(lease.Valid());
  clock.JumpWallClock(absl::Hours(-1));
  clock.Advance(absl::Milliseconds(1));
  EXPECT_FALSE(lease.Valid());
  lease.Extend(session, clock.Monotonic() + absl::Seconds(1));
  EXPECT_TRUE(lease.Valid()) << "a late renewal of the same session";
  lease.Fence();
  EXPECT_FALSE(lease.Valid());
  lease.Extend(session, clock.Monotonic() + absl::Seconds(1));
  EXPECT_FALSE(lease.Valid()) << "a renewal of the session before";
}

TEST(NodeSightingsTest, ALeaseHasLapsedWhenItsRenewalStoodStill) {
  NodeSightings sightings(absl::Seconds(1));
  const absl::Duration lapse = sightings.lapse();
  EXPECT_GT(lapse, absl::Seconds(1));
  absl::Duration now = absl::Hours(1);
  const absl::Duration first = sightings.LapseOf({"n", "1"}, now);
  EXPECT_EQ(first, now + lapse);
  now += absl::Milliseconds(700);
  EXPECT_EQ(sightings.LapseOf({"n", "1"}, now), first) << "seen before";
  sightings.Replace({{"n", "1"}}, now);
  EXPECT_EQ(sightings.LapseOf({"n", "1"}, now), first);
  sightings.Replace({{"n", "2"}}, now);
  EXPECT_EQ(sightings.LapseOf({"n", "2"}, now), now + lapse) << "renewed";
  sightings.Replace({}, now);
  EXPECT_EQ(sightings.count(), 0u);
}

TEST(NodeSightingsTest, ConfirmationsOnlyGrow) {
  NodeSightings sightings(absl::Seconds(1));
  sightings.Confirmed("n", 7);
  sightings.Confirmed("n", 5);
  EXPECT_EQ(sightings.ConfirmedBy("n"), 7u);
  EXPECT_EQ(sightings.ConfirmedBy("other"), 0u);
  sightings.Restart();
  EXPECT_EQ(sightings.ConfirmedBy("n"), 0u);
}

class InvalidationFollowerTest : public testing::Test {
 protected:
  static constexpr char kGeneration[] = "00000000000000aa";

  InvalidationFollowerTest() { Begin(10); }
  void Begin(Offset offset, const std::string& generation = kGeneration) {
    InvalidationFollower::Start start;
    start.generation = generation;
    start.session = ++sessions_;
    start.offset = offset;
    follower_.Begin(std::move(start));
  }
  static std::string Tag(const std::string& tag) {
    return Invalidation::OfTags(Invalidation::kTag,
                                *CallerScopes(ContractUser("alice")).Tags("shop", tag))
        .Encode();
  }
  static std::string Glob(const std::string& pattern) {
    return Invalidation::OfGlob(*CallerScopes::MatchingInAllScopes(pattern)).Encode();
  }
  RedisEntry EntryOf(Offset as_of, const std::string& tag = "red") {
    RedisEntry out;
    out.generation = kGeneration;
    out.as_of = as_of;
    out.user_key = "k";
    out.slots.push_back(follower_.life()->slots.Of(CallerScopes::TagOf(key_, tag).id()));
    return out;
  }
  bool Alive(Offset as_of) {
    return follower_.Alive(EntryOf(as_of), key_.key->id(), follower_.view());
  }
  void Hold() {
    WriteRequest write{.key = key_.key.get(), .value = "v"};
    write.stale_at_ms = write.expires_at_ms = 1000;
    memory_.Write(write, {}, 0);
  }
  bool Held() {
    EntryRef found;
    memory_.Read(absl::MakeConstSpan(key_.key.get(), 1), 0, absl::MakeSpan(&found, 1));
    return found != nullptr;
  }

  const OwnedKey key_{"k"};
  MemoryCacheStore memory_{{}};
  WatchLog watch_log_{"none"};
  InvalidationFollower follower_{memory_, watch_log_};
  uint64_t sessions_ = 0;
};

TEST_F(InvalidationFollowerTest, AppliesInOrderWhateverTheOrderOfArrival) {
  follower_.Take(kGeneration, 12, Tag("red"));
  EXPECT_EQ(follower_.applied(), 10u);
  EXPECT_EQ(follower_.NextGap(), 11u);
  EXPECT_TRUE(Alive(10));
  follower_.Take(kGeneration, 11, Tag("blue"));
  EXPECT_EQ(follower_.applied(), 12u);
  EXPECT_EQ(follower_.NextGap(), std::nullopt);
  EXPECT_FALSE(Alive(10));
  EXPECT_FALSE(Alive(11));
  EXPECT_TRUE(Alive(12)) << "stored after it";
  follower_.Take(kGeneration, 11, Tag("blue"));
  EXPECT_EQ(follower_.applied(), 12u) << "again";
}

TEST_F(InvalidationFollowerTest, AHeadThatNobodyToldOfIsAGap) {
  follower_.SetHead(kGeneration, 13);
  EXPECT_EQ(follower_.NextGap(), 11u);
  follower_.SetHead("00000000000000bb", 99);
  follower_.Take("00000000000000bb", 11, Tag("red"));
  EXPECT_EQ(follower_.applied(), 10u) << "of another generation";
}

TEST_F(InvalidationFollowerTest, AKeyLeavesTheMemory) {
  Hold();
  follower_.Take(kGeneration, 11, Invalidation::OfKey(key_.key->id(), "k").Encode());
  EXPECT_FALSE(Held());
  Hold();
  follower_.Take(kGeneration, 12, "E" + key_.key->id());
  EXPECT_FALSE(Held());
}

TEST_F(InvalidationFollowerTest, APatternHoldsBackWhatComesBehindUntilItsWalk) {
  Hold();
  follower_.Take(kGeneration, 11, Glob("shop/*"));
  follower_.Take(kGeneration, 12, Tag("none"));
  EXPECT_EQ(follower_.applied(), 10u);
  EXPECT_FALSE(Alive(10)) << "already known";
  Await(follower_.Walk());
  EXPECT_EQ(follower_.applied(), 12u);
  EXPECT_FALSE(Held());
  EXPECT_TRUE(Alive(11));
  follower_.Take(kGeneration, 13, "R11");
  EXPECT_TRUE(follower_.globs().empty());
}

TEST_F(InvalidationFollowerTest, WhatWasAskedForUnderAPatternStaysUnderItWhenItIsRetired) {
  follower_.Take(kGeneration, 11, Glob("shop/*"));
  Await(follower_.Walk());
  const InvalidationFollower::View asked = follower_.view();
  // Redis answers with an old value; then it is dropped there, the pattern retired, and this node
  // hears of that first.
  follower_.Take(kGeneration, 12, "R11");
  EXPECT_FALSE(follower_.Alive(EntryOf(10), key_.key->id(), asked));
  EXPECT_TRUE(follower_.Alive(EntryOf(11), key_.key->id(), asked));
  EXPECT_TRUE(Alive(10)) << "nothing that old is left to be read by who asks now";
}

TEST_F(InvalidationFollowerTest, AnUnreadableRecordBreaksIt) {
  follower_.Take(kGeneration, 11, "nonsense");
  EXPECT_TRUE(follower_.Broken());
  Begin(11);
  EXPECT_FALSE(follower_.Broken());
}

TEST(RedisEntryTest, ComesBackAsItWas) {
  const OwnedKey key("the key");
  WriteRequest write{.key = key.key.get(), .value = "the value", .negative = true};
  write.stale_at_ms = 2000;
  const std::string head =
      "00000000000000aa" + Padded(7) + Padded(5) + Padded(3000) + "02" + SlotDigits({3, 65535});
  const std::string bytes = head + EncodeBody(write, 1000);
  const auto entry = DecodeEntry(bytes);
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->version, 7u);
  EXPECT_EQ(entry->as_of, 5u);
  EXPECT_EQ(entry->stored_at_ms, 1000);
  EXPECT_EQ(entry->stale_at_ms, 2000);
  EXPECT_EQ(entry->expires_at_ms, 3000);
  EXPECT_TRUE(entry->negative);
  EXPECT_EQ(entry->slots, (TagSlots::Slots{3, 65535}));
  EXPECT_EQ(entry->user_key, "the key");
  EXPECT_EQ(entry->value, "the value");
  for (size_t size = 0; size + 9 < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeEntry(bytes.substr(0, size)).has_value()) << size;
  }
}

}  // namespace
}  // namespace slipstream::cache
