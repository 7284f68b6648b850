// What a record looks like in Redis and back. The stores' contract has the rest.
#include "services/task_queue/redis_codec.h"

#include <gtest/gtest.h>

#include "services/task_queue/task_state.h"

namespace slipstream::task_queue::redis_codec {
namespace {

constexpr char kUuid[] = "01997f3a-8c1d-7e42-9b6f-0123456789ab";
constexpr char kTraceparent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(RedisPackedTest, IdsComeBackAndOtherTextsAreRefused) {
  EXPECT_EQ(PackId(kUuid).size(), kIdBytes);
  EXPECT_EQ(UnpackId(PackId(kUuid)), kUuid);
  for (const char* other :
       {"", "01997f3a", "01997F3A-8c1d-7e42-9b6f-0123456789ab",
        "01997f3a08c1d-7e42-9b6f-0123456789ab", "01997f3a-8c1d-7e42-9b6f-0123456789ag",
        "01997f3a-8c1d-7e42-9b6f-0123456789ab0"}) {
    EXPECT_EQ(PackId(other), "") << other;
  }
  EXPECT_EQ(UnpackId("short"), "");
}

TEST(RedisPackedTest, TraceparentsComeBackAndOtherTextsAreRefused) {
  std::string packed(kTraceBytes, '\0');
  EXPECT_TRUE(PackTraceparent(kTraceparent, packed.data()));
  EXPECT_EQ(UnpackTraceparent(packed), kTraceparent);
  const std::string good = kTraceparent;
  for (const std::string& other : {std::string(), "01" + good.substr(2), good + "-more",
                                   good.substr(0, 54) + "X", good.substr(0, 52) + "_01"}) {
    EXPECT_FALSE(PackTraceparent(other, packed.data())) << other;
  }
}

TEST(RedisPackedTest, NumbersAreBigEndian) {
  EXPECT_EQ(Number(0x010203, 4), std::string("\0\1\2\3", 4));
  EXPECT_EQ(ReadNumber(Number(0xfedcba9876543210, 8)), 0xfedcba9876543210u);
}

TaskRecord Submitted(std::string correlation_id, std::string traceparent) {
  NewTask task;
  task.task_id = kUuid;
  task.task_type = "bench";
  task.args = MakeBytes("arguments");
  task.owner = "ada";
  task.correlation_id = std::move(correlation_id);
  task.traceparent = std::move(traceparent);
  task.labels = {{"team", "a"}};
  return task_state::Create(task, absl::FromUnixMillis(1'700'000'000'000));
}

TEST(RedisCodecTest, ABodyComesBackWithIdsOfAnyForm) {
  for (const auto& [correlation, traceparent] : std::vector<std::pair<std::string, std::string>>{
           {kUuid, kTraceparent}, {"order-17", "ff-odd"}, {"", ""}}) {
    const TaskRecord task = Submitted(correlation, traceparent);
    Stored read;
    ASSERT_TRUE(Decode(PackId(kUuid), EncodeBody(task), "", read).ok());
    EXPECT_EQ(read.task.task_id, kUuid);
    EXPECT_EQ(read.task.correlation_id, correlation);
    EXPECT_EQ(read.task.traceparent, traceparent);
    EXPECT_EQ(read.task.labels, task.labels);
    EXPECT_EQ(*read.task.args, "arguments");
    EXPECT_EQ(read.task.created_at, task.created_at);
  }
  // As texts they would take 50 more.
  EXPECT_LT(EncodeBody(Submitted(kUuid, kTraceparent)).size(), 120u) << "ids lie there as bytes";
}

TEST(RedisCodecTest, WhatIsNoTaskIsDataLoss) {
  const std::string body = EncodeBody(Submitted(kUuid, kTraceparent));
  for (const std::string& broken :
       {std::string(), body.substr(0, 3), Number(1'000, 4) + body.substr(4)}) {
    Stored read;
    EXPECT_TRUE(absl::IsDataLoss(Decode(PackId(kUuid), broken, "", read))) << broken.size();
  }
  for (const char* state : {"?", "S", "L12345678"}) {
    Stored read;
    EXPECT_TRUE(absl::IsDataLoss(Decode(PackId(kUuid), body, state, read))) << state;
  }
}

}  // namespace
}  // namespace slipstream::task_queue::redis_codec
