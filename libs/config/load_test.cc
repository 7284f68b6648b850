#include "libs/config/load.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "libs/config/nearest.h"
#include "libs/config/setting.h"

namespace slipstream::config {
namespace {

class LoadTest : public testing::Test {
 protected:
  static std::string WriteFile(const std::string& name, const std::string& text) {
    const std::string path = testing::TempDir() + "/" + name;
    std::ofstream(path) << text;
    return path;
  }

  static absl::StatusOr<Loaded> Load(std::vector<std::string> flags, const Environment& env = {}) {
    std::vector<const char*> argv = {"slipstream"};
    for (const std::string& flag : flags) argv.push_back(flag.c_str());
    return LoadConfig(static_cast<int>(argv.size()), argv.data(), env);
  }

  static std::string Error(std::vector<std::string> flags, const Environment& env = {}) {
    const auto loaded = Load(std::move(flags), env);
    if (loaded.ok()) return "no error";
    const std::string message(loaded.status().message());
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }
};

TEST_F(LoadTest, DefaultsFillEverySettingAndAreInRange) {
  const auto loaded = Load({});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.task_queue().lease_ms(), 4000);
  EXPECT_EQ(loaded->config.cache().ttl().llm_response_s(), 1800);
  EXPECT_EQ(loaded->config.logging().level(), v1::LoggingConfig::INFO);
  EXPECT_EQ(loaded->config.auth().allowed_algorithms_size(), 4);
  EXPECT_GT(loaded->config.auth().roles_size(), 2);
  EXPECT_FALSE(loaded->print.has_value());
  EXPECT_EQ(loaded->config.DebugString(), DefaultConfig().DebugString());
  EXPECT_EQ(ExitCode(loaded), std::nullopt);
}

TEST_F(LoadTest, NamesOfSettingsAreUnique) {
  std::set<std::string> names;
  for (const Setting& setting : AllSettings()) {
    EXPECT_TRUE(names.insert(setting.env).second) << setting.env;
    EXPECT_TRUE(setting.field->options().HasExtension(v1::setting)) << setting.path;
  }
}

TEST_F(LoadTest, FlagWinsOverEnvironmentOverFileOverDefault) {
  const std::string file = WriteFile("order.textproto",
                                     "task_queue { lease_ms: 20000 session_grace_ms: 1 }\n"
                                     "cache { ttl { llm_response_s: 7 } }\n"
                                     "edge { max_header_bytes: 2048 }\n");
  const Environment env = {{"SLIPSTREAM_CONFIG", file},
                           {"SLIPSTREAM_TASK_QUEUE_SESSION_GRACE_MS", "2"},
                           {"SLIPSTREAM_EDGE_MAX_HEADER_BYTES", "3000"},
                           {"SLIPSTREAM_AUTH_ALLOWED_ALGORITHMS", "HS256, EdDSA"},
                           {"HOME", "/root"}};
  const auto loaded = Load({"--edge.max_header_bytes=4000", "--rpc.reflection"}, env);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.task_queue().lease_ms(), 20000);
  EXPECT_EQ(loaded->config.task_queue().session_grace_ms(), 2);
  EXPECT_EQ(loaded->config.cache().ttl().llm_response_s(), 7);
  EXPECT_EQ(loaded->config.cache().ttl().user_session_s(), 3600);
  EXPECT_EQ(loaded->config.edge().max_header_bytes(), 4000);
  EXPECT_TRUE(loaded->config.rpc().reflection());
  ASSERT_EQ(loaded->config.auth().allowed_algorithms_size(), 2);
  EXPECT_EQ(loaded->config.auth().allowed_algorithms(1), "EdDSA");
}

TEST_F(LoadTest, ListsOfMessagesAreSetAsAWhole) {
  const auto loaded = Load({"--auth.roles=roles { role: 'user' permissions: 'cache.read' }"});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->config.auth().roles_size(), 1);
  EXPECT_EQ(loaded->config.auth().roles(0).permissions(0), "cache.read");
  EXPECT_EQ(Error({"--auth.roles=issuer: 'x'"}).find("--auth.roles: auth.roles is"), 0u);
  EXPECT_EQ(Error({"--auth.roles=roles {}"}),
            "--auth.roles: auth.roles[0].role is \"\"; allowed: text from 1 to 64 bytes");
}

