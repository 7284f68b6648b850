// No key, whatever its bytes, reads or writes what belongs to another scope; and what is wrong with
// a request is said by a clear error.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "libs/client/cache/cache_client.h"
#include "libs/clock/clock.h"
#include "libs/status/status.h"
#include "tests/harness/cache_server.h"

namespace slipstream::cache_client {
namespace {

using cache::v1::CacheKey;
using testing_harness::CacheServer;

class HostileKeysTest : public testing::Test {
 protected:
  static CacheKey Key(const std::string& text, CacheKey::Scope scope = CacheKey::USER,
                      const std::string& role = "") {
    CacheKey out;
    out.set_namespace_("shop");
    out.set_type(CacheKey::API_RESPONSE);
    out.set_scope(scope);
    out.set_role(role);
    out.set_key(text);
    return out;
  }
  template <class T>
  T Await(Async<T> coroutine) {
    return boost::asio::co_spawn(server_.executor(), std::move(coroutine), boost::asio::use_future)
        .get();
  }
  absl::Status Set(const std::string& user, const std::string& role, CacheKey key,
                   const std::string& value = "v", cache::v1::EntryOptions options = {}) {
    return Await(client_.Set(CacheServer::As(user, role), std::move(key), value, options)).status();
  }
  // What alice reads: a value, "MISS", or the error's reason.
  std::string Read(CacheKey key) {
    const auto found = Await(client_.Get(CacheServer::As("alice"), std::move(key)));
    if (!found.ok()) return status::Reason(found.status());
    return found->has_value() ? (*found)->value : "MISS";
  }
  static std::string FieldOf(const absl::Status& status) {
    const auto violations = status::FieldViolations(status);
    return violations.empty() ? status::Reason(status) : violations[0].field;
  }

