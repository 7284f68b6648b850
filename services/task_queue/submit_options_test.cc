// Unique keys, flows and purges as users and administrators see them.
#include "services/task_queue/engine_fixture.h"

namespace slipstream::task_queue {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

class SubmitOptionsTest : public EngineFixture {
 protected:
  SubmitOptionsTest() { EXPECT_TRUE(registry_.Announce({Type("echo"), Type("other")}).ok()); }

  static SubmitSpec After(std::vector<std::string> depends_on) {
    SubmitSpec spec = Spec();
    spec.depends_on = std::move(depends_on);
    return spec;
  }
  std::vector<absl::StatusOr<TaskRecord>> SubmitAll(std::vector<SubmitSpec> specs,
                                                    bool all_or_nothing = false) {
    return Await(engine_.SubmitMany(alice_, specs, all_or_nothing)).value();
  }
  std::string FieldOf(const absl::Status& status) {
    const auto fields = status::FieldViolations(status);
    return fields.empty() ? "" : fields[0].field;
  }
};

TEST_F(SubmitOptionsTest, KeysAndDependenciesHaveBounds) {
  const auto refused = [this](auto change) {
    SubmitSpec spec = Spec();
    change(spec);
    return FieldOf(Await(engine_.Submit(alice_, spec)).status());
  };
  EXPECT_EQ(refused([](auto& s) { s.unique_key = std::string(257, 'k'); }), "unique_key");
  EXPECT_EQ(refused([](auto& s) { s.unique_policy = 4; }), "unique_policy");
  EXPECT_EQ(refused([](auto& s) { s.concurrency_key = std::string(257, 'k'); }), "concurrency_key");
  EXPECT_EQ(refused([](auto& s) { s.depends_on.resize(101, std::string(36, 'a')); }), "depends_on");
  EXPECT_EQ(refused([](auto& s) { s.depends_on = {"no-id"}; }), "depends_on");
}

TEST_F(SubmitOptionsTest, AReplacedTaskIsAnnouncedAndCounted) {
  SubmitSpec spec = Spec();
  spec.unique_key = "k";
  spec.unique_policy = static_cast<int>(UniquePolicy::kReplace);
  const std::string first = Submit(spec).task_id;
  async::Event& changes = signals_.Changes(first);
  const uint64_t seen = changes.version();
  const std::string second = Submit(spec).task_id;
  EXPECT_NE(second, first);
  EXPECT_GT(changes.version(), seen) << "who watches the first one is woken";
  EXPECT_EQ(Get(first).status, TaskStatus::kCancelled);
  EXPECT_EQ(metrics::ValueOf(metrics_, R"(slipstream_task_queue_finished_total)"
                                       R"({task_type="echo",status="CANCELLED"})"),
            1);
}

TEST_F(SubmitOptionsTest, ADebouncedSubmitAnswersWithTheTaskThatWaits) {
  SubmitSpec spec = Spec();
  spec.unique_key = "k";
  spec.unique_policy = static_cast<int>(UniquePolicy::kDebounce);
  spec.delay_ms = 1'000;
  const std::string id = Submit(spec).task_id;
  EXPECT_EQ(Submit(spec).task_id, id);
  EXPECT_EQ(
      metrics::ValueOf(metrics_, R"(slipstream_task_queue_submitted_total{task_type="echo"})"), 1);
}

TEST_F(SubmitOptionsTest, EntriesOfABulkSubmitMayNameOneAnotherInAnyOrder) {
  const auto results = SubmitAll({After({"#2", "#1"}), Spec(), After({"#1"})});
  ASSERT_TRUE(results[0].ok() && results[1].ok() && results[2].ok()) << results[0].status();
  EXPECT_THAT(results[0]->depends_on,
              testing::UnorderedElementsAre(results[1]->task_id, results[2]->task_id));
  EXPECT_EQ(results[0]->status, TaskStatus::kScheduled);
  EXPECT_EQ(results[1]->status, TaskStatus::kPending);
  auto sink = std::make_shared<RecordingSink>();
  const std::string session = Connect(sink);
  for (const size_t next : {1, 2, 0}) {
    EXPECT_EQ(Dispatch(), 1);
    EXPECT_EQ(sink->assigned.back().task_id, results[next]->task_id);
    ASSERT_TRUE(Succeed(session, sink->assigned.back()).ok());
  }
}

TEST_F(SubmitOptionsTest, ACycleIsRefusedAndSoIsWhatWaitsForIt) {
  const auto results = SubmitAll(
      {After({"#1"}), After({"#2"}), After({"#0"}), Spec(), After({"#4"}), After({"#0"})});
  for (const size_t i : {0, 1, 2, 4, 5}) {
    EXPECT_TRUE(absl::IsInvalidArgument(results[i].status())) << i;
    EXPECT_EQ(status::Reason(results[i].status()), kCyclicFlow) << i;
    EXPECT_EQ(status::Metadata(results[i].status(), "field"), "depends_on");
  }
  EXPECT_TRUE(results[3].ok());
  EXPECT_EQ(status::Reason(Await(engine_.Submit(alice_, After({"#0"}))).status()), kCyclicFlow);
}

TEST_F(SubmitOptionsTest, AnEntryThatIsNotThereIsRefusedByField) {
  for (const char* name : {"#1", "#", "#-1", "#1x", "#4294967296", "##0"}) {
    EXPECT_EQ(FieldOf(SubmitAll({After({name})})[0].status()), "depends_on") << name;
  }
}

TEST_F(SubmitOptionsTest, WhoFollowsARefusedEntryIsRefusedToo) {
  SubmitSpec wrong = Spec();
  wrong.priority = 9;
  auto results = SubmitAll({wrong, After({"#0"}), After({"#1"}), Spec()});
  EXPECT_EQ(FieldOf(results[0].status()), "priority");
  EXPECT_EQ(status::Reason(results[1].status()), task_state::kDependencyFailed);
  EXPECT_EQ(status::Reason(results[2].status()), task_state::kDependencyFailed);
  EXPECT_TRUE(results[3].ok());
  // The same when the store is the one to refuse.
  SubmitSpec unique = Spec();
  unique.unique_key = "k";
  Submit(unique);
  results = SubmitAll({unique, After({"#0"}), After({"#1"})});
  EXPECT_EQ(status::Reason(results[0].status()), kUniqueKeyTaken);
  EXPECT_EQ(status::Reason(results[1].status()), task_state::kDependencyFailed);
  EXPECT_EQ(status::Reason(results[2].status()), task_state::kDependencyFailed);
  results = SubmitAll({Spec(), unique, After({"#0"})}, true);
  for (const auto& result : results) EXPECT_FALSE(result.ok());
}

TEST_F(SubmitOptionsTest, AForeignTaskAsDependencyLooksLikeNone) {
  const std::string of_alice = Submit().task_id;
  const absl::Status foreign = Await(engine_.Submit(bob_, After({of_alice}))).status();
  const std::string none = std::string(35, 'a') + "b";
  const absl::Status unknown = Await(engine_.Submit(bob_, After({none}))).status();
  EXPECT_EQ(FieldOf(foreign), "depends_on");
  EXPECT_EQ(foreign.code(), unknown.code());
  EXPECT_EQ(status::FieldViolations(foreign)[0].message.size(),
            status::FieldViolations(unknown)[0].message.size());
}

TEST_F(SubmitOptionsTest, ADependentOfAFailedTaskIsCancelledByTheNextTick) {
  const std::string first = Submit().task_id;
  const std::string second = Submit(After({first})).task_id;
  ASSERT_TRUE(Await(engine_.Cancel(alice_, first, "")).ok());
  Tick();
  EXPECT_EQ(Get(second).status, TaskStatus::kCancelled);
  EXPECT_EQ(Get(second).error->reason, task_state::kDependencyFailed);
}

TEST_F(SubmitOptionsTest, PurgeNeedsATypeAndTakesDeadLettersUnlessToldOtherwise) {
  EXPECT_EQ(FieldOf(Await(engine_.Purge({})).status()), "task_type");
  PurgeQuery query;
  query.task_type = "*";
  query.statuses = {TaskStatus::kRunning};
  EXPECT_EQ(FieldOf(Await(engine_.Purge(query)).status()), "status");
  const std::string id = Submit().task_id;
  query.statuses.clear();
  EXPECT_EQ(Await(engine_.Purge(query))->purged_count, 0) << "it is no dead letter";
  query.statuses = {TaskStatus::kPending};
  EXPECT_EQ(Await(engine_.Purge(query))->purged_count, 1);
  EXPECT_TRUE(absl::IsNotFound(Await(engine_.Get(alice_, id)).status()));
}

TEST_F(SubmitOptionsTest, AConcurrencyKeyLetsOneRunAtATime) {
  SubmitSpec spec = Spec();
  spec.concurrency_key = "k";
  Submit(spec);
  Submit(spec);
  auto sink = std::make_shared<RecordingSink>();
  const std::string session = Connect(sink);
  EXPECT_EQ(Dispatch(), 1);
  ASSERT_TRUE(Succeed(session, sink->assigned[0]).ok());
  EXPECT_EQ(Dispatch(), 1);
}

TEST_F(SubmitOptionsTest, StartsPerMinuteOfATypeAreLimited) {
  v1::TaskType limited = Type("echo");
  limited.set_max_starts_per_minute(2);
  auto sink = std::make_shared<RecordingSink>();
  ASSERT_TRUE(Await(sessions_.Connect({"svc", "w", {limited}, 4, "", {}}, sink)).ok());
  for (int i = 0; i < 3; ++i) Submit();
  EXPECT_EQ(Dispatch(), 2);
  clock_.Advance(absl::Seconds(30));
  EXPECT_EQ(Dispatch(), 0) << "the session is silent for too long";
  auto again = std::make_shared<RecordingSink>();
  ASSERT_TRUE(Await(sessions_.Connect({"svc", "w", {limited}, 4, "", {}}, again)).ok());
  EXPECT_EQ(Dispatch(), 1);
}

}  // namespace
}  // namespace slipstream::task_queue
