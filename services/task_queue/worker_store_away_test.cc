// A worker's stream while the store can't be reached.
#include "services/task_queue/contract/server_store.h"
#include "services/task_queue/fallback_task_store.h"
#include "services/task_queue/service_fixture.h"

namespace slipstream::task_queue {
namespace {

class WorkerStoreAwayTest : public ServiceFixture {
 protected:
  WorkerStoreAwayTest() : WorkerStoreAwayTest(std::make_shared<ServerTaskStore*>()) {}

  const std::string alice_ = Token("alice");
  TestWorker worker_{*workers_, WorkerToken()};
  ServerTaskStore& store_;

 private:
  explicit WorkerStoreAwayTest(std::shared_ptr<ServerTaskStore*> opened)
      : ServiceFixture([opened](service::Context&) -> absl::StatusOr<std::unique_ptr<TaskStore>> {
          auto common = std::make_shared<CommonStore>();
          common->store = std::make_unique<MemoryTaskStore>(MemoryTaskStoreOptions{});
          auto store = std::make_unique<ServerTaskStore>(std::move(common));
          *opened = store.get();
          return store;
        }),
        store_(**opened) {}
};

TEST_F(WorkerStoreAwayTest, TheStreamStaysOpenAndReportsAreStoredOnceItIsBack) {
  worker_.Hello();
  const std::string id = Submit(alice_, Request())->task_id();
  ASSERT_TRUE(worker_.Read().has_assignment());
  store_.away = true;
  const int calls = store_.calls_while_away();
  v1::WorkRequest success;
  success.mutable_success()->set_task_id(id);
  success.mutable_success()->set_lease_epoch(1);
  ASSERT_TRUE(worker_.Send(success));
  v1::WorkRequest heartbeat;
  heartbeat.mutable_heartbeat();
  ASSERT_TRUE(worker_.Send(heartbeat));
  const absl::Status refused = Submit(alice_, Request()).status();
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_TRUE(status::RetryAfter(refused).has_value());
  EXPECT_TRUE(store_.AwaitCallsWhileAway(calls + 8, absl::Seconds(20)));
  store_.away = false;
  const v1::WorkResponse ack = worker_.Read();
  ASSERT_TRUE(ack.has_ack()) << ack.ShortDebugString();
  EXPECT_TRUE(ack.ack().accepted());
  EXPECT_EQ(Get(alice_, id)->status(), v1::Task::SUCCEEDED);
  const std::string next = Submit(alice_, Request())->task_id();
  EXPECT_EQ(worker_.Read().assignment().task_id(), next) << "the same stream goes on";
}

TEST_F(WorkerStoreAwayTest, AWorkerThatGivesUpMeanwhileEndsItsStream) {
  worker_.Hello();
  const std::string id = Submit(alice_, Request())->task_id();
  ASSERT_TRUE(worker_.Read().has_assignment());
  store_.away = true;
  v1::WorkRequest success;
  success.mutable_success()->set_task_id(id);
  success.mutable_success()->set_lease_epoch(1);
  ASSERT_TRUE(worker_.Send(success));
  worker_.Break();
  EXPECT_FALSE(worker_.Finish().ok());
  store_.away = false;
  // Whether the report came in before the stream broke is chance; the task is not lost either way.
  const auto seen = WatchUntil(alice_, id, v1::Task::PENDING);
  ASSERT_FALSE(seen.empty());
  if (seen.back() == v1::Task::SUCCEEDED) return;
  TestWorker second(*workers_, WorkerToken());
  second.Hello();
  EXPECT_EQ(second.Read().assignment().task_id(), id);
}

// With memory behind the durable store: what it has does not wait for what the other has.
class WorkerFallbackTest : public ServiceFixture {
 protected:
  struct Link {
    std::atomic<bool> connected{true};
    std::shared_ptr<ServerTaskStore> durable;
  };
  WorkerFallbackTest() : WorkerFallbackTest(std::make_shared<Link>()) {}

  void Cut() { link_->connected = false, link_->durable->away = true; }
  void Mend() { link_->durable->away = false, link_->connected = true; }
  static v1::WorkRequest Success(const v1::WorkResponse& assigned) {
    v1::WorkRequest request;
    request.mutable_success()->set_task_id(assigned.assignment().task_id());
    request.mutable_success()->set_lease_epoch(assigned.assignment().lease_epoch());
    return request;
  }

  const std::string alice_ = Token("alice");
  TestWorker worker_{*workers_, WorkerToken()};
  const std::shared_ptr<Link> link_;

 private:
  explicit WorkerFallbackTest(std::shared_ptr<Link> link)
      : ServiceFixture([link](service::Context&) -> absl::StatusOr<std::unique_ptr<TaskStore>> {
          auto common = std::make_shared<CommonStore>();
          common->store = std::make_unique<MemoryTaskStore>(MemoryTaskStoreOptions{});
          link->durable = std::make_shared<ServerTaskStore>(std::move(common));
          return std::make_unique<FallbackTaskStore>(
              link->durable, MemoryTaskStoreOptions{},
              FallbackOptions{.connected = [link] { return link->connected.load(); }});
        }),
        link_(std::move(link)) {}
};

TEST_F(WorkerFallbackTest, AnOutcomeThatMustWaitHoldsUpNoOther) {
  worker_.Hello();
  const std::string first = Submit(alice_, Request())->task_id();
  const v1::WorkResponse durable = worker_.Read();
  ASSERT_EQ(durable.assignment().task_id(), first);
  Cut();
  const std::string second = Submit(alice_, Request())->task_id();
  const v1::WorkResponse in_memory = worker_.Read();
  ASSERT_EQ(in_memory.assignment().task_id(), second);
  v1::WorkRequest progress;
  progress.mutable_progress()->set_task_id(first);
  progress.mutable_progress()->set_lease_epoch(durable.assignment().lease_epoch());
  progress.mutable_progress()->set_percent(50);
  ASSERT_TRUE(worker_.Send(progress)) << "dropped: it can't be stored";
  v1::WorkRequest heartbeat;
  heartbeat.mutable_heartbeat();
  ASSERT_TRUE(worker_.Send(heartbeat));
  ASSERT_TRUE(worker_.Send(Success(durable)));
  ASSERT_TRUE(worker_.Send(heartbeat)) << "read, though an outcome waits";
  ASSERT_TRUE(worker_.Send(Success(in_memory)));
  v1::WorkResponse ack = worker_.Read();
  EXPECT_EQ(ack.ack().task_id(), second) << ack.ShortDebugString();
  EXPECT_TRUE(ack.ack().accepted());
  EXPECT_EQ(Get(alice_, second)->status(), v1::Task::SUCCEEDED);
  EXPECT_FALSE(Get(alice_, second)->durable());
  EXPECT_TRUE(absl::IsUnavailable(Get(alice_, first).status()));
  Mend();
  ack = worker_.Read();
  EXPECT_EQ(ack.ack().task_id(), first) << ack.ShortDebugString();
  EXPECT_TRUE(ack.ack().accepted());
  EXPECT_EQ(Get(alice_, first)->status(), v1::Task::SUCCEEDED);
}

}  // namespace
}  // namespace slipstream::task_queue
