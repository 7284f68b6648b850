#include "libs/service/monitoring_reporter.h"

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/async/scope.h"
#include "libs/audit/memory_audit_log.h"
#include "libs/clock/fake_clock.h"
#include "libs/logging/log_sink.h"
#include "libs/random/random.h"
#include "libs/service/forwarding_audit_log.h"

namespace slipstream::service {
namespace {

constexpr absl::Duration kLong = absl::Seconds(10);
using Batch = std::vector<int>;

// Takes batches as monitoring would: answers are those of `answers` in order, then OK.
class FakeMonitoring {
 public:
  explicit FakeMonitoring(clock::FakeClock& clock) : clock_(clock) {}

  SendBatch<int> Send() {
    return [this](const Batch& batch, absl::Duration) { return Take(batch); };
  }

  std::vector<absl::Status> answers;
  absl::Duration takes_time;
  std::vector<Batch> asked;  // every batch, taken or not

 private:
  Async<absl::Status> Take(const Batch& batch) {
    asked.push_back(batch);
    clock_.Advance(takes_time);
    if (answers.empty()) co_return absl::OkStatus();
    absl::Status answer = answers.front();
    answers.erase(answers.begin());
    co_return answer;
  }
  clock::FakeClock& clock_;
};

class ReportQueueTest : public testing::Test {
 protected:
  static constexpr metrics::CounterDef kDropped{"slipstream_test_dropped_total", "Dropped."};

  std::unique_ptr<ReportQueue<int>> Make(ReportQueueOptions options) {
    options.kind = "numbers";
    return std::make_unique<ReportQueue<int>>(
        options, monitoring_.Send(), dropped_, clock_,
        logging::Logger::ToSink(log_, clock_, {.synchronous = true}));
  }
  void Flush(ReportQueue<int>& queue, absl::Duration timeout = absl::Seconds(1)) {
    std::promise<void> done;
    scope_.Spawn([&]() -> Async<void> {
      co_await queue.Flush(timeout);
      done.set_value();
    });
    done.get_future().wait();
  }

