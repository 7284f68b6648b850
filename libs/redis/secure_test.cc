// AUTH, ACL users and TLS against real servers.
#include <atomic>

#include "absl/strings/str_cat.h"
#include "libs/clock/fake_clock.h"
#include "libs/logging/log_sink.h"
#include "libs/redis/errors.h"
#include "libs/redis/redis_fixture.h"
#include "libs/redis/server_check.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

using tests::RedisServer;

class SecureTest : public RedisFixture {
 protected:
  static std::unique_ptr<RedisServer> Server(tests::RedisOptions options) {
    auto server = RedisServer::Start(std::move(options));
    EXPECT_TRUE(server.ok()) << server.status();
    return server.ok() ? *std::move(server) : nullptr;
  }
  absl::Status Ping(Options options) { return Do(*Connect(std::move(options)), {"PING"}).status(); }
};

TEST_F(SecureTest, ThePasswordOpens) {
  auto server = Server({.password = "s3cret"});
  EXPECT_TRUE(Ping({.url = server->url()}).ok());
  for (const char* user_info : {"", ":wr0ng@", "nobody:s3cret@"}) {
    const sync::Deadline at_once(absl::Milliseconds(800));
    const absl::Status status =
        Ping({.url = std::string("redis://") + user_info + server->address()});
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << status;
    EXPECT_EQ(status::Reason(status), kUnauthenticated);
    EXPECT_EQ(status.message().find("wr0ng"), absl::string_view::npos) << status;
    EXPECT_EQ(status.message().find("s3cret"), absl::string_view::npos) << status;
    EXPECT_FALSE(at_once.Passed()) << "it waited although no time mends it";
  }
}

TEST_F(SecureTest, PasswordsAreNotLogged) {
  auto server = Server({.password = "s3cret"});
  const clock::FakeClock clock;
  auto lines = std::make_shared<logging::CapturedLog>();
  const auto logger =
      logging::Logger::ToSink(lines, clock, {.level = logging::Level::kDebug, .synchronous = true});
  for (const char* password : {"s3cret", "wr0ng"}) {
    auto client =
        Client::Create({runtime_.executor(), random_, logger},
                       {.url = absl::StrCat("redis://:", password, "@", server->address())});
    ASSERT_TRUE(client.ok()) << client.status();
    (void)Do(**client, {"PING"});
  }
  EXPECT_TRUE(lines->Contains({"connected to Redis"}));
  EXPECT_TRUE(lines->Contains({"WRONGPASS"}));
  EXPECT_FALSE(lines->Contains({"s3cret"}));
  EXPECT_FALSE(lines->Contains({"wr0ng"}));
}

TEST_F(SecureTest, AWrongPasswordThatIsMadeRightServes) {
  auto server = Server({.password = "one"});
  auto client = Connect("redis://:two@" + server->address());
  EXPECT_EQ(status::Reason(Do(*client, {"PING"}).status()), kUnauthenticated);
  ASSERT_TRUE(server->Cli({"CONFIG", "SET", "requirepass", "two"}).ok());
  EXPECT_TRUE(Eventually([&] { return Do(*client, {"PING"}).ok(); }));
}

TEST_F(SecureTest, AnAclUserMayWhatItMay) {
  auto server = Server({.settings = {"appendonly yes",
                                     "user queue on >pw ~q:* +@read +@write "
                                     "+@scripting -@dangerous +ping +info"}});
  auto client = Connect("redis://queue:pw@" + server->address());
  EXPECT_TRUE(Do(*client, {"SET", "q:1", "v"}).ok());
  const absl::Status key = Do(*client, {"SET", "other", "v"}).status();
  EXPECT_EQ(key.code(), absl::StatusCode::kPermissionDenied) << key;
  EXPECT_EQ(status::Reason(key), kNoPermission);
  const absl::Status command = Do(*client, {"FLUSHALL"}).status();
  EXPECT_EQ(status::Reason(command), kNoPermission);
  EXPECT_NE(command.message().find("flushall"), absl::string_view::npos) << command;
  const Script script("return redis.call('GET', KEYS[1])");
  auto reply = SendEval(*client, script, {"q:1"}, {}).get();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->text, "v");

  // CONFIG is forbidden: INFO tells most of it.
  auto report = Await<absl::StatusOr<ServerReport>>(
      [&]() -> Async<absl::StatusOr<ServerReport>> { return CheckServer(*client); });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->nodes[0].config_forbidden);
  EXPECT_EQ(report->nodes[0].maxmemory_policy, "noeviction");
  EXPECT_TRUE(report->nodes[0].aof_enabled);
  EXPECT_TRUE(RequireNoEviction(*report).ok());
  ASSERT_EQ(report->warnings.size(), 1U);
  EXPECT_NE(report->warnings[0].find("+config|get"), std::string::npos);
}

