#include "services/task_queue/outbox_forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "services/task_queue/contract/await.h"
#include "services/task_queue/memory_task_store.h"

namespace slipstream::task_queue {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class FakePublisher final : public EventPublisher {
 public:
  Async<absl::Status> Publish(std::span<const OutboxEntry> entries) override {
    if (!next.ok()) {
      absl::Status failed = next;
      if (lose_reply) delivered.push_back(entries[0].idempotency_key);
      co_return failed;
    }
    for (const OutboxEntry& entry : entries) {
      if (entry.task.task_id == poison) co_return absl::InvalidArgumentError("no");
    }
    for (const OutboxEntry& entry : entries) delivered.push_back(entry.idempotency_key);
    co_return absl::OkStatus();
  }
  absl::Status next;
  std::string poison;
  bool lose_reply = false;
  std::vector<std::string> delivered;
};

class OutboxForwarderTest : public testing::Test {
 protected:
  // A cancelled task leaves one event, with the key "id:2".
  void Cancel(const std::string& id) {
    NewTask task;
    task.task_id = id;
    ASSERT_TRUE(Await(store_.SubmitBatch({&task, 1}, false, absl::UnixEpoch())).value()[0].ok());
    ASSERT_TRUE(Await(store_.Cancel(id, "", absl::UnixEpoch())).ok());
  }
  int64_t Left() { return Await(store_.Stats())->outbox_count; }
  OutboxForwarder::StepResult Step() { return Await(forwarder_.Step()); }

  MemoryTaskStore store_{MemoryTaskStoreOptions{}};
  FakePublisher publisher_;
  random::SeededRandom random_{1};
  metrics::Registry metrics_;
  OutboxForwarder forwarder_{
      {store_, publisher_, random_, QueueSeries(metrics_), logging::Logger()}};
};

TEST_F(OutboxForwarderTest, DeliversInOrderAndForgetsOnlyThen) {
  Cancel("a");
  Cancel("b");
  EXPECT_EQ(Left(), 2);
  EXPECT_EQ(Step().delivered_count, 2);
  EXPECT_THAT(publisher_.delivered, ElementsAre("a:2", "b:2"));
  EXPECT_EQ(Left(), 0);
  EXPECT_EQ(Step().delivered_count, 0);
}

TEST_F(OutboxForwarderTest, AFailureKeepsEverythingAndWaitsLongerEachTime) {
  Cancel("a");
  publisher_.next = absl::UnavailableError("away");
  absl::Duration longest;
  for (int i = 0; i < 12; ++i) {
    const auto result = Step();
    EXPECT_GE(result.wait, OutboxForwarder::kMinBackoff / 2);
    EXPECT_LE(result.wait, OutboxForwarder::kMaxBackoff);
    longest = std::max(longest, result.wait);
  }
  EXPECT_GE(longest, OutboxForwarder::kMaxBackoff / 2);
  EXPECT_EQ(Left(), 1);
  publisher_.next = absl::OkStatus();
  EXPECT_EQ(Step().delivered_count, 1);
}

TEST_F(OutboxForwarderTest, ALostReplyRepeatsUnderTheSameKey) {
  Cancel("a");
  publisher_.next = absl::DeadlineExceededError("reply lost");
  publisher_.lose_reply = true;
  Step();
  publisher_.next = absl::OkStatus();
  Step();
  EXPECT_THAT(publisher_.delivered, ElementsAre("a:2", "a:2"));
}

TEST_F(OutboxForwarderTest, AnInvalidEventIsGivenUpAloneAndCounted) {
  Cancel("a");
  Cancel("bad");
  Cancel("c");
  publisher_.poison = "bad";
  EXPECT_EQ(Step().wait, absl::ZeroDuration());
  EXPECT_THAT(publisher_.delivered, ElementsAre("a:2", "c:2"));
  EXPECT_EQ(Left(), 0);
  EXPECT_EQ(metrics::ValueOf(metrics_, "slipstream_task_queue_outbox_dropped_total"), 1);
}

}  // namespace
}  // namespace slipstream::task_queue
