#include "services/cache/cache_key.h"

#include <deque>
#include <set>

#include "gtest/gtest.h"
#include "libs/status/status.h"

namespace slipstream::cache {
namespace {

auth::Principal Who(std::string user, std::string tenant = "",
                    std::vector<std::string> roles = {"user"}) {
  auth::Principal out;
  out.user = std::move(user);
  out.tenant = std::move(tenant);
  out.roles = std::move(roles);
  return out;
}

// Kept for the life of the test, as a ScopedKey is a view of what it was made from.
v1::CacheKey& Asked(v1::CacheKey::Scope scope, std::string key, std::string space = "shop") {
  static auto& asked = *new std::deque<v1::CacheKey>();
  v1::CacheKey& out = asked.emplace_back();
  out.set_namespace_(std::move(space));
  out.set_type(v1::CacheKey::API_RESPONSE);
  out.set_scope(scope);
  out.set_key(std::move(key));
  return out;
}

// Keys that would break out of a name glued together with separators.
std::vector<std::string> HostileKeys() {
  using namespace std::string_literals;
  return {
      "plain",
      "shop/api_response/plain",
      "../bob/plain",
      "user:bob/plain",
      "u\x00\x03"
      "bob\x01\x04shop"s,
      "\x00"s,
      "a\x00"
      "b"s,
      "bob\x00plain"s,
      "plain\r\nscope: admin",
      "r\x00\x05"
      "admin"s,
      "*",
      "[a-z]*",
      "\xc3\xa9",   // e acute, composed
      "e\xcc\x81",  // and decomposed
      "\xe2\x80\xae"
      "bob",  // right-to-left override
      "\xff\xfe not UTF-8",
      std::string(kMaxKeyBytes, 'x'),
      std::string(kMaxKeyBytes - 1, 'x') + "y",
  };
}

TEST(CacheKeyTest, AKeyAfterAnotherIsTheSameAsAlone) {
  const auto who = Who("alice", "t1", {"user", "buyer"});
  const CallerScopes scopes(who);
  std::vector<KeyParts> asked;
  for (const auto& text : HostileKeys())
    asked.push_back(KeyParts::Of(Asked(v1::CacheKey::USER, text)));
  // Each part differs once.
  asked.push_back(KeyParts::Of(Asked(v1::CacheKey::TENANT, "k")));
  asked.push_back(KeyParts::Of(Asked(v1::CacheKey::TENANT, "k", "shopu")));
  asked.push_back(asked.back());
  asked.back().type = v1::CacheKey::LLM_RESPONSE;
  for (const char* role : {"buyer", "user"}) {
    asked.push_back(KeyParts::Of(Asked(v1::CacheKey::ROLE, "k")));
    asked.back().role = role;
  }
  const auto first = scopes.Key(asked[0]);
  ASSERT_TRUE(first.ok());
  ScopedKey before = *first;
  std::set<std::string> ids{before.id()};
  const auto other = Who("bob-of-the-long-name", "t2", {"user"});
  const auto others_key = Asked(v1::CacheKey::TENANT, std::string(32, 'o'), "elsewhere");
  ScopedKey used = *CallerScopes(other).Key(others_key);
  for (size_t i = 1; i < asked.size(); ++i) {
    auto alone = scopes.Key(asked[i]);
    ScopedKey after = before;
    const absl::Status put = scopes.PutKeyAfter(before, asked[i - 1], asked[i], {}, &after);
    ASSERT_TRUE(alone.ok() && put.ok()) << i << alone.status() << put;
    EXPECT_EQ(after.id(), alone->id());
    EXPECT_EQ(after.hash(), alone->hash());
    EXPECT_EQ(after.owner(), alone->owner());
    EXPECT_EQ(after.type(), alone->type());
    EXPECT_EQ(after.space(), alone->space());
    EXPECT_EQ(after.user_key(), alone->user_key());
    // Nothing is left of what was in the memory before.
    ASSERT_TRUE(scopes.PutKeyAfter(before, asked[i - 1], asked[i], {}, &used).ok());
    EXPECT_EQ(used.id(), alone->id());
    EXPECT_EQ(used.hash(), alone->hash());
    EXPECT_EQ(used.owner(), alone->owner());
    EXPECT_EQ(used.type(), alone->type());
    EXPECT_EQ(used.space(), alone->space());
    EXPECT_EQ(used.user_key(), alone->user_key());
    ids.insert(after.id());
    before = std::move(after);
  }
  EXPECT_EQ(ids.size(), asked.size());
}

TEST(CacheKeyTest, AKeyAfterAnotherIsRefusedLikeOneAlone) {
  const auto who = Who("alice", "", {"user"});
  const CallerScopes scopes(who);
  const KeyParts good = KeyParts::Of(Asked(v1::CacheKey::USER, "k"));
  const auto before = scopes.Key(good);
  const std::string long_key(kMaxKeyBytes + 1, 'x');
  KeyParts no_key = good, long_one = good, no_type = good, no_space = good, no_tenant = good,
           foreign_role = good;
  no_key.key = "";
  long_one.key = long_key;
  no_type.type = 0;
  no_space.space = "";
  no_tenant.scope = v1::CacheKey::TENANT;
  foreign_role.scope = v1::CacheKey::ROLE;
  foreign_role.role = "admin";
  for (const auto& bad : {no_key, long_one, no_type, no_space, no_tenant, foreign_role}) {
    const auto alone = scopes.Key(bad, {"keys", 1});
    ScopedKey after = *before;
    const absl::Status put = scopes.PutKeyAfter(*before, good, bad, {"keys", 1}, &after);
    EXPECT_FALSE(put.ok());
    EXPECT_EQ(put, alone.status());
  }
}

TEST(CacheKeyTest, EveryScopeNamespaceTypeAndKeyHasItsOwnId) {
  const std::vector<auth::Principal> callers = {Who("alice"),
                                                Who("bob"),
                                                Who("alic"),
                                                Who("alicee"),
                                                Who("admin", "", {"admin"}),
                                                Who("t1"),
                                                Who("shop", "alice"),
                                                Who("x", "t1", {"user", "alice"})};
  std::set<std::string> ids;
  size_t made = 0;
  for (const auto& who : callers) {
    const CallerScopes scopes(who);
    for (const auto& text : HostileKeys()) {
      for (const char* space : {"shop", "sho", "shopu"}) {
        const auto id = scopes.Key(Asked(v1::CacheKey::USER, text, space));
        ASSERT_TRUE(id.ok()) << id.status();
        ids.insert(id->id());
        ++made;
      }
    }
  }
  // The same names as tenant and as role, and public: scopes of another kind.
  const auto wide = Who("alice", "bob", {"bob", "alice"});
  for (const auto& text : HostileKeys()) {
    auto role = Asked(v1::CacheKey::ROLE, text);
    role.set_role("alice");
    for (const auto& key :
         {Asked(v1::CacheKey::TENANT, text), role, Asked(v1::CacheKey::PUBLIC, text)}) {
      const auto id = CallerScopes(wide).Key(key);
      ASSERT_TRUE(id.ok()) << id.status();
      ids.insert(id->id());
      ++made;
    }
  }
  EXPECT_EQ(ids.size(), made);
}

TEST(CacheKeyTest, IdSaysScopeTypeAndNamespaceVerbatim) {
  const auto key = CallerScopes(Who("alice")).Key(Asked(v1::CacheKey::USER, "k", "shop.eu-1"));
  ASSERT_TRUE(key.ok());
  const IdParts parts = ParseId(key->id());
  EXPECT_EQ(parts.scope.substr(3), "alice");
  EXPECT_EQ(parts.type, v1::CacheKey::API_RESPONSE);
  EXPECT_EQ(parts.space, "shop.eu-1");
  EXPECT_EQ(key->space(), "shop.eu-1");
  const ScopedKey moved = *key;  // views follow the copy
  EXPECT_EQ(moved.space(), "shop.eu-1");
}

TEST(CacheKeyTest, RefusesWhatTheTokenDoesNotGive) {
  auto admin = Asked(v1::CacheKey::ROLE, "k");
  admin.set_role("admin");
  auto refused = CallerScopes(Who("alice")).Key(admin).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(status::Reason(refused), "ROLE_NOT_HELD");
  EXPECT_TRUE(CallerScopes(Who("root", "", {"admin"})).Key(admin).ok());
  refused = CallerScopes(Who("alice")).Key(Asked(v1::CacheKey::TENANT, "k")).status();
  EXPECT_EQ(status::Reason(refused), "NO_TENANT");
  EXPECT_EQ(status::Reason(CallerScopes(Who("")).Key(Asked(v1::CacheKey::USER, "k")).status()),
            "NO_USER");
}

TEST(CacheKeyTest, BadFieldsAreNamed) {
  const auto alice = Who("alice");
  const CallerScopes scopes(alice);
  auto field = [&](const v1::CacheKey& key, FieldPath path = {"keys", 3}) {
    const auto violations = status::FieldViolations(scopes.Key(key, path).status());
    return violations.empty() ? std::string("none") : violations[0].field;
  };
  EXPECT_EQ(field(Asked(v1::CacheKey::USER, "")), "keys[3].key");
  EXPECT_EQ(field(Asked(v1::CacheKey::USER, std::string(kMaxKeyBytes + 1, 'x'))), "keys[3].key");
  EXPECT_EQ(field(Asked(v1::CacheKey::USER, "k", "")), "keys[3].namespace");
  EXPECT_EQ(field(Asked(v1::CacheKey::USER, "k", "Shop")), "keys[3].namespace");
  EXPECT_EQ(field(Asked(v1::CacheKey::USER, "k", "a/b")), "keys[3].namespace");
  EXPECT_EQ(field(Asked(v1::CacheKey::USER, "k", std::string(65, 'a'))), "keys[3].namespace");
  EXPECT_EQ(field(Asked(v1::CacheKey::SCOPE_UNSPECIFIED, "k")), "keys[3].scope");
  EXPECT_EQ(field(Asked(static_cast<v1::CacheKey::Scope>(77), "k")), "keys[3].scope");
  EXPECT_EQ(field(Asked(v1::CacheKey::ROLE, "k")), "keys[3].role");
  auto key = Asked(v1::CacheKey::USER, "k");
  key.set_role("user");
  EXPECT_EQ(field(key), "keys[3].role");
  key = Asked(v1::CacheKey::USER, "k");
  key.set_type(v1::CacheKey::TYPE_UNSPECIFIED);
  EXPECT_EQ(field(key), "keys[3].type");
  key.set_type(static_cast<Type>(99));
  EXPECT_EQ(field(key), "keys[3].type");
  EXPECT_EQ(FieldPath{}.At("value"), "value");
  EXPECT_EQ((FieldPath{"entries", 3, "key"}).At("type"), "entries[3].key.type");
}

TEST(CacheKeyTest, AFilterKeepsToTheCallersScopes) {
  const auto alice = Who("alice", "t1"), bob = Who("bob", "t1");
  const auto hers = *CallerScopes(alice).Key(Asked(v1::CacheKey::USER, "a/b"));
  const auto his = *CallerScopes(bob).Key(Asked(v1::CacheKey::USER, "a/b"));
  const auto ours = *CallerScopes(bob).Key(Asked(v1::CacheKey::TENANT, "a/b"));
  const auto filter = *CallerScopes(alice).Matching("shop/api_response/a*");
  EXPECT_TRUE(filter.Matches(hers.id(), hers.user_key()));
  EXPECT_TRUE(filter.Matches(ours.id(), ours.user_key()));
  EXPECT_FALSE(filter.Matches(his.id(), his.user_key()));
  EXPECT_TRUE(CallerScopes::MatchingInAllScopes("*")->Matches(his.id(), his.user_key()));
  EXPECT_FALSE(CallerScopes::MatchingInAllScopes("other/*")->Matches(his.id(), his.user_key()));
}

TEST(GlobTest, Matches) {
  auto matches = [](std::string_view glob, std::string_view text) {
    const auto compiled = Glob::Compile(glob);
    EXPECT_TRUE(compiled.ok()) << glob << ": " << compiled.status();
    return compiled.ok() && compiled->Matches(text);
  };
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("shop/search_results/*", "shop/search_results/a/b"));
  EXPECT_FALSE(matches("shop/search_results/*", "shop/search_result/a"));
  EXPECT_TRUE(matches("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(matches("a*b*c", "aXbYbZ"));
  EXPECT_TRUE(matches("a?c", "abc"));
  EXPECT_FALSE(matches("a?c", "ac"));
  EXPECT_TRUE(matches("[a-c0]x", "0x"));
  EXPECT_FALSE(matches("[a-c]x", "dx"));
  EXPECT_TRUE(matches("[a-]", "-"));
  EXPECT_TRUE(matches("[\\]]", "]"));
  EXPECT_TRUE(matches("\\*", "*"));
  EXPECT_FALSE(matches("\\*", "a"));
  EXPECT_TRUE(matches("x*", std::string_view("x\0y", 3)));
  EXPECT_FALSE(matches("*a*a*a*a*a*a*a*b", std::string(4096, 'a')));
}

TEST(GlobTest, RefusesBadPatterns) {
  for (const char* bad : {"", "[", "[a", "[]", "[z-a]", "a\\", "[a\\", "*a*a*a*a*a*a*a*a*"}) {
    EXPECT_FALSE(Glob::Compile(bad).ok()) << bad;
  }
  EXPECT_FALSE(Glob::Compile(std::string(257, 'a')).ok());
  EXPECT_TRUE(Glob::Compile(std::string(256, 'a')).ok());
}

TEST(CacheKeyTest, ALongKeyIsHashedAndItsDigestAsAKeyIsAnotherOne) {
  const auth::Principal alice = Who("alice");
  const CallerScopes scopes(alice);
  const std::string limit(32, 'k');
  const auto verbatim = scopes.Key(Asked(v1::CacheKey::USER, limit));
  const auto hashed = scopes.Key(Asked(v1::CacheKey::USER, limit + "k"));
  ASSERT_TRUE(verbatim.ok() && hashed.ok());
  EXPECT_TRUE(verbatim->id().ends_with(limit));
  const std::string digest = hashed->id().substr(hashed->id().size() - 32);
  const auto mimic = scopes.Key(Asked(v1::CacheKey::USER, digest));
  ASSERT_TRUE(mimic.ok());
  EXPECT_EQ(mimic->id().size(), hashed->id().size());
  EXPECT_NE(mimic->id(), hashed->id());
}

TEST(CacheKeyTest, OnlyIdsOfKeysAreTakenForThem) {
  const auth::Principal alice = Who("alice");
  const CallerScopes scopes(alice);
  for (const size_t size : {1, 31, 32, 33, 4096}) {
    const auto key = scopes.Key(Asked(v1::CacheKey::USER, std::string(size, 'x')));
    ASSERT_TRUE(key.ok());
    const std::string& id = key->id();
    EXPECT_TRUE(IsKeyId(id)) << size;
    const size_t form_at = id.size() - std::min<size_t>(size, 32) - 1;
    EXPECT_FALSE(IsKeyId(id.substr(0, form_at + 1))) << "without a key";
    EXPECT_FALSE(IsKeyId(id + std::string(33, 'x'))) << "longer than any";
    std::string other = id;
    other[form_at] = '?';
    EXPECT_FALSE(IsKeyId(other));
  }
  const auto hashed = scopes.Key(Asked(v1::CacheKey::USER, std::string(33, 'x')));
  EXPECT_FALSE(IsKeyId(hashed->id().substr(0, hashed->id().size() - 1))) << "half a digest";
}

}  // namespace
}  // namespace slipstream::cache
