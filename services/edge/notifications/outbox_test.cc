#include "services/edge/notifications/outbox.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace slipstream::edge {
namespace {

constexpr char kUser[] = "u00000000000000ff:3";

slipstream::notification::v1::Event Event(const std::string& position,
                                          const std::string& channel = "user:alice") {
  slipstream::notification::v1::Event out;
  out.set_event_id("id");
  out.set_type("task_completed");
  out.set_channel(channel);
  out.set_position(position);
  return out;
}

TEST(ResumeCursor, KeepsWhatItReads) {
  for (const std::string text : {"", "u00000000000000ff:3", "b5f3a9c01d2e4b687:0",
                                 "u5f3a9c01d2e4b687:12.t00000000000000aa:1.b00c1d2e3f4a59687:30"}) {
    const auto cursor = ResumeCursor::Parse(text);
    ASSERT_TRUE(cursor) << text;
    EXPECT_EQ(cursor->ToString(), text);
  }
}

TEST(ResumeCursor, RefusesEverythingElse) {
  for (const std::string text :
       {"u", "x00000000000000ff:3", "u00000000000000ff", "u00000000000000ff:", "uff:3",
        "u00000000000000ff:3.", ".u00000000000000ff:3", "u0000000000000000:3",
        "u00000000000000ff:-1", "u00000000000000ff:3x", "u00000000000000fg:3",
        "u00000000000000ff:99999999999999999999"}) {
    EXPECT_FALSE(ResumeCursor::Parse(text)) << text;
  }
}

TEST(EncodedEvent, IsSharedAndHasEachReceiversOwnCursor) {
  const EncodedEventPtr event = EncodeEvent(Event("00000000000000bb:7", "broadcast"));
  ASSERT_NE(event, nullptr);
  ResumeCursor alice = *ResumeCursor::Parse("u00000000000000aa:1.b00000000000000bb:6");
  ResumeCursor bob = *ResumeCursor::Parse("u00000000000000cc:9.b00000000000000bb:6");
  std::string alices, bobs;
  event->AppendJson(&alice, &alices);
  event->AppendJson(&bob, &bobs);
  EXPECT_NE(alices.find("\"cursor\":\"u00000000000000aa:1.b00000000000000bb:7\""),
            std::string::npos)
      << alices;
  EXPECT_NE(bobs.find("\"cursor\":\"u00000000000000cc:9.b00000000000000bb:7\""), std::string::npos)
      << bobs;
  EXPECT_EQ(bobs.find("00000000000000aa"), std::string::npos);
}

TEST(EncodedEvent, TextThatLooksLikeACursorIsLeftAlone) {
  auto event = Event("00000000000000ff:4", "user:\"cursor\":\"\"");
  const EncodedEventPtr encoded = EncodeEvent(event);
  ResumeCursor cursor = *ResumeCursor::Parse(kUser);
  std::string json;
  encoded->AppendJson(&cursor, &json);
  EXPECT_NE(json.find(R"("channel":"user:\"cursor\":\"\"")"), std::string::npos) << json;
  EXPECT_NE(json.find(R"("cursor":"u00000000000000ff:4")"), std::string::npos) << json;
}

TEST(EncodedEvent, ProgressLeavesTheCursor) {
  ResumeCursor cursor = *ResumeCursor::Parse(kUser);
  std::string json;
  EncodeEvent(Event(""))->AppendJson(&cursor, &json);
  EXPECT_EQ(cursor.ToString(), kUser);
}

TEST(EncodedEvent, WhatIsNoJsonIsNoEvent) {
  auto event = Event("00000000000000ff:4");
  (*event.mutable_payload()->mutable_fields())["x"].set_number_value(
      std::numeric_limits<double>::infinity());
  EXPECT_EQ(EncodeEvent(event), nullptr);
}

class OutboxTest : public ::testing::Test {
 protected:
  // The events of one Take, as text.
  std::vector<std::string> Take(Outbox& outbox, size_t max_bytes = 1 << 20) {
    std::vector<std::string> out;
    outbox.Take(max_bytes, [&](const EncodedEvent& event, ResumeCursor* cursor) {
      event.AppendJson(cursor, &out.emplace_back());
    });
    return out;
  }
};

TEST_F(OutboxTest, WakesItsWriterOnceUntilThatFindsNothing) {
  Outbox outbox(1000);
  EXPECT_EQ(outbox.Push({EncodeText("a")}), Outbox::Pushed::kWake);
  EXPECT_EQ(outbox.Push({EncodeText("b")}), Outbox::Pushed::kQueued);
  EXPECT_EQ(Take(outbox), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(outbox.Push({EncodeText("c")}), Outbox::Pushed::kQueued)
      << "the writer will look again";
  EXPECT_EQ(Take(outbox), (std::vector<std::string>{"c"}));
  EXPECT_TRUE(Take(outbox).empty());
  EXPECT_EQ(outbox.Push({EncodeText("d")}), Outbox::Pushed::kWake);
}

TEST_F(OutboxTest, TakesInPieces) {
  Outbox outbox(100'000);
  for (int i = 0; i < 10; ++i) outbox.Push({EncodeText(std::to_string(i))});
  EXPECT_EQ(Take(outbox, 1).size(), 1u);
  EXPECT_EQ(Take(outbox, 130).size(), 2u);
  EXPECT_EQ(Take(outbox).size(), 7u);
}

TEST_F(OutboxTest, BeyondItsBytesItTakesNothingMore) {
  const EncodedEventPtr event = EncodeText(std::string(100, 'x'));
  Outbox outbox(3 * event->HeldBytes());
  for (int i = 0; i < 3; ++i) EXPECT_NE(outbox.Push({event}), Outbox::Pushed::kOver);
  EXPECT_EQ(outbox.Push({event}), Outbox::Pushed::kOver);
  EXPECT_EQ(outbox.Push({event}), Outbox::Pushed::kDropped);
  EXPECT_TRUE(Take(outbox).empty());
}

TEST_F(OutboxTest, SeveralAtOnceCountTogether) {
  const EncodedEventPtr event = EncodeText(std::string(100, 'x'));
  Outbox outbox(3 * event->HeldBytes());
  EXPECT_EQ(outbox.Push({event, EncodeText("b")}), Outbox::Pushed::kWake);
  EXPECT_EQ(Take(outbox), (std::vector<std::string>{std::string(100, 'x'), "b"}));
  EXPECT_EQ(outbox.Push({event, event, event}), Outbox::Pushed::kQueued);
  EXPECT_EQ(Take(outbox).size(), 3u);
  EXPECT_EQ(outbox.Push({event, event, event, event}), Outbox::Pushed::kOver);
  EXPECT_TRUE(Take(outbox).empty());
}

TEST_F(OutboxTest, WhatIsTakenMakesRoom) {
  const EncodedEventPtr event = EncodeText(std::string(100, 'x'));
  Outbox outbox(2 * event->HeldBytes());
  for (int i = 0; i < 20; ++i) {
    EXPECT_NE(outbox.Push({event}), Outbox::Pushed::kOver);
    EXPECT_EQ(Take(outbox).size(), 1u);
  }
}

TEST_F(OutboxTest, ItsCursorIsThatOfTheLastEventTaken) {
  Outbox outbox(100'000);
  outbox.Push({EncodeStart(*ResumeCursor::Parse(kUser), true)});
  outbox.Push({EncodeEvent(Event("00000000000000ff:4"))});
  outbox.Push({EncodeEvent(Event("00000000000000ff:5"))});
  const Outbox::Taken taken = outbox.Take(250, [](const EncodedEvent& event, ResumeCursor* cursor) {
    std::string json;
    event.AppendJson(cursor, &json);
  });
  ASSERT_EQ(taken.events_count, 2);
  EXPECT_EQ(taken.credited_count, 1) << "the start takes no credit";
  EXPECT_EQ(outbox.cursor().ToString(), "u00000000000000ff:4");
  outbox.Drop();
  EXPECT_TRUE(Take(outbox).empty());
  EXPECT_EQ(outbox.cursor().ToString(), "u00000000000000ff:4");
}

}  // namespace
}  // namespace slipstream::edge
