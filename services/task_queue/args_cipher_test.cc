#include "services/task_queue/args_cipher.h"

#include "absl/strings/escaping.h"
#include "libs/logging/log_sink.h"
#include "services/task_queue/engine_fixture.h"

namespace slipstream::task_queue {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using testing::HasSubstr;
using testing::Not;

constexpr char kSecret[] = "correct-horse-battery";
const ArgsOwner kAlice{"alice", "acme", "login"};

std::string KeyOf(char c) { return absl::Base64Escape(std::string(32, c)); }

// {"properties": {"password": {"sensitive": true}, "deep": {"properties": {"token": sensitive}}}}
v1::TaskType LoginType() {
  v1::TaskType type;
  type.set_name("login");
  auto& properties =
      *(*type.mutable_args_schema()->mutable_fields())["properties"].mutable_struct_value();
  (*(*properties.mutable_fields())["password"]
        .mutable_struct_value()
        ->mutable_fields())["sensitive"]
      .set_bool_value(true);
  auto& deep = *(*(*properties.mutable_fields())["deep"]
                      .mutable_struct_value()
                      ->mutable_fields())["properties"]
                    .mutable_struct_value();
  (*(*deep.mutable_fields())["token"].mutable_struct_value()->mutable_fields())["sensitive"]
      .set_bool_value(true);
  return type;
}

Struct LoginArgs() {
  Struct args;
  (*args.mutable_fields())["user"].set_string_value("me");
  (*args.mutable_fields())["password"].set_string_value(kSecret);
  auto& deep = *(*args.mutable_fields())["deep"].mutable_struct_value();
  (*deep.mutable_fields())["token"].set_string_value(kSecret);
  return args;
}

class ArgsCipherTest : public testing::Test {
 protected:
  Bytes Sealed(const ArgsCipher& cipher) {
    Struct args = LoginArgs();
    EXPECT_TRUE(cipher.Seal(schema_, kAlice, args).ok());
    return MakeBytes(args.SerializeAsString());
  }