TEST_F(LoadTest, ErrorsInAFileNameTheLineAndWhatIsAllowed) {
  const std::string unknown =
      WriteFile("unknown.textproto", "cache {\n}\ntask_queue {\n  leese_ms: 3000\n}\n");
  EXPECT_EQ(Error({"--config", unknown}),
            "config file: " + unknown + ":4: unknown setting \"leese_ms\"; did you mean lease_ms?");
  const std::string range = WriteFile("range.textproto", "task_queue {\n  lease_ms: 5\n}\n");
  EXPECT_EQ(
      Error({"--config=" + range}),
      range + ":2: task_queue.lease_ms is \"5\"; allowed: a whole number from 100 to 3600000");
  const std::string syntax = WriteFile("syntax.textproto", "cache {\n l1_max_bytes: }");
  EXPECT_EQ(Error({"--config=" + syntax}).find("config file: " + syntax + ":2: "), 0u);
  const std::string twice =
      WriteFile("twice.textproto", "rpc { reflection: true\nreflection: false }");
  EXPECT_EQ(Error({"--config=" + twice}).find("config file: " + twice + ":2: "), 0u);
  EXPECT_EQ(Error({}, {{"SLIPSTREAM_CONFIG", "/nowhere/x"}}),
            "SLIPSTREAM_CONFIG: there is no file /nowhere/x");
  EXPECT_EQ(Error({"--config=/"}).find("--config: cannot read /: "), 0u);
}

TEST_F(LoadTest, ErrorsInTheEnvironmentNameTheVariable) {
  EXPECT_EQ(Error({}, {{"SLIPSTREAM_TASK_QUEUE_LEASEMS", "3000"}}),
            "SLIPSTREAM_TASK_QUEUE_LEASEMS: no setting has this environment variable; did you mean "
            "SLIPSTREAM_TASK_QUEUE_LEASE_MS?");
  EXPECT_EQ(
      Error({}, {{"SLIPSTREAM_TASK_QUEUE_LEASE_MS", "3 s"}}),
      "SLIPSTREAM_TASK_QUEUE_LEASE_MS: task_queue.lease_ms is \"3 s\"; allowed: a whole number "
      "from 100 to 3600000");
  EXPECT_EQ(Error({}, {{"SLIPSTREAM_LOGGING_LEVEL", "LEVEL_UNSPECIFIED"}}),
            "SLIPSTREAM_LOGGING_LEVEL: logging.level is \"LEVEL_UNSPECIFIED\"; allowed: one of "
            "DEBUG, INFO, WARN, ERROR");
}

TEST_F(LoadTest, VariablesThatKubernetesSetsAreNoMistakes) {
  const auto loaded = Load({}, {{"SLIPSTREAM_CACHE_SERVICE_HOST", "10.0.0.1"},
                                {"SLIPSTREAM_CACHE_SERVICE_PORT_GRPC", "7401"},
                                {"SLIPSTREAM_CACHE_PORT", "tcp://10.0.0.1:7401"},
                                {"SLIPSTREAM_CACHE_PORT_7401_TCP_ADDR", "10.0.0.1"}});
  EXPECT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_NE(Error({}, {{"SLIPSTREAM_CACHE_PORT", "7401"}}), "no error");
}

