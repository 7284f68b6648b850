// The C++ client against real processes that are stopped, drained and started again.
#include "libs/client/notification/notification_client.h"

#include <atomic>

#include "libs/async/scope.h"
#include "services/notification/service_fixture.h"

namespace slipstream::notification {
namespace {

namespace nc = notification_client;
using Names = std::vector<std::string>;

class NotificationClientTest : public ServiceFixture, protected nc::Handler {
 protected:
  ~NotificationClientTest() override {
    if (client_ != nullptr) client_->Stop();
    scope_.Close();
  }
  void OnStart(bool recovered) override {
    sync::MutexLock lock(mutex_);
    starts_.push_back(recovered);
  }
  void OnEvent(const nc::Event& event) override {
    sync::MutexLock lock(mutex_);
    texts_.push_back(Text(event.message));
    last_ = event;
  }
  Names texts() {
    sync::MutexLock lock(mutex_);
    return texts_;
  }
  std::vector<bool> starts() {
    sync::MutexLock lock(mutex_);
    return starts_;
  }
  nc::TokenProvider Tokens(absl::Duration lifetime = absl::InfiniteDuration()) {
    return [this, lifetime]() -> Async<absl::StatusOr<nc::Token>> {
      ++tokens_count_;
      co_return nc::Token{Token("alice"), clock_.Now() + lifetime};
    };
  }
  void Run(ServiceProcess& process, nc::Options options, nc::TokenProvider tokens) {
    options.backoff_min = absl::Milliseconds(20);
    options.backoff_max = absl::Milliseconds(200);
    client_ = std::make_unique<nc::NotificationClient>(
        nc::NotificationClient::Deps{process.channel, std::move(tokens), clock_, random_},
        std::move(options));
    scope_.Spawn([this]() -> Async<void> {
      const absl::Status ended = co_await client_->Run(*this);
      sync::MutexLock lock(mutex_);
      ended_ = ended;
    });
  }
  std::optional<absl::Status> ended() {
    sync::MutexLock lock(mutex_);
    return ended_;
  }
  static Names Numbers(int from, int to) {
    Names out;
    for (int i = from; i <= to; ++i) out.push_back(std::to_string(i));
    return out;
  }

