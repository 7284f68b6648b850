#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "services/cache/watch_log.h"
#include "services/cache/watch_scope.h"

namespace slipstream::cache {
namespace {

auth::Principal Who(std::string user, std::vector<std::string> roles) {
  auth::Principal out;
  out.user = std::move(user);
  out.roles = std::move(roles);
  return out;
}

Invalidation OfTag(const auth::Principal& who, const std::string& tag) {
  return Invalidation::OfTags(Invalidation::kTag, *CallerScopes(who).Tags("shop", tag));
}

Invalidation OfKey(const auth::Principal& who, v1::CacheKey::Scope scope,
                   const std::string& text = "k") {
  v1::CacheKey asked;
  asked.set_namespace_("shop");
  asked.set_type(v1::CacheKey::SEARCH_RESULTS);
  asked.set_scope(scope);
  if (scope == v1::CacheKey::ROLE) asked.set_role(who.roles[0]);
  asked.set_key(text);
  const auto key = CallerScopes(who).Key(asked);
  EXPECT_TRUE(key.ok()) << key.status();
  return Invalidation::OfKey(key->id(), key->user_key());
}

TEST(InvalidationTest, ComesBackAsItWas) {
  using namespace std::string_literals;
  const auto alice = Who("alice", {"user"});
  Invalidation key = OfKey(alice, v1::CacheKey::USER, "a\0b"s);
  auto back = Invalidation::Decode(key.Encode());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->id, key.id);
  EXPECT_EQ(back->user_key, "a\0b"s);
  back = Invalidation::Decode(OfTag(alice, "red").Encode());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->kind, Invalidation::kTag);
  EXPECT_EQ(back->tags, OfTag(alice, "red").tags);
  back = Invalidation::Decode(
      Invalidation::OfGlob(*CallerScopes(alice).Matching("shop/[a-z]*")).Encode());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->filter->glob(), "shop/[a-z]*");
  EXPECT_FALSE(back->filter->all_scopes());
  EXPECT_EQ(back->filter->scopes(), CallerScopes(alice).AllScopes());
  back =
      Invalidation::Decode(Invalidation::OfGlob(*CallerScopes::MatchingInAllScopes("*")).Encode());
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(back->filter->all_scopes());
}

TEST(InvalidationTest, DamagedBytesAreRefused) {
  const std::string good = OfKey(Who("alice", {"user"}), v1::CacheKey::USER).Encode();
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(Invalidation::Decode(good.substr(0, size)).ok()) << size;
  }
  for (const std::string bad : {"", "K", "T\xff\xff\xff\xff", "G", "E", "Rx", "?"}) {
    EXPECT_FALSE(Invalidation::Decode(bad).ok()) << bad;
  }
}

TEST(WatchScopeTest, NobodyIsToldOfOthersScopes) {
  const auto alice = Who("alice", {"user"}), bob = Who("bob", {"user"}), root = Who("r", {"admin"});
  const WatchScope scope(CallerScopes(alice).AllScopes(), {});
  v1::Invalidation out;
  EXPECT_TRUE(scope.Put(OfKey(alice, v1::CacheKey::USER), &out));
  EXPECT_EQ(out.key().key(), "k");
  EXPECT_EQ(out.key().scope(), v1::CacheKey::USER);
  EXPECT_EQ(out.key().type(), v1::CacheKey::SEARCH_RESULTS);
  EXPECT_TRUE(scope.Put(OfKey(bob, v1::CacheKey::PUBLIC), &out));
  EXPECT_TRUE(scope.Put(OfKey(bob, v1::CacheKey::ROLE), &out));
  EXPECT_EQ(out.key().role(), "user");
  v1::Invalidation untouched;
  EXPECT_FALSE(scope.Put(OfKey(bob, v1::CacheKey::USER), &untouched));
  EXPECT_FALSE(scope.Put(OfKey(root, v1::CacheKey::ROLE), &untouched));
  Invalidation bobs_own = OfTag(bob, "red");
  bobs_own.tags = {bobs_own.tags.back()};  // without what both share
  EXPECT_FALSE(scope.Put(bobs_own, &untouched));
  EXPECT_EQ(untouched.ByteSizeLong(), 0u);
  EXPECT_TRUE(scope.Put(OfTag(bob, "red"), &out)) << "the public scope's is both's";
  EXPECT_EQ(out.tag().tag(), "red");
}

TEST(WatchScopeTest, OnlyTheNamespacesAskedFor) {
  const auto alice = Who("alice", {"user"});
  const WatchScope scope(CallerScopes(alice).AllScopes(), {"other"});
  v1::Invalidation out;
  EXPECT_FALSE(scope.Put(OfKey(alice, v1::CacheKey::USER), &out));
  EXPECT_FALSE(scope.Put(OfTag(alice, "red"), &out));
}

TEST(WatchLogTest, GoesOnWhereOneStopped) {
  const auto alice = Who("alice", {"user"});
  WatchLog log("e");
  const std::string begin = log.Head();
  for (int i = 0; i < 5; ++i) log.Append(OfTag(alice, std::to_string(i)));
  auto portion = log.After(begin, 3);
  EXPECT_EQ(portion.items.size(), 3u);
  portion = log.After(portion.position, 3);
  ASSERT_EQ(portion.items.size(), 2u);
  EXPECT_EQ(portion.items[0].offset, 4u);
  EXPECT_TRUE(log.After(portion.position, 3).items.empty());
}

TEST(WatchLogTest, WhatIsNotCoveredIsAReset) {
  const auto alice = Who("alice", {"user"});
  WatchLog log("e");
  const std::string begin = log.Head();
  for (size_t i = 0; i <= WatchLog::kMaxKeptCount; ++i) log.Append(OfTag(alice, "t"));
  EXPECT_TRUE(log.After(begin, 1).reset);
  EXPECT_FALSE(log.After("e:1", 1).reset);
  for (const char* bad : {"", "e", "e:", "e:x", "f:1", "e:99999999"}) {
    EXPECT_TRUE(log.After(bad, 1).reset) << bad;
  }
  log.Restart("f", 10);
  EXPECT_TRUE(log.After("e:4000", 1).reset);
  EXPECT_EQ(log.Head(), "f:10");
  EXPECT_FALSE(log.After("f:10", 1).reset);
}

}  // namespace
}  // namespace slipstream::cache