TEST_F(LoadTest, ErrorsInFlagsNameTheFlag) {
  EXPECT_EQ(Error({"--task_queue.leas_ms=3000"}),
            "--task_queue.leas_ms: unknown flag; did you mean --task_queue.lease_ms?");
  EXPECT_EQ(Error({"--rpc.reflection=yes"}),
            "--rpc.reflection: rpc.reflection is \"yes\"; allowed: true or false");
  EXPECT_EQ(Error({"--task_queue.lease_ms=3600000"}), "no error");
  EXPECT_EQ(
      Error({"--task_queue.lease_ms=3600001"}),
      "--task_queue.lease_ms: task_queue.lease_ms is \"3600001\"; allowed: a whole number from "
      "100 to 3600000");
  EXPECT_EQ(Error({"--cache.grpc_address"}),
            "--cache.grpc_address: needs a value, as in --cache.grpc_address=VALUE; allowed: text "
            "from 1 to 255 bytes");
  EXPECT_EQ(Error({"--rpc.reflection", "--rpc.reflection=false"}),
            "--rpc.reflection: is given twice");
  EXPECT_EQ(Error({"run"}).find("run: not a flag"), 0u);
  EXPECT_EQ(Error({"--config"}), "--config: needs a file");
}

TEST_F(LoadTest, SecretsAreShownNowhere) {
  const std::string url = "redis://:hunter2@cache:6379/" + std::string(3000, 'x');
  EXPECT_EQ(Error({"--cache.redis_url=" + url}).find("hunter2"), std::string::npos);
  const std::string unquoted = WriteFile("unquoted.textproto", "cache { redis_url: hunter2 }");
  EXPECT_EQ(Error({"--config=" + unquoted}), "config file: " + unquoted + ":1: Expected string");
  const auto loaded = Load({"--cache.redis_url=redis://:hunter2@c:1", "--print_config"});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config.cache().redis_url(), "redis://:hunter2@c:1");
  ASSERT_TRUE(loaded->print.has_value());
  EXPECT_EQ(loaded->print->find("hunter2"), std::string::npos);
  EXPECT_NE(loaded->print->find("redis_url: \"***\""), std::string::npos);
  v1::Config parsed;  // what is printed can be read again
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(*loaded->print, &parsed));
  EXPECT_EQ(parsed.task_queue().lease_ms(), 4000);
}

TEST_F(LoadTest, SecretFilesMustBeReadable) {
  EXPECT_EQ(Error({"--auth.hs256_secret_file=/nowhere/key"}),
            "--auth.hs256_secret_file: auth.hs256_secret_file: there is no file /nowhere/key; "
            "allowed: a file that this process's user can read");
  const std::string empty = WriteFile("empty", "");
  EXPECT_EQ(Error({}, {{"SLIPSTREAM_AUTH_JWKS_FILES", empty}}),
            "SLIPSTREAM_AUTH_JWKS_FILES: auth.jwks_files: " + empty +
                " is empty; allowed: a file that this process's user can read");
  EXPECT_TRUE(Load({"--auth.hs256_secret_file=" + WriteFile("key", "k")}).ok());
}

TEST_F(LoadTest, SettingsThatContradictEachOtherAreRefused) {
  EXPECT_EQ(Error({"--task_queue.lease_ms=1000"}),
            "configuration: task_queue.lease_ms is 1000; allowed: at least 3000, which is three "
            "times task_queue.heartbeat_interval_ms");
  EXPECT_NE(Error({"--edge.cors_allowed_origins=*"}), "no error");
  EXPECT_EQ(Error({"--edge.cors_allowed_origins=https://a.example,http://localhost:3000"}),
            "no error");
  EXPECT_NE(Error({"--auth.allowed_algorithms=HS256,none"}), "no error");
}

TEST_F(LoadTest, HelpListsEverySetting) {
  const auto loaded = Load({"--help"});
  ASSERT_TRUE(loaded.ok());
  for (const Setting& setting : AllSettings()) {
    EXPECT_NE(loaded->print->find("--" + setting.path + "=VALUE"), std::string::npos);
  }
}

TEST(Nearest, PrefersTheLeastDistanceAndGivesUpWhenNothingIsClose) {
  EXPECT_EQ(Nearest("lease", {"leash", "least", "lease_ms"}), "leash");
  EXPECT_EQ(Nearest("zzz", {"lease"}), "");
  EXPECT_EQ(DidYouMean("leese", {"lease"}), "; did you mean lease?");
  EXPECT_EQ(DidYouMean("x", {}), "");
}

}  // namespace
}  // namespace slipstream::config