  random::SystemRandom random_;
  std::atomic<int> tokens_count_ = 0;
  sync::Mutex mutex_;
  std::vector<bool> starts_ ABSL_GUARDED_BY(mutex_);
  Names texts_ ABSL_GUARDED_BY(mutex_);
  nc::Event last_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<nc::NotificationClient> client_;
  async::Runtime runtime_{2};
  async::Scope scope_{runtime_.executor()};
};

TEST_F(NotificationClientTest, EventsAreTyped) {
  const auto process = StartProcess();
  Run(*process, {}, Tokens());
  ASSERT_TRUE(Eventually([&] { return starts() == std::vector<bool>{true}; }));
  v1::PublishRequest request;
  request.set_channel("user:alice");
  request.set_type("task_failed");
  request.set_task_id("t1");
  auto& payload = *request.mutable_payload()->mutable_fields();
  payload["task_type"].set_string_value("report");
  payload["status"].set_string_value("FAILED");
  payload["attempt"].set_number_value(3);
  payload["reason"].set_string_value("TIMEOUT");
  v1::PublishResponse response;
  ASSERT_TRUE(process->stub->Publish(Context("queue", "service").get(), request, &response).ok());
  ASSERT_TRUE(Eventually([&] { return texts().size() == 1; }));
  sync::MutexLock lock(mutex_);
  EXPECT_EQ(last_.kind, nc::EventKind::kTaskFailed);
  EXPECT_LT(absl::AbsDuration(clock_.Now() - last_.created_at), absl::Minutes(1));
  EXPECT_EQ(last_.message.task_id(), "t1");
  ASSERT_TRUE(last_.task.has_value());
  EXPECT_EQ(last_.task->task_type, "report");
  EXPECT_EQ(last_.task->attempt, 3);
  EXPECT_EQ(last_.task->reason, "TIMEOUT");
  EXPECT_FALSE(last_.task->next_run_at.has_value());
}

TEST_F(NotificationClientTest, GoesOnWhereItStoppedWhenItsServerComesAgain) {
  auto process = StartProcess();
  const auto other = StartProcess();
  const int port = process->process.grpc_port();
  Run(*process, {}, Tokens());
  ASSERT_TRUE(Eventually([&] { return !starts().empty(); }));
  ASSERT_TRUE(Publish(*process, "alice", "1").ok());
  ASSERT_TRUE(Eventually([&] { return texts().size() == 1; }));
  process.reset();
  for (const std::string& text : Numbers(2, 20)) ASSERT_TRUE(Publish(*other, "alice", text).ok());
  process = StartProcess(port);
  ASSERT_TRUE(Publish(*other, "alice", "21").ok());
  EXPECT_TRUE(Eventually([&] { return texts().size() >= 21; }));
  EXPECT_EQ(texts(), Numbers(1, 21));
  EXPECT_EQ(starts(), std::vector<bool>{true}) << "a resume that found all is not told";
  EXPECT_EQ(client_->connections_count(), 2);
}

TEST_F(NotificationClientTest, IsToldWhenNotAllIsThereAnyMore) {
  const auto process = StartProcess();
  Run(*process, {}, Tokens());
  ASSERT_TRUE(Eventually([&] { return !starts().empty(); }));
  ASSERT_TRUE(Publish(*process, "alice", "1").ok());
  ASSERT_TRUE(Eventually([&] { return texts().size() == 1; }));
  ASSERT_TRUE(redis_->Cli({"FLUSHALL"}).ok());
  ASSERT_TRUE(Publish(*process, "alice", "2").ok());
  EXPECT_TRUE(Eventually([&] { return texts().size() == 2; }));
  EXPECT_EQ(starts(), (std::vector<bool>{true, false}));
}

TEST_F(NotificationClientTest, TakesANewTokenBeforeTheOldOneEndsAndMissesNothing) {
  const auto process = StartProcess();
  Run(*process, {.refresh_before = absl::ZeroDuration()}, Tokens(absl::Milliseconds(600)));
  ASSERT_TRUE(Eventually([&] { return !starts().empty(); }));
  int published = 0;
  ASSERT_TRUE(Eventually([&] {
    EXPECT_TRUE(Publish(*process, "alice", std::to_string(++published)).ok());
    return client_->connections_count() >= 4;
  }));
  EXPECT_TRUE(Eventually([&] { return texts().size() >= static_cast<size_t>(published); }));
  EXPECT_EQ(texts(), Numbers(1, published));
  EXPECT_GE(tokens_count_, 4);
  EXPECT_EQ(starts(), std::vector<bool>{true});
}

TEST_F(NotificationClientTest, GivesUpOnARefusedTokenAndOnAPermission) {
  const auto process = StartProcess();
  Run(*process, {}, [this]() -> Async<absl::StatusOr<nc::Token>> {
    ++tokens_count_;
    co_return nc::Token{"no token"};
  });
  ASSERT_TRUE(Eventually([&] { return ended().has_value(); }));
  EXPECT_TRUE(absl::IsUnauthenticated(*ended())) << *ended();
  EXPECT_EQ(tokens_count_, 3);
}

TEST_F(NotificationClientTest, ACursorThatIsNoneEndsItAndAProviderThatFailsDoesNot) {
  const auto process = StartProcess();
  Run(*process, {.cursor = "nonsense"}, [this]() -> Async<absl::StatusOr<nc::Token>> {
    if (++tokens_count_ <= 2) co_return absl::UnavailableError("no token yet");
    co_return nc::Token{Token("alice")};
  });
  ASSERT_TRUE(Eventually([&] { return ended().has_value(); }));
  EXPECT_TRUE(absl::IsInvalidArgument(*ended())) << *ended();
  EXPECT_EQ(tokens_count_, 3);
}

}  // namespace
}  // namespace slipstream::notification
