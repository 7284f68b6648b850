#include "services/notification/publish_queue.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <future>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/clock/fake_clock.h"
#include "libs/random/random.h"
#include "libs/status/status.h"
#include "services/notification/engine_testing.h"
#include "services/notification/memory_history_store.h"

namespace slipstream::notification {
namespace {

// The memory store behind a gate: each append waits until it is let through, or is failed.
class GatedStore final : public HistoryStore {
 public:
  explicit GatedStore(HistoryStore& store) : store_(store) {}

  Async<absl::StatusOr<std::vector<Appended>>> Append(
      std::vector<AppendRequest> requests) override {
    size_t number;
    {
      sync::MutexLock lock(mutex_);
      number = batches_.size();
      batches_.push_back(requests.size());
    }
    changed_.Notify();
    for (;;) {
      const uint64_t version = changed_.version();
      absl::Status status;
      bool open;
      {
        sync::MutexLock lock(mutex_);
        open = opened_count_ > number;
        status = status_;
      }
      if (open && !status.ok()) co_return status;
      if (open) co_return co_await store_.Append(std::move(requests));
      co_await changed_.Wait(version);
    }
  }
  Async<absl::StatusOr<std::vector<ReadResult>>> Read(std::vector<ReadRequest> requests) override {
    return store_.Read(std::move(requests));
  }
  Async<absl::StatusOr<std::vector<int>>> Acknowledge(
      std::vector<AcknowledgeRequest> requests) override {
    return store_.Acknowledge(std::move(requests));
  }
  void Tick() override { store_.Tick(); }
  HistoryStats Stats() const override { return store_.Stats(); }
  std::string_view name() const override { return "gated"; }

  // Lets the next `count` appends through; with an error they fail instead.
  void Open(size_t count, absl::Status status = absl::OkStatus()) {
    {
      sync::MutexLock lock(mutex_);
      opened_count_ += count;
      status_ = std::move(status);
    }
    changed_.Notify();
  }
  std::vector<size_t> batches() {
    sync::MutexLock lock(mutex_);
    return batches_;
  }
  Async<void> WaitForBatches(size_t count) {
    for (;;) {
      const uint64_t version = changed_.version();
      if (batches().size() >= count) co_return;
      co_await changed_.Wait(version);
    }
  }

 private:
  HistoryStore& store_;
  async::Event changed_;
  sync::Mutex mutex_;
  std::vector<size_t> batches_ ABSL_GUARDED_BY(mutex_);
  size_t opened_count_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
};

class PublishQueueTest : public testing::Test {
 protected:
  using Result = absl::StatusOr<std::vector<Appended>>;

  std::future<Result> Publish(const std::vector<std::string>& ids) {
    std::vector<AppendRequest> requests;
    for (const std::string& id : ids) requests.push_back(MakeAppend(clock_, id, "user:alice"));
    return boost::asio::co_spawn(runtime_.executor(), queue_.Publish(std::move(requests)),
                                 boost::asio::use_future);
  }
  void WaitForBatches(size_t count) {
    boost::asio::co_spawn(runtime_.executor(), gate_.WaitForBatches(count), boost::asio::use_future)
        .get();
  }

  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  // One thread: what is spawned first runs first, so a batch's members are known.
  async::Runtime runtime_{1};
  MemoryHistoryStore store_{{}, clock_, random_};
  GatedStore gate_{store_};
  std::vector<std::string> delivered_;
  PublishQueue queue_{gate_, [this](const Appended& a) { delivered_.push_back(a.event_id); }};
};

TEST_F(PublishQueueTest, OneAppendAtATimeAndWhatWaitsTravelsTogether) {
  auto first = Publish({"a"});
  WaitForBatches(1);
  auto second = Publish({"b", "c"});
  auto third = Publish({"d"});
  gate_.Open(1);
  EXPECT_TRUE(first.get().ok());
  WaitForBatches(2);
  EXPECT_EQ(gate_.batches(), (std::vector<size_t>{1, 3}));
  gate_.Open(1);
  const Result b_and_c = second.get();
  ASSERT_TRUE(b_and_c.ok());
  ASSERT_EQ(b_and_c->size(), 2u);
  EXPECT_EQ((*b_and_c)[1].event_id, "c");
  EXPECT_EQ((*b_and_c)[1].position.offset, 3u);
  EXPECT_EQ(third.get()->at(0).event_id, "d");
  EXPECT_EQ(delivered_, (std::vector<std::string>{"a", "b", "c", "d"}));
}

TEST_F(PublishQueueTest, AFailedBatchFailsAllOfItAndTheNextGoesOn) {
  auto first = Publish({"a"});
  WaitForBatches(1);
  auto second = Publish({"b"});
  gate_.Open(1, absl::UnavailableError("away"));
  EXPECT_EQ(first.get().status().code(), absl::StatusCode::kUnavailable);
  WaitForBatches(2);
  gate_.Open(1);
  EXPECT_TRUE(second.get().ok());
  EXPECT_EQ(delivered_, std::vector<std::string>{"b"});
}

TEST_F(PublishQueueTest, RefusesWhenTooManyWait) {
  auto first = Publish({"a"});
  WaitForBatches(1);
  const std::vector<std::string> many(PublishQueue::kMaxBatchCount, "x");
  std::vector<std::future<Result>> waiting;
  for (size_t i = 0; i < PublishQueue::kMaxWaitingCount / many.size(); ++i) {
    waiting.push_back(Publish(many));
  }
  const Result refused = Publish({"y"}).get();
  EXPECT_EQ(status::Reason(refused.status()), "PUBLISH_QUEUE_FULL");
  EXPECT_TRUE(status::RetryAfter(refused.status()).has_value());
  gate_.Open(1 + waiting.size());
  for (auto& one : waiting) EXPECT_TRUE(one.get().ok());
  EXPECT_TRUE(first.get().ok());
}

}  // namespace
}  // namespace slipstream::notification
