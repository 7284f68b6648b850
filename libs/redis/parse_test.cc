// What needs no server: the URL, the protocol, errors, hash slots, SHA-1.
#include <string>

#include "gtest/gtest.h"
#include "libs/redis/cluster_slots.h"
#include "libs/redis/errors.h"
#include "libs/redis/request.h"
#include "libs/redis/resp.h"
#include "libs/redis/script.h"
#include "libs/redis/url.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

TEST(Url, EveryForm) {
  auto url = ParseUrl("redis://user:p%40s%2Fs@db.example.com:7000/3");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->mode, Url::Mode::kSingle);
  EXPECT_FALSE(url->tls);
  EXPECT_EQ(url->user, "user");
  EXPECT_EQ(url->password, "p@s/s");
  EXPECT_EQ(url->hosts, (std::vector<Endpoint>{{"db.example.com", 7000}}));
  EXPECT_EQ(url->db, 3);

  url = ParseUrl("rediss+sentinel://:pw@s1,s2:5000,[::1]:6000/mymaster/1");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->mode, Url::Mode::kSentinel);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->user, "");
  EXPECT_EQ(url->hosts, (std::vector<Endpoint>{{"s1", 26379}, {"s2", 5000}, {"::1", 6000}}));
  EXPECT_EQ(url->hosts[2].ToString(), "[::1]:6000");
  EXPECT_EQ(url->master_name, "mymaster");
  EXPECT_EQ(url->db, 1);

  url = ParseUrl("redis+cluster://a,b:7001");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->hosts, (std::vector<Endpoint>{{"a", 6379}, {"b", 7001}}));
}

