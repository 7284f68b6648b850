#include "services/cache/eviction/vote_queues.h"

#include <array>
#include <vector>

#include "gtest/gtest.h"

namespace slipstream::cache {
namespace {

using Votes = VoteQueues::Votes;

class VoteQueuesTest : public testing::Test {
 protected:
  void InsertAll(Votes votes) {
    for (auto& link : links_) {
      link.weight_bytes = 1;
      queues_.Insert(&link, votes);
    }
  }
  size_t NumberOf(const EntryLink& link) const {
    return static_cast<size_t>(&link - links_.data());
  }
  std::array<EntryLink, 1000> links_;
  VoteQueues queues_;
};

TEST_F(VoteQueuesTest, WhoHasTheLeastWeightGoesFirstAndOfThoseTheOldest) {
  queues_.SetWeights(std::vector<double>{1, 0.5, 0.2});
  EntryLink best{.hash = 1, .weight_bytes = 1}, others{.hash = 2, .weight_bytes = 1},
      older{.hash = 3, .weight_bytes = 1}, newer{.hash = 4, .weight_bytes = 1};
  queues_.Insert(&best, 1);
  queues_.Insert(&others, 6);
  queues_.Insert(&older, 4);
  queues_.Insert(&newer, 4);
  for (EntryLink* link : {&older, &newer, &others, &best}) EXPECT_EQ(queues_.Evict(), link);
  EXPECT_TRUE(queues_.empty());
}

// A kind is a list of its own, and no vote.
TEST_F(VoteQueuesTest, BitsAboveTheRulesHaveNoWeight) {
  queues_.SetWeights(std::vector<double>{1, 0.5});
  EntryLink marked{.hash = 1, .weight_bytes = 1}, plain{.hash = 2, .weight_bytes = 1};
  queues_.Insert(&plain, 2);
  queues_.Insert(&marked, 64);
  EXPECT_EQ(queues_.Evict(), &marked);
}

// Votes of every third are withdrawn without a word: those behind others in their list too.
TEST_F(VoteQueuesTest, RefreshComesToEveryoneInTurn) {
  queues_.SetWeights(std::vector<double>{1, 0.5});
  InsertAll(1);
  auto votes_of = [&](const EntryLink& link) {
    return static_cast<Votes>(NumberOf(link) % 3 == 1 ? 2 : 1);
  };
  for (int i = 0; i < 200; ++i) queues_.Refresh(votes_of);
  for (int i = 0; i < 333; ++i) {
    EXPECT_EQ(NumberOf(*queues_.Evict()) % 3, 1u);
  }
  EXPECT_NE(NumberOf(*queues_.Evict()) % 3, 1u);
}

TEST_F(VoteQueuesTest, WhomEvictWouldTakeIsAskedAgain) {
  queues_.SetWeights(std::vector<double>{1, 0.5});
  InsertAll(2);
  auto votes_of = [&](const EntryLink& link) {
    return static_cast<Votes>(NumberOf(link) < 20 ? 1 : 2);
  };
  queues_.Refresh(votes_of);
  EXPECT_GE(NumberOf(*queues_.Evict()), 20u);
}

TEST_F(VoteQueuesTest, EntriesComeAndGoWhileItsTurnGoesRound) {
  InsertAll(1);
  queues_.SetWeights(std::vector<double>{1, 0.5});
  auto votes_of = [&](const EntryLink& link) { return link.tag; };
  for (size_t i = 0; i + 1 < links_.size(); ++i) {
    queues_.Refresh(votes_of);
    if (i % 2 == 0) {
      EntryLink next{.hash = 7, .weight_bytes = 3};
      queues_.Replace(&links_[i], &next);
      queues_.Refresh(votes_of);
      queues_.Remove(&next);
    } else {
      queues_.Remove(&links_[i]);
    }
  }
  queues_.Refresh(votes_of);
  EXPECT_EQ(queues_.count(), 1u);
  EXPECT_EQ(queues_.bytes(), 1);
  queues_.Evict();
  queues_.Refresh(votes_of);  // of none
}

TEST_F(VoteQueuesTest, RefreshAllAsksEveryoneOnce) {
  InsertAll(1);
  queues_.SetWeights(std::vector<double>{1, 0.5});
  size_t asked = 0;
  queues_.RefreshAll([&](const EntryLink& link) {
    ++asked;
    return static_cast<Votes>(NumberOf(link) == 500 ? 2 : 1);
  });
  EXPECT_EQ(asked, links_.size());
  EXPECT_EQ(NumberOf(*queues_.Evict()), 500u);
}

}  // namespace
}  // namespace slipstream::cache