  clock::SystemClock clock_;
  CacheServer server_{clock_};
  CacheClient client_{server_.channel()};
};

// What could join, cut, hide or match parts of an entry's name.
std::vector<std::string> HostileKeys() {
  using std::string_literals::operator""s;
  std::vector<std::string> out = {"k",
                                  "*",
                                  "?",
                                  "[a-z]",
                                  "**",
                                  "k*",
                                  "\\k",
                                  "../k",
                                  "..",
                                  "/",
                                  "//",
                                  "shop/api_response/k",
                                  "/shop/api_response/k",
                                  "bob/k",
                                  "user:bob/k",
                                  "u:bob:k",
                                  "alice\0bob"s,
                                  "\0"s,
                                  "\0k"s,
                                  "k\0"s,
                                  "bob\0k"s,
                                  "u\0\3bob"s,
                                  "r\0\5admin"s,
                                  "\x01",
                                  "\x7f",
                                  "\xff\xff",
                                  "\xc0\x80",
                                  "k\xcc\x81",
                                  "\xe2\x80\xae"
                                  "bok",
                                  "\xef\xbb\xbfk",
                                  "K",
                                  "k ",
                                  " k",
                                  "k\n",
                                  "k\r\nDEL x",
                                  "k;FLUSHALL",
                                  "{k}",
                                  "k}",
                                  "$1",
                                  "%00",
                                  "%2e%2e%2f",
                                  "k'--",
                                  "<k>",
                                  "__proto__",
                                  "role=admin",
                                  "scope=USER&user=bob"};
  out.push_back(std::string(4096, 'k'));
  out.push_back(std::string(4095, 'k') + '\0');
  out.push_back(std::string(4096, '*'));
  out.push_back(std::string(4096, '\xff'));
  // What an entry's id looks like inside, as far as it can be guessed.
  for (const char kind : {'u', 'r', 't', 'p'}) {
    out.push_back(std::string(1, kind) + "\0\3bob\1\4shop"s + std::string(32, 'd'));
  }
  return out;
}

TEST_F(HostileKeysTest, NoKeyReachesAnotherScope) {
  for (const std::string& text : HostileKeys()) {
    ASSERT_TRUE(Set("bob", "user", Key(text), "bob's").ok()) << text;
    ASSERT_TRUE(Set("root", "admin", Key(text, CacheKey::ROLE, "admin"), "the admins'").ok());
    ASSERT_TRUE(Set("root", "admin", Key(text), "root's").ok());
  }
  for (const std::string& text : HostileKeys()) {
    EXPECT_EQ(Read(Key(text)), "MISS") << text;
    EXPECT_EQ(Read(Key(text, CacheKey::PUBLIC)), "MISS") << text;
    EXPECT_EQ(Read(Key(text, CacheKey::TENANT)), "MISS") << text;
    EXPECT_EQ(Read(Key(text, CacheKey::ROLE, "user")), "MISS") << text;
    EXPECT_EQ(Read(Key(text, CacheKey::ROLE, "admin")), "ROLE_NOT_HELD") << text;
  }
  // Each key names one entry: none of bob's took another's place.
  for (const std::string& text : HostileKeys()) {
    const auto found = Await(client_.Get(CacheServer::As("bob"), Key(text)));
    ASSERT_TRUE(found.ok() && found->has_value()) << text;
    EXPECT_EQ((*found)->value, "bob's");
  }
  // No pattern, namespace or key of alice's removes them either.
  for (const char* glob : {"*", "shop/*", "*bob*", "*\\*"}) {
    cache::v1::InvalidateRequest request;
    request.set_glob(glob);
    ASSERT_TRUE(Await(client_.Invalidate(CacheServer::As("alice"), request)).ok()) << glob;
  }
  for (const std::string& text : HostileKeys()) {
    ASSERT_EQ(*Await(client_.Delete(CacheServer::As("alice"), Key(text))), false);
    EXPECT_TRUE((*Await(client_.Get(CacheServer::As("bob"), Key(text)))).has_value()) << text;
  }
}

// Nobody puts words into what others read without the right to.
TEST_F(HostileKeysTest, SharedEntriesAreWrittenByThoseWhoMay) {
  const auto reason = [&](const char* role, CacheKey key) {
    return status::Reason(Set("x", role, std::move(key)));
  };
  const CacheKey pub = Key("k", CacheKey::PUBLIC), tenant = Key("k", CacheKey::TENANT);
  EXPECT_EQ(reason("user", pub), "SHARED_WRITE_DENIED");
  EXPECT_EQ(reason("user", Key("k", CacheKey::ROLE, "user")), "SHARED_WRITE_DENIED");
  EXPECT_EQ(reason("user", tenant), "SHARED_WRITE_DENIED");
  EXPECT_EQ(reason("tenant_admin", pub), "SHARED_WRITE_DENIED");
  EXPECT_EQ(reason("tenant_admin", tenant), "");
  for (const char* role : {"service", "admin"}) {
    EXPECT_EQ(reason(role, pub), "") << role;
    EXPECT_EQ(reason(role, tenant), "") << role;
    EXPECT_EQ(reason(role, Key("k", CacheKey::ROLE, role)), "") << role;
  }
  EXPECT_EQ(Read(pub), "v") << "everybody reads it";
  EXPECT_EQ(Read(tenant), "v");
  // Every other way to write, or to take away.
  const auto alice = CacheServer::As("alice");
  EXPECT_EQ(status::Reason(Await(client_.Delete(alice, pub)).status()), "SHARED_WRITE_DENIED");
  EXPECT_EQ(status::Reason(Await(client_.GetOrLease(alice, pub, {})).status()),
            "SHARED_WRITE_DENIED");
  EXPECT_EQ(status::Reason(Await(client_.Fill(alice, pub, "token", "v")).status()),
            "SHARED_WRITE_DENIED");
  cache::v1::SetRequest entry;
  *entry.mutable_key() = pub;
  EXPECT_EQ(status::Reason((*Await(client_.SetMany(alice, {entry})))[0].status()),
            "SHARED_WRITE_DENIED");
  cache::v1::InvalidateRequest by_key, by_space, by_glob;
  *by_key.mutable_key() = pub;
  by_space.set_namespace_("shop");
  by_glob.set_glob("*");
  EXPECT_EQ(status::Reason(Await(client_.Invalidate(alice, by_key)).status()),
            "SHARED_WRITE_DENIED");
  EXPECT_TRUE(Await(client_.Invalidate(alice, by_space)).ok());
  EXPECT_TRUE(Await(client_.Invalidate(alice, by_glob)).ok());
  EXPECT_EQ(Read(pub), "v") << "those two reach what she may write";
  EXPECT_TRUE(Await(client_.Invalidate(CacheServer::As("s", "service"), by_space)).ok());
  EXPECT_EQ(Read(pub), "MISS");
}

TEST_F(HostileKeysTest, HostileRolesAndNamespacesAreRefused) {
  for (const std::string& role :
       {std::string("admin"), std::string("*"), std::string("user\0admin", 10),
        std::string("ADMIN"), std::string(" admin"), std::string("user,admin")}) {
    EXPECT_EQ(Read(Key("k", CacheKey::ROLE, role)), "ROLE_NOT_HELD") << role;
  }
  EXPECT_EQ(Read(Key("k", CacheKey::ROLE, "")), "INVALID_FIELD");
  EXPECT_EQ(Read(Key("k", CacheKey::USER, "admin")), "INVALID_FIELD") << "a role with scope USER";
  for (const char* space : {"", "*", "shop/x", "Shop", "shop ", "sh\xc3\xb6p", "../shop"}) {
    CacheKey key = Key("k");
    key.set_namespace_(space);
    EXPECT_EQ(Read(key), "INVALID_FIELD") << space;
  }
}

TEST_F(HostileKeysTest, BadInputIsSaidClearly) {
  const auto field = [&](CacheKey key, const std::string& value,
                         cache::v1::EntryOptions options = {}) {
    const absl::Status status = Set("alice", "user", std::move(key), value, std::move(options));
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return FieldOf(status);
  };
  const auto ttl = [](int64_t ms) {
    cache::v1::EntryOptions out;
    out.set_ttl_ms(ms);
    return out;
  };
  EXPECT_EQ(field(Key(""), "v"), "key.key");
  EXPECT_EQ(field(Key(std::string(4097, 'k')), "v"), "key.key");
  EXPECT_EQ(field(Key("k", CacheKey::SCOPE_UNSPECIFIED), "v"), "key.scope");
  EXPECT_EQ(field(Key("k"), "v", ttl(0)), "options.ttl_ms");
  EXPECT_EQ(field(Key("k"), "v", ttl(-1)), "options.ttl_ms");
  EXPECT_EQ(field(Key("k"), "v", ttl(int64_t{30} * 24 * 3600 * 1000 + 1)), "options.ttl_ms");
  EXPECT_TRUE(Set("alice", "user", Key("k"), "v", ttl(int64_t{30} * 24 * 3600 * 1000)).ok());
  EXPECT_EQ(field(Key("k"), std::string((1 << 20) + 1, 'x')), "value");
  // 10 MB are more than a message may have; what comes is an error, not a lost connection.
  const absl::Status large = Set("alice", "user", Key("k"), std::string(10 << 20, 'x'));
  EXPECT_TRUE(absl::IsResourceExhausted(large)) << large;
  EXPECT_TRUE(Set("alice", "user", Key("k"), "v").ok()) << "and the next call works";

  for (const std::string& glob :
       {std::string("["), std::string("a["), std::string("\\"), std::string(""),
        std::string("*a*b*c*d*e*f*g*h*i*"), std::string(257, 'a')}) {
    cache::v1::InvalidateRequest request;
    request.set_glob(glob);
    const auto refused = Await(client_.Invalidate(CacheServer::As("alice"), request));
    EXPECT_EQ(FieldOf(refused.status()), "glob") << glob;
  }
  CacheKey foreign = Key("k", CacheKey::ROLE, "admin");
  EXPECT_TRUE(absl::IsPermissionDenied(Set("alice", "user", foreign)));
  auto homeless = CacheServer::As("alice");
  homeless.metadata[2].second = "";
  EXPECT_EQ(status::Reason(Await(client_.Get(homeless, Key("k", CacheKey::TENANT))).status()),
            "NO_TENANT");
}

}  // namespace
}  // namespace slipstream::cache_client