  random::SystemRandom random_;
  const JsonSchema schema_ = *JsonSchema::Compile(LoginType().args_schema());
  const std::unique_ptr<ArgsCipher> cipher_ = *ArgsCipher::Create(KeyOf('a'), "", random_);
};

TEST_F(ArgsCipherTest, SealsWhatIsSensitiveAndOpensItAgain) {
  const Bytes sealed = Sealed(*cipher_);
  EXPECT_THAT(*sealed, Not(HasSubstr(kSecret)));
  EXPECT_THAT(*sealed, HasSubstr("me"));
  EXPECT_NE(*sealed, *Sealed(*cipher_)) << "each time another nonce";
  const auto opened = cipher_->Open(sealed, kAlice);
  ASSERT_TRUE(opened.ok()) << opened.status();
  Struct args;
  ASSERT_TRUE(args.ParseFromString(**opened));
  EXPECT_EQ(args.ShortDebugString(), LoginArgs().ShortDebugString());
}

TEST_F(ArgsCipherTest, OpensForItsOwnerAndTypeOnly) {
  const Bytes sealed = Sealed(*cipher_);
  for (const ArgsOwner& other :
       {ArgsOwner{"bob", "acme", "login"}, ArgsOwner{"alice", "rival", "login"},
        ArgsOwner{"alice", "acme", "echo"}}) {
    EXPECT_EQ(status::Reason(cipher_->Open(sealed, other).status()), kArgsNotReadable);
  }
}

TEST_F(ArgsCipherTest, ChangedBytesAreRefused) {
  Struct args;
  ASSERT_TRUE(args.ParseFromString(*Sealed(*cipher_)));
  std::string& text = *(*(*args.mutable_fields())["password"]
                             .mutable_struct_value()
                             ->mutable_fields())[kSealedField]
                           .mutable_string_value();
  text[text.size() / 2] = text[text.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(cipher_->Open(MakeBytes(args.SerializeAsString()), kAlice).ok());
}

TEST_F(ArgsCipherTest, AnOlderKeyStillOpensAndTheNewOneSeals) {
  const auto rotated = *ArgsCipher::Create(KeyOf('b'), KeyOf('a'), random_);
  EXPECT_TRUE(rotated->Open(Sealed(*cipher_), kAlice).ok());
  EXPECT_FALSE(cipher_->Open(Sealed(*rotated), kAlice).ok());
  const auto later = *ArgsCipher::Create(KeyOf('b'), "", random_);
  EXPECT_FALSE(later->Open(Sealed(*cipher_), kAlice).ok());
}

TEST_F(ArgsCipherTest, WrongKeysAreRefusedByTheNameOfTheirSetting) {
  for (const std::string& key : {std::string("short"), std::string(), KeyOf('a') + "x"}) {
    const auto fields =
        status::FieldViolations(ArgsCipher::Create(key, KeyOf('b'), random_).status());
    ASSERT_EQ(fields.size(), 1u);
    EXPECT_EQ(fields[0].field, "task_queue.sensitive_args_key");
  }
  EXPECT_EQ(
      status::FieldViolations(ArgsCipher::Create(KeyOf('a'), "old", random_).status())[0].field,
      "task_queue.sensitive_args_old_key");
}

// --- through the engine

class SensitiveTaskTest : public EngineFixture {
 protected:
  SensitiveTaskTest() { EXPECT_TRUE(registry_.Announce({LoginType()}).ok()); }
  static SubmitSpec Login() {
    SubmitSpec spec = Spec("login");
    spec.args = LoginArgs();
    spec.request_id = "once";
    spec.fingerprint = "f00d";
    return spec;
  }
  std::shared_ptr<RecordingSink> ConnectLogin(WorkerSessions& sessions) {
    auto sink = std::make_shared<RecordingSink>();
    EXPECT_TRUE(Await(sessions.Connect({"svc", "w", {LoginType()}, 4, "", {}}, sink)).ok());
    return sink;
  }

  const std::unique_ptr<ArgsCipher> cipher_ = ArgsCipher::CreateForMemory(random_);
  const std::shared_ptr<logging::CapturedLog> log_ = std::make_shared<logging::CapturedLog>();
  const logging::Logger logger_ =
      logging::Logger::ToSink(log_, clock_, {.level = logging::Level::kDebug, .synchronous = true});
  WorkerSessions sealed_sessions_{
      {store_, clock_, random_, registry_, figures_, signals_, logger_, cipher_.get()},
      WorkerTimes{}};
  TaskQueueEngine sealed_engine_{{store_, clock_, random_, registry_, figures_, signals_,
                                  sealed_sessions_, nullptr, "", cipher_.get()},
                                 SubmitLimits{}};
};

TEST_F(SensitiveTaskTest, WithoutAKeyTheTypeIsRefusedWithWhatToSet) {
  const absl::Status refused = Await(engine_.Submit(alice_, Login())).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_EQ(status::Reason(refused), kSensitiveKeyMissing);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("task_queue.sensitive_args_key"));
}

TEST_F(SensitiveTaskTest, ThePlainTextIsInNoRecordEventOrLogAndReachesTheWorker) {
  const auto task = Await(sealed_engine_.Submit(alice_, Login()));
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(Await(sealed_engine_.Submit(alice_, Login()))->task_id, task->task_id);
  const auto sink = ConnectLogin(sealed_sessions_);
  EXPECT_EQ(Await(sealed_sessions_.Dispatch()), 1);
  EXPECT_THAT(*sink->assigned[0].args, HasSubstr(kSecret));
  EXPECT_THAT(*Get(task->task_id).args, Not(HasSubstr(kSecret)));
  ASSERT_TRUE(Await(sealed_engine_.Cancel(alice_, task->task_id, "")).ok());
  const auto entries = Await(store_.ReadOutbox(0, 0, 100)).value();
  ASSERT_FALSE(entries.empty());
  for (const OutboxEntry& entry : entries) {
    EXPECT_EQ(entry.task.args, nullptr);
  }
  EXPECT_TRUE(log_->Contains({"worker connected"}));
  EXPECT_FALSE(log_->Contains({kSecret}));
}

TEST_F(SensitiveTaskTest, WithoutTheKeyATaskFailsItsAttemptAndNeverReachesAWorkerSealed) {
  const auto task = Await(sealed_engine_.Submit(alice_, Login()));
  ASSERT_TRUE(task.ok());
  const auto sink = ConnectLogin(sessions_);  // of a server without the key
  EXPECT_EQ(Dispatch(), 0);
  EXPECT_TRUE(sink->assigned.empty());
  EXPECT_EQ(Get(task->task_id).error->reason, kArgsNotReadable);
  EXPECT_EQ(Get(task->task_id).status, TaskStatus::kScheduled) << "another server may have the key";
  EXPECT_EQ(sessions_.held_count(), 0);
}

TEST_F(SensitiveTaskTest, TheMarkOfASealedValueIsNotForUsers) {
  SubmitSpec spec = Spec("login");
  auto& inner = *(*spec.args.mutable_fields())["user"].mutable_struct_value();
  (*inner.mutable_fields())[kSealedField].set_string_value("0:x");
  const auto fields = status::FieldViolations(Await(sealed_engine_.Submit(alice_, spec)).status());
  ASSERT_EQ(fields.size(), 1u);
  EXPECT_EQ(fields[0].field, "args");
  (*spec.args.mutable_fields())["user"].set_string_value(kSealedField);
  EXPECT_TRUE(Await(sealed_engine_.Submit(alice_, spec)).ok()) << "a text may say anything";
  const auto sink = ConnectLogin(sessions_);
  EXPECT_EQ(Dispatch(), 1) << "and needs no key";
}

}  // namespace
}  // namespace slipstream::task_queue
