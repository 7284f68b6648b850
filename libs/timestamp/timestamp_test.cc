#include "libs/timestamp/timestamp.h"

#include "gtest/gtest.h"

namespace slipstream::timestamp {
namespace {

TEST(Timestamp, GoesThereAndBackToTheNanosecond) {
  for (const absl::Time time :
       {absl::UnixEpoch(), absl::FromUnixNanos(1'732'233'600'123'456'789),
        absl::UnixEpoch() - absl::Nanoseconds(1), absl::FromUnixSeconds(-62'135'596'800)}) {
    EXPECT_EQ(ToTime(FromTime(time)), time) << time;
  }
}

TEST(Timestamp, NanosAreNeverNegative) {
  const auto before = FromTime(absl::UnixEpoch() - absl::Nanoseconds(1));
  EXPECT_EQ(before.seconds(), -1);
  EXPECT_EQ(before.nanos(), 999'999'999);
}

TEST(Timestamp, LessThanANanosecondRoundsDown) {
  EXPECT_EQ(FromTime(absl::UnixEpoch() + absl::Nanoseconds(1) / 4 * 7).nanos(), 1);
}

}  // namespace
}  // namespace slipstream::timestamp
