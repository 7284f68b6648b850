// What every TaskStore must do: the outbox, and documents that servers share.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_OUTBOX_CONTRACT_H_
#define SERVICES_TASK_QUEUE_CONTRACT_OUTBOX_CONTRACT_H_

#include <string>
#include <vector>

#include "services/task_queue/contract/contract_fixture.h"

namespace slipstream::task_queue {

TEST_P(TaskStoreContract, TheOutboxKeepsOrderUntilAcknowledgedAndReplacesUnreadProgress) {
  ASSERT_TRUE(Submit(Make("t1")).ok());
  Open("s1");
  const LeaseKey key = KeyOf(Lease("s1")[0]);
  Progress(key, 10);
  Progress(key, 20);
  auto entries = Await(store_->ReadOutbox(Part(), 0, 10)).value();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].task.progress, 20);
  EXPECT_EQ(entries[1].task.args, nullptr) << "arguments never leave with an event";
  // What has been handed out does not change under its key.
  Progress(key, 30);
  const auto again = Await(store_->ReadOutbox(Part(), 0, 10)).value();
  ASSERT_EQ(again.size(), 3u);
  EXPECT_EQ(again[1].idempotency_key, entries[1].idempotency_key);
  EXPECT_EQ(again[1].task.progress, 20);
  EXPECT_NE(again[2].idempotency_key, again[1].idempotency_key);
  EXPECT_LT(again[1].sequence, again[2].sequence);
  ASSERT_TRUE(Await(store_->AckOutbox(Part(), again[1].sequence)).ok());
  EXPECT_EQ(Await(store_->ReadOutbox(Part(), 0, 10)).value().size(), 1u);
  EXPECT_EQ(Await(store_->Stats()).value().outbox_count, 1);
}

TEST_P(TaskStoreContract, SharedDocumentsAreKeptByKindAndNameAndTheLastOneHolds) {
  ASSERT_TRUE(Await(store_->SaveShared("figures", "s1", "one", absl::Hours(1))).ok());
  ASSERT_TRUE(Await(store_->SaveShared("figures", "s2", "two", absl::Hours(1))).ok());
  ASSERT_TRUE(Await(store_->SaveShared("figures", "s1", "newer", absl::Hours(1))).ok());
  ASSERT_TRUE(Await(store_->SaveShared("task_types", "echo", "schema", absl::Hours(1))).ok());
  EXPECT_THAT(
      Await(store_->LoadShared("figures")).value(),
      testing::UnorderedElementsAre(testing::Pair("s1", "newer"), testing::Pair("s2", "two")));
  EXPECT_THAT(Await(store_->LoadShared("task_types")).value(),
              testing::ElementsAre(testing::Pair("echo", "schema")));
  EXPECT_TRUE(Await(store_->LoadShared("nothing")).value().empty());
}

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_CONTRACT_OUTBOX_CONTRACT_H_