  clock::FakeClock clock_;
  FakeMonitoring monitoring_{clock_};
  metrics::Registry registry_;
  metrics::Counter dropped_ = registry_.Add(kDropped).With({});
  std::shared_ptr<logging::CapturedLog> log_ = std::make_shared<logging::CapturedLog>();
  async::Runtime runtime_{1};
  async::Scope scope_{runtime_.executor()};
};

TEST_F(ReportQueueTest, SendsAllInBatchesInOrder) {
  auto queue = Make({.max_count = 10, .max_batch_count = 2});
  for (int i = 1; i <= 5; ++i) queue->Push(i);
  Flush(*queue);
  EXPECT_EQ(monitoring_.asked, (std::vector<Batch>{{1, 2}, {3, 4}, {5}}));
  EXPECT_EQ(queue->size(), 0u);
  Flush(*queue);
  EXPECT_EQ(monitoring_.asked.size(), 3u) << "an empty batch was sent";
}

TEST_F(ReportQueueTest, AFullQueueDropsTheOldestAndSaysSoOnce) {
  auto queue = Make({.max_count = 3, .max_batch_count = 10});
  for (int i = 1; i <= 5; ++i) queue->Push(i);
  EXPECT_EQ(queue->size(), 3u);
  EXPECT_EQ(dropped_.Value(), 2u);
  EXPECT_EQ(log_->lines().size(), 1u);
  Flush(*queue);
  EXPECT_EQ(monitoring_.asked, (std::vector<Batch>{{3, 4, 5}}));
  for (int i = 1; i <= 4; ++i) queue->Push(i);
  EXPECT_EQ(log_->lines().size(), 2u) << "a new outage is a new line";
}

TEST_F(ReportQueueTest, WhatIsNotTakenNowIsSentAgainBeforeTheRest) {
  monitoring_.answers = {absl::UnavailableError("away"), absl::UnavailableError("away")};
  auto queue = Make({.max_count = 10, .max_batch_count = 2});
  for (int i = 1; i <= 3; ++i) queue->Push(i);
  for (int i = 0; i < 3; ++i) Flush(*queue);
  EXPECT_EQ(monitoring_.asked, (std::vector<Batch>{{1, 2}, {1, 2}, {1, 2}, {3}}));
  EXPECT_EQ(dropped_.Value(), 0u);
}

TEST_F(ReportQueueTest, WhatComesBackToAFullQueueIsTheOldest) {
  monitoring_.answers = {absl::UnavailableError("away")};
  auto queue = Make({.max_count = 2, .max_batch_count = 1});
  queue->Push(1);
  queue->Push(2);
  Flush(*queue);
  queue->Push(3);
  Flush(*queue);
  EXPECT_EQ(monitoring_.asked, (std::vector<Batch>{{1}, {2}, {3}}));
  EXPECT_EQ(dropped_.Value(), 1u);
}

TEST_F(ReportQueueTest, GivesABatchUpAfterItsTries) {
  monitoring_.answers.assign(kMaxTriesCount, absl::UnavailableError("away"));
  auto queue = Make({.max_count = 10, .max_batch_count = 2});
  for (int i = 1; i <= 3; ++i) queue->Push(i);
  for (int i = 0; i < kMaxTriesCount; ++i) {
    EXPECT_EQ(dropped_.Value(), 0u);
    Flush(*queue);
  }
  EXPECT_EQ(dropped_.Value(), 2u);
  Flush(*queue);
  EXPECT_EQ(monitoring_.asked.back(), Batch{3});
  EXPECT_EQ(queue->size(), 0u);
}

TEST_F(ReportQueueTest, WhatIsRefusedIsNotSentAgain) {
  monitoring_.answers = {absl::InvalidArgumentError("bad")};
  auto queue = Make({.max_count = 10, .max_batch_count = 1});
  queue->Push(1);
  queue->Push(2);
  Flush(*queue);
  Flush(*queue);
  EXPECT_EQ(monitoring_.asked, (std::vector<Batch>{{1}, {2}}));
  EXPECT_EQ(dropped_.Value(), 1u);
  EXPECT_TRUE(log_->Contains({"numbers", "bad"}));
}

TEST_F(ReportQueueTest, OfUnknownFateOnlyWhatIsIdempotentIsSentAgain) {
  for (const bool idempotent : {false, true}) {
    monitoring_.answers = {absl::DeadlineExceededError("slow")};
    auto queue = Make({.max_count = 10, .max_batch_count = 1, .idempotent = idempotent});
    queue->Push(1);
    Flush(*queue);
    EXPECT_EQ(queue->size(), idempotent ? 1u : 0u);
  }
}

TEST_F(ReportQueueTest, AFlushEndsInTime) {
  monitoring_.takes_time = absl::Milliseconds(600);
  auto queue = Make({.max_count = 10, .max_batch_count = 1});
  for (int i = 1; i <= 5; ++i) queue->Push(i);
  Flush(*queue, absl::Seconds(1));
  EXPECT_EQ(monitoring_.asked.size(), 2u);
  EXPECT_EQ(queue->size(), 3u);
}

class MonitoringReporterTest : public testing::Test {
 protected:
  MonitoringSends Sends() {
    return {.requests = [this](const std::vector<FinishedRequest>& batch,
                               absl::Duration) { return Add(batch, requests_); },
            .entries = [this](const std::vector<audit::AuditEntry>& batch,
                              absl::Duration) { return Add(batch, entries_); }};
  }
  template <class T>
  Async<absl::Status> Add(const std::vector<T>& batch, std::vector<T>& to) {
    sync::MutexLock lock(mutex_);
    to.insert(to.end(), batch.begin(), batch.end());
    changed_.SignalAll();
    co_return absl::OkStatus();
  }

  clock::FakeClock clock_;
  random::SystemRandom random_;
  metrics::Registry registry_;
  sync::Mutex mutex_;
  sync::CondVar changed_;
  std::vector<FinishedRequest> requests_;
  std::vector<audit::AuditEntry> entries_;
  async::Runtime runtime_{1};
  MonitoringReporter reporter_{Sends(), clock_, registry_, logging::Logger()};
};

TEST_F(MonitoringReporterTest, SendsByItselfWhatWasRecorded) {
  reporter_.Start(runtime_.executor());
  reporter_.RecordRequest({.service = "edge", .route = "GET /x", .http_status = 200});
  sync::MutexLock lock(mutex_);
  while (requests_.empty()) ASSERT_TRUE(changed_.WaitFor(mutex_, kLong)) << "nothing was sent";
  EXPECT_EQ(requests_[0].route, "GET /x");
}

TEST_F(MonitoringReporterTest, StopSendsWhatIsLeft) {
  reporter_.Start(runtime_.executor());
  reporter_.RecordRequest({.service = "edge", .route = "GET /x", .http_status = 200});
  reporter_.RecordAuditEntry({.entry_id = "e"});
  reporter_.Stop();
  EXPECT_EQ(requests_.size(), 1u);
  EXPECT_EQ(entries_.size(), 1u);
}

TEST_F(MonitoringReporterTest, AuditEntriesAreKeptAndForwardedWithOneId) {
  ForwardingAuditLog log(
      std::make_unique<audit::MemoryAuditLog>(10, clock_, random_, logging::Logger()), reporter_,
      clock_, random_);
  EXPECT_TRUE(log.Record({.user = "alice", .action = "a.B/C"}));
  const auto kept = log.List({}).entries;
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_FALSE(log.Record(kept[0])) << "the id is known";
  reporter_.Start(runtime_.executor());
  reporter_.Stop();
  EXPECT_EQ(entries_, kept);
}

}  // namespace
}  // namespace slipstream::service
