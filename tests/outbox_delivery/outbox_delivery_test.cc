// From the outbox to users, through two real notification processes on one Redis, while the
// forwarder and the processes die at every moment: each event once, in order.
#include <functional>
#include <map>

#include "absl/cleanup/cleanup.h"
#include "libs/async/scope.h"
#include "libs/client/notification/notification_client.h"
#include "services/notification/service_fixture.h"
#include "services/task_queue/contract/await.h"
#include "services/task_queue/memory_task_store.h"
#include "services/task_queue/notification_publisher.h"
#include "services/task_queue/outbox_forwarder.h"

namespace slipstream::task_queue {
namespace {

namespace nc = notification_client;
using notification::ServiceProcess;
using Names = std::vector<std::string>;

// Publishes at one of the processes, and dies as a forwarder may: before, in the middle of a batch,
// and after it with the answer on its way.
class DyingPublisher final : public EventPublisher {
 public:
  using Send = std::function<absl::Status(std::span<const OutboxEntry>)>;
  DyingPublisher(Send send, random::Random& random) : send_(std::move(send)), random_(random) {}

  Async<absl::Status> Publish(std::span<const OutboxEntry> entries) override {
    const absl::Status died = absl::UnavailableError("the forwarder died");
    switch (random_.Uniform(4)) {
      case 0:
        co_return died;
      case 1:
        (void)send_(entries.subspan(0, 1 + random_.Uniform(entries.size())));
        co_return died;
      case 2:
        (void)send_(entries);
        co_return died;
      default:
        co_return send_(entries);
    }
  }

 private:
  const Send send_;
  random::Random& random_;
};

class OutboxDeliveryTest : public notification::ServiceFixture {
 protected:
  // Keeps a ledger of a user's tasks.
  struct Ledger final : nc::Handler {
    void OnStart(bool recovered) override {
      sync::MutexLock lock(mutex);
      all_recovered = all_recovered && recovered;
      started = true;
    }
    void OnEvent(const nc::Event& event) override {
      sync::MutexLock lock(mutex);
      tasks.push_back(event.message.task_id());
    }
    size_t size() {
      sync::MutexLock lock(mutex);
      return tasks.size();
    }
    sync::Mutex mutex;
    bool started ABSL_GUARDED_BY(mutex) = false;
    bool all_recovered ABSL_GUARDED_BY(mutex) = true;
    Names tasks ABSL_GUARDED_BY(mutex);
  };

  void Cancel(const std::string& id, const std::string& owner) {
    NewTask task;
    task.task_id = id;
    task.owner = owner;
    ASSERT_TRUE(Await(store_.SubmitBatch({&task, 1}, false, absl::UnixEpoch())).value()[0].ok());
    ASSERT_TRUE(Await(store_.Cancel(id, "", absl::UnixEpoch())).ok());
  }
  absl::Status Send(ServiceProcess& process, std::span<const OutboxEntry> entries) {
    notification::v1::PublishManyRequest request;
    for (const OutboxEntry& entry : entries) *request.add_events() = ToPublishRequest(entry);
    notification::v1::PublishManyResponse response;
    return rpc::FromGrpc(
        process.stub->PublishMany(Context("queue", "service").get(), request, &response));
  }

  MemoryTaskStore store_{MemoryTaskStoreOptions{}};
  random::SeededRandom random_{7};
  metrics::Registry metrics_;
  async::Runtime runtime_{2};
};

TEST_F(OutboxDeliveryTest, EachEventOnceAndInOrderHoweverOftenTheForwarderDies) {
  constexpr int kTasksCount = 300;
  std::map<std::string, Names> expected;
  for (int i = 0; i < kTasksCount; ++i) {
    const std::string owner = i % 3 == 0 ? "bob" : "alice";
    expected[owner].push_back("task" + std::to_string(i));
  }
  auto kept = StartProcess(), restarted = StartProcess();
  const int port = restarted->process.grpc_port();

  std::map<std::string, Ledger> ledgers;
  std::vector<std::unique_ptr<nc::NotificationClient>> clients;
  async::Scope scope(runtime_.executor());
  const absl::Cleanup stop = [&] {
    for (auto& client : clients) client->Stop();
    scope.Close();
  };
  for (const char* user : {"alice", "bob"}) {
    // alice reads at the process that is restarted, bob at the other one.
    auto tokens = [this, user]() -> Async<absl::StatusOr<nc::Token>> {
      co_return nc::Token{Token(user)};
    };
    clients.push_back(std::make_unique<nc::NotificationClient>(
        nc::NotificationClient::Deps{(user[0] == 'a' ? restarted : kept)->channel, tokens, clock_,
                                     random_},
        nc::Options{.backoff_max = absl::Milliseconds(500)}));
    scope.Spawn([client = clients.back().get(), ledger = &ledgers[user]]() -> Async<void> {
      EXPECT_TRUE((co_await client->Run(*ledger)).ok());
    });
  }
  for (auto& [user, ledger] : ledgers) {
    ASSERT_TRUE(notification::Eventually([&ledger = ledger] {
      sync::MutexLock lock(ledger.mutex);
      return ledger.started;
    }));
  }

  DyingPublisher publisher(
      [&](std::span<const OutboxEntry> entries) {
        return Send(random_.Uniform(2) == 0 ? *kept : *restarted, entries);
      },
      random_);
  int deaths_count = 0;
  int done_count = 0;
  std::map<std::string, size_t> published;
  for (int i = 0; i < kTasksCount; ++i) {
    const std::string owner = i % 3 == 0 ? "bob" : "alice";
    Cancel("task" + std::to_string(i), owner);
    ++published[owner];
    if (i % 10 != 9) continue;
    if (i % 100 == 99) {
      restarted.reset();
      restarted = StartProcess(port);
    }
    // A new forwarder each time: nothing of the last one is left but the store.
    for (int left = 10; left > 0;) {
      OutboxForwarder forwarder(
          {store_, publisher, random_, QueueSeries(metrics_), logging::Logger()});
      const int delivered_count = Await(forwarder.Step()).delivered_count;
      if (delivered_count == 0) ++deaths_count;
      left -= delivered_count;
      done_count += delivered_count;
    }
    // A reader that is away for longer than the history's 50 events could not have them all.
    for (auto& [user, ledger] : ledgers) {
      ASSERT_TRUE(notification::Eventually([&ledger = ledger, count = published[user]] {
        return ledger.size() >= count;
      })) << user
          << " has " << ledger.size();
    }
  }
  EXPECT_EQ(done_count, kTasksCount);
  EXPECT_GT(deaths_count, 30);
  for (auto& client : clients) client->Stop();
  scope.Close();
  for (auto& [user, ledger] : ledgers) {
    sync::MutexLock lock(ledger.mutex);
    EXPECT_EQ(ledger.tasks, expected[user]) << user;
    EXPECT_TRUE(ledger.all_recovered) << user;
  }
}

}  // namespace
}  // namespace slipstream::task_queue