// SCRIPT LOAD is not in its rights: the source travels with EVAL.
TEST_F(SecureTest, AUserWithoutScriptLoad) {
  auto server = Server({.settings = {"user u on >pw ~* +eval +evalsha +ping +get"}});
  auto client = Connect(Options{.url = "redis://u:pw@" + server->address(), .client_name = "u"});
  const Script script("return ARGV[1]");
  for (int i = 0; i < 3; ++i) {
    auto reply = SendEval(*client, script, {"k"}, {"x"}).get();
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->text, "x");
  }
}

TEST_F(SecureTest, Tls) {
  auto server = Server({.password = "pw", .tls = true});
  const std::string url = server->url();
  auto client = Connect(Options{.url = url, .ca_file = server->ca_file()});
  const std::string bytes(3 << 20, 'x');
  Replies replies;
  for (int i = 0; i < 100; ++i) replies.push_back(Send(*client, {"INCR", "n"}));
  replies.push_back(Send(*client, {"SET", "k", bytes}));
  for (auto& reply : replies) ASSERT_TRUE(reply.get().ok());
  EXPECT_TRUE(Do(*client, {"GET", "k"})->text == bytes);
  std::atomic<int> messages = 0;
  auto subscription = client->Subscribe(
      {"c"}, [&](std::string_view, std::string_view) { ++messages; }, [](bool) {});
  ASSERT_TRUE(Eventually([&] { return subscription->up(); }));
  ASSERT_TRUE(Do(*client, {"PUBLISH", "c", "x"}).ok());
  EXPECT_TRUE(Eventually([&] { return messages.load() == 1; }));

  server->Pause();
  EXPECT_EQ(status::Reason(Do(*client, {"PING"}).status()), kUnavailable);
  server->Resume();
  EXPECT_TRUE(Eventually([&] { return Do(*client, {"PING"}).ok(); }));
}

TEST_F(SecureTest, TlsTrustsItsAuthorityAndNameOnly) {
  auto server = Server({.tls = true});
  auto other = Server({.tls = true});
  const absl::Status wrong_ca = Ping({.url = server->url(), .ca_file = other->ca_file()});
  EXPECT_EQ(wrong_ca.code(), absl::StatusCode::kFailedPrecondition) << wrong_ca;
  EXPECT_EQ(status::Reason(wrong_ca), kTls);
  EXPECT_NE(wrong_ca.message().find("ca_file"), absl::string_view::npos);
  const absl::Status system_ca = Ping({.url = server->url()});
  EXPECT_EQ(status::Reason(system_ca), kTls) << system_ca;
  const absl::Status wrong_name = Ping(
      {.url = server->url(), .ca_file = server->ca_file(), .server_name = "redis.example.com"});
  EXPECT_EQ(status::Reason(wrong_name), kTls);
  EXPECT_NE(wrong_name.message().find("mismatch"), absl::string_view::npos) << wrong_name;
  EXPECT_TRUE(
      Ping({.url = server->url(), .ca_file = server->ca_file(), .server_name = "localhost"}).ok());
}

TEST_F(SecureTest, PlainAndTlsDoNotMix) {
  auto tls = Server({.tls = true});
  auto plain = Server({});
  const absl::Status no_tls = Ping({.url = "redis://" + tls->address()});
  EXPECT_EQ(status::Reason(no_tls), kUnavailable);
  EXPECT_NE(no_tls.message().find("rediss://"), absl::string_view::npos) << no_tls;
  const absl::Status too_much = Ping({.url = "rediss://" + plain->address()});
  EXPECT_FALSE(too_much.ok());
}

TEST_F(SecureTest, AClientsCertificate) {
  auto server = Server({.settings = {"tls-auth-clients yes"}, .tls = true});
  Options options{.url = server->url(), .ca_file = server->ca_file()};
  EXPECT_FALSE(Ping(options).ok());
  options.cert_file = server->cert_file();
  options.key_file = server->key_file();
  const absl::Status status = Ping(options);
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace slipstream::redis