TEST(Url, ABadOneIsRefusedWithoutQuotingIt) {
  for (const char* text : {"",
                           "s3cret",
                           "http://s3cret@h",
                           "redis://",
                           "redis://:s3cret@",
                           "redis://s3cret@h",
                           "redis://u:s3cret@h:x",
                           "redis://u:s3cret@h:70000",
                           "redis://u:s3cret@h:0",
                           "redis://u:%zz@h",
                           "redis://u:s3/cret@h",
                           "redis://u:@h",
                           "redis://a,b",
                           "redis://h/x",
                           "redis://h/-1",
                           "redis://h/65536",
                           "redis+cluster://h/1",
                           "redis+sentinel://h",
                           "redis+sentinel://h/",
                           "redis+other://h",
                           "redis://h?s3cret=1",
                           "redis://::1",
                           "redis://[::1",
                           "redis://h h",
                           "redis://a,,b",
                           "redis+://h",
                           "redis://u:%4"}) {
    const absl::Status status = ParseUrl(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(status::Reason(status), kUrlInvalid) << text;
    EXPECT_EQ(status.message().find("s3"), absl::string_view::npos) << status;
  }
}

TEST(Resp, CommandsAsTheServerReadsThem) {
  std::string out;
  AppendCommand(out, {"SET", std::string("a\0b\r\n", 5), ""});
  EXPECT_EQ(out, std::string("*3\r\n$3\r\nSET\r\n$5\r\na\0b\r\n\r\n$0\r\n\r\n", 30));
}

TEST(Resp, RepliesInAnyPieces) {
  std::string all =
      "+OK\r\n:-7\r\n$-1\r\n$5\r\na\r\nb@\r\n*3\r\n:1\r\n*2\r\n$1\r\nx\r\n-ERR y\r\n*0\r\n*-1\r\n"
      "-NOSCRIPT z\r\n";
  all[all.find('@')] = '\0';
  for (size_t step = 1; step <= all.size(); ++step) {
    ReplyReader reader;
    std::vector<Value> replies;
    for (size_t at = 0; at < all.size(); at += step) {
      reader.Feed(all.data() + at, std::min(step, all.size() - at));
      Value value;
      while (reader.Read(&value) == ReplyReader::Next::kReply) replies.push_back(std::move(value));
    }
    ASSERT_EQ(replies.size(), 7U) << step;
    EXPECT_TRUE(replies[0].is_ok());
    EXPECT_EQ(replies[1].integer, -7);
    EXPECT_TRUE(replies[2].is_nil());
    EXPECT_EQ(replies[3].text, std::string("a\r\nb\0", 5));
    ASSERT_EQ(replies[4].size(), 3U);
    EXPECT_EQ(replies[4][0].integer, 1);
    EXPECT_EQ(replies[4][1][0].text, "x");
    EXPECT_TRUE(replies[4][1][1].is_error());
    EXPECT_TRUE(replies[4][2].is_array());
    EXPECT_TRUE(replies[5].is_nil());
    EXPECT_TRUE(replies[6].is_error());
    EXPECT_EQ(replies[6].text, "NOSCRIPT z");
  }
}

TEST(Resp, NonsenseIsBroken) {
  for (const char* text : {"HTTP/1.1 400 Bad Request\r\n", "*99999999\r\n:1\r\n", "$x\r\n",
                           "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"}) {
    ReplyReader reader;
    reader.Feed(text, std::string(text).size());
    Value value;
    EXPECT_EQ(reader.Read(&value), ReplyReader::Next::kBroken) << text;
    EXPECT_FALSE(reader.error().empty());
  }
}

TEST(Script, Sha1) {
  EXPECT_EQ(Script("return 1").sha1(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}

TEST(Errors, CodesAndReasons) {
  using absl::StatusCode;
  const struct {
    const char* text;
    StatusCode code;
    absl::string_view reason;
  } cases[] = {
      {"OOM command not allowed when used memory > 'maxmemory'.", StatusCode::kResourceExhausted,
       kOutOfMemory},
      {"ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -OOM command",
       StatusCode::kResourceExhausted, kOutOfMemory},
      {"NOAUTH Authentication required.", StatusCode::kUnauthenticated, kUnauthenticated},
      {"WRONGPASS invalid", StatusCode::kUnauthenticated, kUnauthenticated},
      {"NOPERM this user has no permissions to run the 'set' command",
       StatusCode::kPermissionDenied, kNoPermission},
      {"LOADING Redis is loading the dataset in memory", StatusCode::kUnavailable, kUnavailable},
      {"MASTERDOWN Link with MASTER is down", StatusCode::kUnavailable, kUnavailable},
      {"CLUSTERDOWN The cluster is down", StatusCode::kUnavailable, kUnavailable},
      {"READONLY You can't write against a read only replica.", StatusCode::kUnavailable,
       kUnavailable},
      {"TRYAGAIN Multiple keys request during rehashing of slot", StatusCode::kUnavailable,
       kUnavailable},
      {"WRONGTYPE Operation against a key", StatusCode::kInternal, kError},
      {"OOMPH", StatusCode::kInternal, kError},
  };
  for (const auto& c : cases) {
    const absl::Status status = FromErrorReply(c.text);
    EXPECT_EQ(status.code(), c.code) << c.text;
    EXPECT_EQ(status::Reason(status), c.reason) << c.text;
    EXPECT_EQ(status::RetryAfter(status).has_value(),
              c.code == StatusCode::kUnavailable || c.code == StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(status::Metadata(Unavailable("x", true), kSent), "true");
  EXPECT_EQ(status::Metadata(Unavailable("x", false), kSent), "false");
}

TEST(Errors, Redirects) {
  auto moved = ParseRedirect("MOVED 3999 127.0.0.1:6381");
  ASSERT_TRUE(moved.has_value());
  EXPECT_FALSE(moved->ask);
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->to, (Endpoint{"127.0.0.1", 6381}));
  auto ask = ParseRedirect("ASK 0 ::1:7000");
  ASSERT_TRUE(ask.has_value());
  EXPECT_TRUE(ask->ask);
  EXPECT_EQ(ask->to.host, "::1");
  EXPECT_EQ(ParseRedirect("MOVED 1 :6381")->to.host, "");
  for (const char* text : {"ERR", "MOVED 16384 a:1", "MOVED -1 a:1", "MOVED 1 a", "MOVED 1 a:0"}) {
    EXPECT_FALSE(ParseRedirect(text).has_value()) << text;
  }
}

TEST(Slots, TheSpecificationsValues) {
  EXPECT_EQ(Crc16("123456789"), 0x31C3);
  EXPECT_EQ(KeySlot("foo"), 12182);
  EXPECT_EQ(KeySlot("{user1000}.following"), KeySlot("user1000"));
  EXPECT_EQ(KeySlot("foo{}{bar}"), Crc16("foo{}{bar}") % kSlotsCount);
  EXPECT_EQ(KeySlot("foo{{bar}}zap"), KeySlot("{bar"));
  EXPECT_EQ(KeySlot("foo{bar}{zap}"), KeySlot("bar"));
  EXPECT_EQ(KeySlot(""), 0);
}

TEST(Slots, TheServersReply) {
  ReplyReader reader;
  const std::string text =
      "*2\r\n*3\r\n:0\r\n:5460\r\n*3\r\n$0\r\n\r\n:7000\r\n$2\r\nid\r\n"
      "*4\r\n:5461\r\n:16383\r\n*2\r\n$8\r\n10.0.0.2\r\n:7001\r\n*2\r\n$8\r\n10.0.0.3\r\n:7002\r\n";
  reader.Feed(text.data(), text.size());
  Value reply;
  ASSERT_EQ(reader.Read(&reply), ReplyReader::Next::kReply);
  auto ranges = ParseClusterSlots(reply, {"asked", 1});
  ASSERT_TRUE(ranges.ok()) << ranges.status();
  ASSERT_EQ(ranges->size(), 2U);
  EXPECT_EQ((*ranges)[0].owner, (Endpoint{"asked", 7000}));
  EXPECT_EQ((*ranges)[1].first, 5461);
  EXPECT_EQ((*ranges)[1].last, 16383);
  EXPECT_EQ((*ranges)[1].owner, (Endpoint{"10.0.0.2", 7001}));
  reply[0][1].integer = 16384;
  EXPECT_FALSE(ParseClusterSlots(reply, {"asked", 1}).ok());
}

}  // namespace
}  // namespace slipstream::redis
