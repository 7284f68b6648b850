#include "tests/chaos/reader_ledger.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace slipstream::chaos {
namespace {

class ReaderLedgerTest : public ::testing::Test {
 protected:
  void Publish(int64_t count) {
    user_.begun_count += count;
    user_.acknowledged_count += count;
  }
  void Take(int64_t from, int64_t to) {
    for (int64_t number = from; number <= to; ++number) {
      ledger_.OnEvent(ReaderLedger::kUser, number);
    }
  }
  void ComeBack(bool recovered, bool flushed = false) {
    ledger_.OnConnect();
    ledger_.OnSubscribed(/*with_cursor=*/true, recovered, flushed);
  }
  void Start() {
    ledger_.OnConnect();
    ledger_.OnSubscribed(/*with_cursor=*/false, /*recovered=*/true, /*flushed=*/false);
  }

  Published user_, everybody_;
  LedgerTally tally_;
  std::vector<std::string> violations_;
  ReaderLedger ledger_{"alice", {&user_, &everybody_}, tally_, [this](const std::string& what) {
                         violations_.push_back(what);
                       }};
};

TEST_F(ReaderLedgerTest, ContiguousNumbersAreRight) {
  Start();
  Publish(10);
  Take(1, 4);
  ledger_.OnEvent(ReaderLedger::kBroadcast, 1);
  ComeBack(/*recovered=*/true);
  Take(5, 10);
  EXPECT_TRUE(violations_.empty()) << violations_[0];
  EXPECT_TRUE(ledger_.Has({10, 1}));
  EXPECT_FALSE(ledger_.Has({11, 1}));
  EXPECT_FALSE(ledger_.Has({10, 2}));
  EXPECT_EQ(tally_.resumes_count, 1);
  EXPECT_EQ(tally_.recoverable_recovered_count, 1);
}

TEST_F(ReaderLedgerTest, AGapIsFound) {
  Start();
  Publish(5);
  Take(1, 2);
  ComeBack(/*recovered=*/true);
  Take(4, 4);
  ASSERT_EQ(violations_.size(), 1u);
  EXPECT_EQ(violations_[0], "alice: 3 to 3 are missing");
}

TEST_F(ReaderLedgerTest, ADoubleIsFoundWhateverItWasTold) {
  Start();
  Publish(100);
  Take(1, 5);
  Take(5, 5);
  EXPECT_EQ(violations_.size(), 1u);
  ComeBack(/*recovered=*/false);
  Take(4, 4);
  EXPECT_EQ(violations_.size(), 2u);
}

TEST_F(ReaderLedgerTest, WhoWasToldMaySkipOnce) {
  Start();
  Publish(200);
  Take(1, 5);
  ComeBack(/*recovered=*/false);
  Take(150, 151);
  EXPECT_TRUE(violations_.empty());
  EXPECT_EQ(tally_.beyond_count, 1);
  Take(153, 153);
  EXPECT_EQ(violations_.size(), 1u);
}

TEST_F(ReaderLedgerTest, ToldWithoutNeedIsAViolation) {
  Start();
  Publish(kKeptCount + 5);
  Take(1, 5);
  ComeBack(/*recovered=*/false);
  EXPECT_EQ(violations_.size(), 1u);
  EXPECT_EQ(tally_.recoverable_count, 1);
  EXPECT_EQ(tally_.recoverable_recovered_count, 0);
}

TEST_F(ReaderLedgerTest, OneMoreThanIsKeptOrAFlushIsNoViolation) {
  Start();
  Publish(kKeptCount + 6);
  Take(1, 5);
  ComeBack(/*recovered=*/false);
  EXPECT_EQ(tally_.recoverable_count, 0);
  Take(7, kKeptCount + 6);
  ComeBack(/*recovered=*/false, /*flushed=*/true);
  EXPECT_TRUE(violations_.empty()) << violations_[0];
  EXPECT_EQ(tally_.told_after_flush_count, 1);
}

TEST_F(ReaderLedgerTest, WhatIsOnlyBegunMayBeThereOrNot) {
  Start();
  Publish(5);
  Take(1, 5);
  user_.begun_count += kKeptCount + 1;  // none of it acknowledged
  ComeBack(/*recovered=*/false);
  EXPECT_TRUE(violations_.empty()) << violations_[0];
  EXPECT_EQ(tally_.beyond_count, 0);
}

TEST_F(ReaderLedgerTest, ToldOnAnOpenConnectionWithoutNeedIsAViolation) {
  Start();
  Publish(3);
  Take(1, 3);
  ledger_.OnSubscribed(/*with_cursor=*/true, /*recovered=*/false, /*flushed=*/false);
  EXPECT_EQ(violations_.size(), 1u);
  EXPECT_EQ(tally_.resumes_count, 0);
  EXPECT_EQ(tally_.told_open_count, 1);
}

TEST_F(ReaderLedgerTest, WhoLostItsCursorIsFound) {
  Start();
  Start();
  EXPECT_EQ(violations_.size(), 1u);
}

TEST_F(ReaderLedgerTest, WhoWasToldNeedNotHaveTheLastOne) {
  Start();
  Publish(100);
  Take(1, 5);
  EXPECT_FALSE(ledger_.Has({100, 0}));
  ComeBack(/*recovered=*/false);
  EXPECT_TRUE(ledger_.Has({100, 0}));
}

}  // namespace
}  // namespace slipstream::chaos
