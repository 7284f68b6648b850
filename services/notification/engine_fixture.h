// An engine on the memory store, and readers that keep ledgers: for the tests of the engine.
#ifndef SERVICES_NOTIFICATION_ENGINE_FIXTURE_H_
#define SERVICES_NOTIFICATION_ENGINE_FIXTURE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/clock/fake_clock.h"
#include "libs/random/random.h"
#include "services/notification/engine_testing.h"
#include "services/notification/memory_history_store.h"
#include "services/notification/notification_engine.h"

namespace slipstream::notification {

using Names = std::vector<std::string>;
inline constexpr int64_t kManyCredits = 1 << 30;

// A reader as a stream is: takes what the link has, and keeps a ledger.
struct Reader {
  std::shared_ptr<Link> link;
  Names ids;
  std::vector<Position> positions;
  std::string cursor;
  std::optional<bool> recovered;
  std::optional<CloseReason> closed;
  bool told_to_reconnect = false;

  void Drain(NotificationEngine& engine, size_t max_count = 1000) {
    for (LinkMessage& message : engine.Take(link, max_count)) {
      if (auto* subscribed = std::get_if<SubscribedMessage>(&message)) {
        recovered = subscribed->recovered;
        cursor = subscribed->cursor;
      } else if (auto* delivery = std::get_if<DeliveryMessage>(&message)) {
        ids.push_back(delivery->event->id);
        positions.push_back(delivery->event->position);
        cursor = delivery->cursor;
      } else if (auto* end = std::get_if<ClosedMessage>(&message)) {
        closed = end->reason;
        cursor = end->cursor;
      } else if (auto* drain = std::get_if<DrainMessage>(&message)) {
        told_to_reconnect = true;
        cursor = drain->cursor;
      }
    }
  }
};

// The memory store, and what happens just before and after it is read.
class HookedStore final : public HistoryStore {
 public:
  explicit HookedStore(HistoryStore& store) : store_(store) {}

  Async<absl::StatusOr<std::vector<Appended>>> Append(
      std::vector<AppendRequest> requests) override {
    return store_.Append(std::move(requests));
  }
  Async<absl::StatusOr<std::vector<ReadResult>>> Read(std::vector<ReadRequest> requests) override {
    if (before_read) co_await before_read();
    auto out = co_await store_.Read(std::move(requests));
    if (after_read) co_await after_read();
    co_return out;
  }
  Async<absl::StatusOr<std::vector<int>>> Acknowledge(
      std::vector<AcknowledgeRequest> requests) override {
    return store_.Acknowledge(std::move(requests));
  }
  void Tick() override { store_.Tick(); }
  HistoryStats Stats() const override { return store_.Stats(); }
  std::string_view name() const override { return "hooked"; }

  std::function<Async<void>()> before_read, after_read;

 private:
  HistoryStore& store_;
};

class NotificationEngineTest : public testing::Test {
 protected:
  explicit NotificationEngineTest(EngineOptions options = {}) { Restart(options); }

  // A new process: the history is gone.
  void Restart(EngineOptions options = {}) {
    engine_.reset();
    store_ = std::make_unique<MemoryHistoryStore>(MemoryHistoryOptions{}, clock_, random_);
    hooked_ = std::make_unique<HookedStore>(*store_);
    engine_ = std::make_unique<NotificationEngine>(
        options, NotificationEngine::Deps{*hooked_, clock_, random_});
  }
  std::vector<Appended> Publish(std::vector<AppendRequest> requests) {
    auto out = Await(runtime_.executor(), engine_->Publish(std::move(requests)));
    EXPECT_TRUE(out.ok()) << out.status();
    return *std::move(out);
  }
  Appended Publish(const std::string& id, const std::string& channel = "user:alice",
                   EventType type = EventType::kSystemAlert, const std::string& task = "") {
    std::vector<AppendRequest> requests;
    requests.push_back(MakeAppend(clock_, id, channel, type, task));
    return Publish(std::move(requests)).at(0);
  }
  UserPresence PresenceOf(const std::string& user) {
    return Await(runtime_.executor(), engine_->FindPresence({user})).at(0);
  }
  Reader Open(LinkOptions options = {.single = true}) {
    Reader reader;
    reader.link = *engine_->OpenLink(options);
    return reader;
  }
  absl::Status TrySubscribe(Reader& reader, SubscriberSpec spec) {
    if (spec.id == 0) spec.id = kOnlySubscriber;
    if (spec.credit_count == 0) spec.credit_count = kManyCredits;
    return Await(runtime_.executor(), engine_->Subscribe(reader.link, std::move(spec)));
  }
  Reader Subscribe(const std::string& user, const std::string& cursor = "",
                   const std::string& tenant = "") {
    Reader reader = Open();
    SubscriberSpec spec{.user = user, .tenant = tenant};
    if (!cursor.empty()) spec.cursor = ParseCursor(cursor);
    EXPECT_TRUE(TrySubscribe(reader, spec).ok());
    reader.Drain(*engine_);
    return reader;
  }

  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  async::Runtime runtime_{4};
  std::unique_ptr<MemoryHistoryStore> store_;
  std::unique_ptr<HookedStore> hooked_;
  std::unique_ptr<NotificationEngine> engine_;
};

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_ENGINE_FIXTURE_H_
