#include "services/cache/cache_engine.h"

#include <deque>
#include <numeric>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"
#include "services/cache/await.h"
#include "services/cache/local_cache_store.h"
#include "services/cache/secrets/corpus.h"

namespace slipstream::cache {
namespace {

class CacheEngineTest : public testing::Test {
 protected:
  ScopedKey Key(const std::string& text, const auth::Principal& who,
                Type type = v1::CacheKey::SEARCH_RESULTS,
                v1::CacheKey::Scope scope = v1::CacheKey::USER, const std::string& role = "") {
    v1::CacheKey& asked = asked_.emplace_back();
    asked.set_namespace_("shop");
    asked.set_type(type);
    asked.set_scope(scope);
    asked.set_role(role);
    asked.set_key(text);
    auto key = CallerScopes(who).Key(asked);
    EXPECT_TRUE(key.ok()) << key.status();
    return *std::move(key);
  }
  ScopedKey Key(const std::string& text, Type type = v1::CacheKey::SEARCH_RESULTS) {
    return Key(text, alice_, type);
  }
  absl::StatusOr<uint64_t> Set(const ScopedKey& key, const std::string& value,
                               v1::EntryOptions options = {},
                               std::optional<uint64_t> if_version = {}) {
    const SetItem item{&key, value, &options, if_version, {}};
    return Await(engine_.Set(item));
  }
  absl::StatusOr<std::optional<uint64_t>> Fill(const ScopedKey& key, const std::string& value,
                                               const std::string& token,
                                               v1::EntryOptions options = {}) {
    const SetItem item{&key, value, &options, {}, {}};
    return Await(engine_.Fill(item, token));
  }
  Found Find(const ScopedKey& key) {
    Found found;
    EXPECT_TRUE(engine_.GetNow(key, &found)) << "memory alone answers inline";
    return found;
  }
  bool Delete(const ScopedKey& key) { return Await(engine_.Delete(key))->existed[0]; }
  int64_t Invalidate(Invalidation what) {
    return Await(engine_.Invalidate(std::move(what)))->erased_count;
  }
  std::string Get(const ScopedKey& key) {
    const Found found = Find(key);
    if (found.freshness == Found::kMiss) return "MISS";
    return (found.freshness == Found::kStale ? "STALE " : "HIT ") +
           std::string(found.entry->value());
  }
  LeaseAnswer Lease(const ScopedKey& key, bool accept_stale = false) {
    return Await(engine_.GetOrLease(key, CacheEngine::kDefaultLease, accept_stale));
  }
  static v1::EntryOptions Ttl(int64_t ttl_ms, int64_t soft_ms = 0) {
    v1::EntryOptions out;
    out.set_ttl_ms(ttl_ms);
    if (soft_ms != 0) out.set_soft_ttl_ms(soft_ms);
    return out;
  }
  static auth::Principal Who(std::string user, std::vector<std::string> roles) {
    auth::Principal out;
    out.user = std::move(user);
    out.tenant = "acme";
    out.roles = std::move(roles);
    return out;
  }
  static std::string FieldOf(const absl::Status& status) {
    const auto violations = status::FieldViolations(status);
    return violations.empty() ? status.ToString() : violations[0].field;
  }

  std::deque<v1::CacheKey> asked_;
  const auth::Principal alice_ = Who("alice", {"user"});
  const auth::Principal bob_ = Who("bob", {"user"});
  const auth::Principal admin_ = Who("root", {"admin"});
  clock::FakeClock clock_;
  random::SeededRandom random_{1};
  LocalCacheStore store_{{}, 7, "epoch"};
  CacheEngine engine_{{store_, clock_, random_}, {}};
};

TEST_F(CacheEngineTest, SoftAndHardEndAtTheirMillisecond) {
  const ScopedKey key = Key("k");
  ASSERT_TRUE(Set(key, "v", Ttl(1000, 400)).ok());
  Found found = Find(key);
  EXPECT_EQ(found.ttl_left_ms, 1000);
  EXPECT_EQ(found.age_ms, 0);
  clock_.Advance(absl::Milliseconds(399));
  EXPECT_EQ(Get(key), "HIT v");
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(Get(key), "STALE v");
  clock_.Advance(absl::Milliseconds(599));
  found = Find(key);
  EXPECT_EQ(found.freshness, Found::kStale);
  EXPECT_EQ(found.ttl_left_ms, 1);
  EXPECT_EQ(found.age_ms, 999);
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(Get(key), "MISS");
}

TEST_F(CacheEngineTest, DefaultLifetimesOfTheTypesWithJitter) {
  const std::vector<std::pair<Type, int64_t>> defaults = {
      {v1::CacheKey::API_RESPONSE, 300},  {v1::CacheKey::SEARCH_RESULTS, 600},
      {v1::CacheKey::BUDGET_STATUS, 60},  {v1::CacheKey::LLM_RESPONSE, 1800},
      {v1::CacheKey::USER_SESSION, 3600}, {v1::CacheKey::VECTOR_SEARCH, 900},
      {v1::CacheKey::SYSTEM_STATS, 120}};
  for (const auto& [type, seconds] : defaults) {
    std::set<int64_t> seen;
    for (int i = 0; i < 20; ++i) {
      const ScopedKey key = Key("k" + std::to_string(i), type);
      ASSERT_TRUE(Set(key, "v").ok());
      const int64_t left = Find(key).ttl_left_ms;
      EXPECT_LE(left, seconds * 1000);
      EXPECT_GE(left, seconds * 900);
      seen.insert(left);
    }
    EXPECT_GT(seen.size(), 10u) << "jitter of " << TypeName(type);
  }
}

TEST_F(CacheEngineTest, LifetimesOutOfBoundsAreRefused) {
  const ScopedKey key = Key("k");
  for (const int64_t bad : {int64_t{0}, int64_t{-1}, kMaxTtlMs + 1}) {
    EXPECT_EQ(FieldOf(Set(key, "v", Ttl(bad)).status()), "options.ttl_ms") << bad;
  }
  EXPECT_TRUE(Set(key, "v", Ttl(1)).ok());
  EXPECT_TRUE(Set(key, "v", Ttl(kMaxTtlMs)).ok());
  EXPECT_EQ(FieldOf(Set(key, "v", Ttl(100, 101)).status()), "options.soft_ttl_ms");
  EXPECT_EQ(FieldOf(Set(key, "v", Ttl(100, -1)).status()), "options.soft_ttl_ms");
  v1::EntryOptions soft_alone;
  soft_alone.set_soft_ttl_ms(600'000);  // the default's own length, which jitter shortens
  EXPECT_TRUE(Set(key, "v", soft_alone).ok());
  soft_alone.set_soft_ttl_ms(600'001);
  EXPECT_FALSE(Set(key, "v", soft_alone).ok());
}

TEST_F(CacheEngineTest, ValuesAndTagsOutOfBoundsAreRefused) {
  const ScopedKey key = Key("k");
  EXPECT_TRUE(Set(key, std::string(1 << 20, 'x')).ok());
  EXPECT_EQ(FieldOf(Set(key, std::string((1 << 20) + 1, 'x')).status()), "value");
  v1::EntryOptions negative;
  negative.set_negative(true);
  EXPECT_EQ(FieldOf(Set(key, "v", negative).status()), "value");
  ASSERT_TRUE(Set(key, "", negative).ok());
  EXPECT_TRUE(Find(key).entry->negative);
  v1::EntryOptions tags;
  tags.add_tags("");
  EXPECT_EQ(FieldOf(Set(key, "v", tags).status()), "options.tags");
  tags.set_tags(0, std::string(129, 't'));
  EXPECT_FALSE(Set(key, "v", tags).ok());
  tags.clear_tags();
  for (int i = 0; i < 17; ++i) tags.add_tags("t");
  EXPECT_FALSE(Set(key, "v", tags).ok());
}

TEST_F(CacheEngineTest, IfVersion) {
  const ScopedKey key = Key("k");
  EXPECT_EQ(*Set(key, "one", {}, 0), 1u);
  const auto refused = Set(key, "x", {}, 0);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status::Reason(refused.status()), "VERSION_MISMATCH");
  EXPECT_EQ(status::Metadata(refused.status(), "version"), "1");
  EXPECT_EQ(*Set(key, "two", {}, 1), 2u);
}

TEST_F(CacheEngineTest, ABatchStoresEachForItself) {
  const ScopedKey a = Key("a"), b = Key("b"), c = Key("c");
  const v1::EntryOptions good, bad = Ttl(0);
  const std::vector<SetItem> items = {{&a, "A", &good, {}, {"entries", 0}},
                                      {&b, "B", &bad, {}, {"entries", 1}},
                                      {&c, "C", &good, 9, {"entries", 2}}};
  const auto results = Await(engine_.SetMany(items));
  EXPECT_TRUE(results[0].ok());
  EXPECT_EQ(FieldOf(results[1].status()), "entries[1].options.ttl_ms");
  EXPECT_EQ(status::Reason(results[2].status()), "VERSION_MISMATCH");
  EXPECT_EQ(Get(a), "HIT A");
  EXPECT_EQ(Get(b), "MISS");
}

TEST_F(CacheEngineTest, NobodyReadsAcrossScopes) {
  using namespace std::string_literals;
  const std::vector<std::string> hostile = {"k",
                                            "bob/k",
                                            "user:bob\x00k"s,
                                            "u\x00\x03"
                                            "bob\x02\x04shopk"s,
                                            "\x00"s,
                                            "*",
                                            "../k",
                                            "\xe2\x80\xae"
                                            "bob",
                                            "\xff\xfe",
                                            std::string(kMaxKeyBytes, 'k')};
  for (const auto& text : hostile) {
    ASSERT_TRUE(Set(Key(text, bob_), "bob's").ok());
    ASSERT_TRUE(Set(Key(text, admin_), "root's").ok());
    ASSERT_TRUE(Set(Key(text, admin_, v1::CacheKey::SEARCH_RESULTS, v1::CacheKey::ROLE, "admin"),
                    "the admins'")
                    .ok());
  }
  for (const auto& text : hostile) {
    EXPECT_EQ(Get(Key(text, alice_)), "MISS");
    EXPECT_EQ(Get(Key(text, alice_, v1::CacheKey::SEARCH_RESULTS, v1::CacheKey::PUBLIC)), "MISS");
    EXPECT_EQ(Get(Key(text, alice_, v1::CacheKey::SEARCH_RESULTS, v1::CacheKey::TENANT)), "MISS");
    EXPECT_EQ(Get(Key(text, alice_, v1::CacheKey::SEARCH_RESULTS, v1::CacheKey::ROLE, "user")),
              "MISS");
    EXPECT_FALSE(Delete(Key(text, alice_)));
    EXPECT_EQ(Get(Key(text, bob_)), "HIT bob's");
  }
}

TEST_F(CacheEngineTest, AnInvalidationKeepsToTheCallersScopes) {
  ASSERT_TRUE(Set(Key("k", alice_), "alice's").ok());
  ASSERT_TRUE(Set(Key("k", bob_), "bob's").ok());
  EXPECT_EQ(Invalidate(Invalidation::OfGlob(*CallerScopes(alice_).Matching("*"))), 1);
  EXPECT_EQ(Get(Key("k", alice_)), "MISS");
  EXPECT_EQ(Get(Key("k", bob_)), "HIT bob's");
  EXPECT_EQ(Invalidate(Invalidation::OfGlob(*CallerScopes::MatchingInAllScopes("shop/*"))), 1);
}

TEST_F(CacheEngineTest, OneCallerLeasesTheOthersWait) {
  const ScopedKey key = Key("k");
  const LeaseAnswer first = Lease(key);
  ASSERT_EQ(first.result, LeaseAnswer::kLeased);
  EXPECT_EQ(first.token.size(), 16u);
  const LeaseAnswer second = Lease(key);
  ASSERT_EQ(second.result, LeaseAnswer::kHeld);
  EXPECT_EQ(second.held.until - clock_.Monotonic(), CacheEngine::kDefaultLease);
  EXPECT_EQ(*Fill(key, "v", "wrong token"), std::nullopt);
  EXPECT_EQ(*Fill(key, "v", first.token), 1u);
  EXPECT_NE(second.held.ended->version(), second.held.seen_version) << "those who wait are woken";
  EXPECT_EQ(Lease(key).result, LeaseAnswer::kHit);
  EXPECT_EQ(*Fill(key, "again", first.token), std::nullopt) << "a token is good once";
  EXPECT_EQ(Get(key), "HIT v");
}

TEST_F(CacheEngineTest, ALeaseEndsByTimeAndByGivingUp) {
  const ScopedKey key = Key("k");
  const LeaseAnswer first = Lease(key);
  clock_.Advance(CacheEngine::kDefaultLease);
  const LeaseAnswer second = Lease(key);
  ASSERT_EQ(second.result, LeaseAnswer::kLeased);
  EXPECT_EQ(*Fill(key, "late", first.token), std::nullopt);
  Await(engine_.Abandon(key, first.token));
  EXPECT_EQ(Lease(key).result, LeaseAnswer::kHeld) << "only its holder gives a lease up";
  Await(engine_.Abandon(key, second.token));
  EXPECT_EQ(Lease(key).result, LeaseAnswer::kLeased);
  clock_.Advance(absl::Hours(1));
  engine_.Tick();
  EXPECT_EQ(engine_.GetStats().leases_count, 0);
}

TEST_F(CacheEngineTest, StaleServesWhileOneRenews) {
  const ScopedKey key = Key("k");
  ASSERT_TRUE(Set(key, "old", Ttl(1000, 100)).ok());
  clock_.Advance(absl::Milliseconds(100));
  const LeaseAnswer renewer = Lease(key, true);
  ASSERT_EQ(renewer.result, LeaseAnswer::kLeased);
  EXPECT_EQ(renewer.found.entry->value(), "old") << "for use on errors";
  EXPECT_EQ(Lease(key, true).result, LeaseAnswer::kStale);
  EXPECT_EQ(Lease(key, false).result, LeaseAnswer::kHeld);
  EXPECT_EQ(*Fill(key, "new", renewer.token), 2u);
  EXPECT_EQ(Lease(key, true).result, LeaseAnswer::kHit);
}

TEST_F(CacheEngineTest, ASlowFillNeverBringsOldDataBack) {
  const ScopedKey key = Key("k");
  v1::EntryOptions red;
  red.add_tags("red");
  std::string token = Lease(key).token;
  Delete(key);
  EXPECT_EQ(*Fill(key, "old", token), std::nullopt);
  token = Lease(key).token;
  Invalidate(Invalidation::OfTags(Invalidation::kTag, *CallerScopes(alice_).Tags("shop", "red")));
  EXPECT_EQ(*Fill(key, "old", token, red), std::nullopt);
  token = Lease(key).token;
  Invalidate(
      Invalidation::OfTags(Invalidation::kNamespace, *CallerScopes(alice_).Namespace("shop")));
  EXPECT_EQ(*Fill(key, "old", token), std::nullopt);
  token = Lease(key).token;
  Invalidate(Invalidation::OfGlob(*CallerScopes(alice_).Matching("shop/*")));
  EXPECT_EQ(*Fill(key, "old", token), std::nullopt);
  token = Lease(key).token;
  ASSERT_TRUE(Set(key, "newer").ok());
  EXPECT_EQ(*Fill(key, "old", token), std::nullopt);
  EXPECT_EQ(Get(key), "HIT newer");
  EXPECT_EQ(engine_.GetStats().fills_refused_count, 5);
}

TEST_F(CacheEngineTest, StatsCountWhatCallersDid) {
  const ScopedKey a = Key("a"), b = Key("b", v1::CacheKey::LLM_RESPONSE);
  ASSERT_TRUE(Set(a, "v", Ttl(1000, 1)).ok());
  ASSERT_TRUE(Set(b, "v").ok());
  Get(b);
  Get(b);
  clock_.Advance(absl::Milliseconds(1));
  Get(a);
  Get(Key("none"));
  Delete(a);
  Delete(a);
  const auto stats = engine_.GetStats();
  const Counters& search = stats.counters.types[v1::CacheKey::SEARCH_RESULTS];
  EXPECT_EQ(search.stale_count, 1);
  EXPECT_EQ(search.misses_count, 1);
  EXPECT_EQ(search.sets_count, 1);
  EXPECT_EQ(search.deletes_count, 1);
  EXPECT_EQ(stats.counters.types[v1::CacheKey::LLM_RESPONSE].hits_count, 2);
  EXPECT_EQ(stats.counters.namespaces.at("shop")[v1::CacheKey::LLM_RESPONSE].hits_count, 2);
  EXPECT_EQ(stats.held.types[v1::CacheKey::LLM_RESPONSE].entries_count, 1);
  EXPECT_EQ(stats.held.total.entries_count, 1);
}

TEST_F(CacheEngineTest, TicksSweepTheWholeStore) {
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(Set(Key(std::to_string(i)), "v", Ttl(10)).ok());
  clock_.Advance(absl::Milliseconds(10));
  for (int i = 0; i < 8; ++i) engine_.Tick();
  EXPECT_EQ(engine_.GetStats().held.total.entries_count, 0);
}

TEST_F(CacheEngineTest, AWallClockSetBackDoesNotMakeAgesNegative) {
  const ScopedKey key = Key("k");
  ASSERT_TRUE(Set(key, "v", Ttl(1000)).ok());
  clock_.JumpWallClock(absl::Milliseconds(-500));
  EXPECT_EQ(Find(key).age_ms, 0);
}

// Set, SetMany and Fill alike; each refusal is counted, and nothing of the secret is in the error.
TEST_F(CacheEngineTest, SecretsAreRefusedAndCounted) {
  const ScopedKey key = Key("k");
  int64_t expected = 0;
  for (const auto& sample : secrets::Secrets()) {
    const auto refused = Set(key, sample.text);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition) << sample.name;
    EXPECT_EQ(status::Reason(refused.status()), "SECRET_REFUSED");
    EXPECT_EQ(status::Metadata(refused.status(), "field"), "value");
    EXPECT_EQ(refused.status().ToString().find(sample.text), std::string::npos);
    ++expected;
  }
  EXPECT_EQ(Get(key), "MISS");
  const auto counts = engine_.GetStats().secrets_refused;
  EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}), expected);
  for (const auto& sample : secrets::LookAlikes()) {
    EXPECT_TRUE(Set(key, sample.text).ok()) << sample.name << ": " << sample.text;
  }
  const auto after = engine_.GetStats().secrets_refused;
  EXPECT_EQ(after, counts);
}

TEST_F(CacheEngineTest, SecretsInKeysAndTagsAreRefused) {
  const ScopedKey key = Key("login?user=bob&password=letmein");
  EXPECT_EQ(status::Metadata(Set(key, "v").status(), "field"), "key.key");
  EXPECT_EQ(status::Metadata(Set(key, "v").status(), "kind"), "password");
  EXPECT_EQ(Get(key), "MISS") << "a read is a plain miss";
  EXPECT_EQ(status::Reason(engine_.RefuseSecretKey(key, {})), "SECRET_REFUSED");
  EXPECT_TRUE(engine_.RefuseSecretKey(Key("users/17"), {}).ok());
  v1::EntryOptions options;
  options.add_tags("password=letmein");
  EXPECT_EQ(status::Metadata(Set(Key("k"), "v", options).status(), "field"), "options.tags");
}

TEST_F(CacheEngineTest, OnlyTheSecretOfABatchIsRefused) {
  const ScopedKey a = Key("a"), b = Key("b");
  const v1::EntryOptions options;
  const std::vector<SetItem> items = {{&a, "password=letmein", &options, {}, {"entries", 0}},
                                      {&b, "fine", &options, {}, {"entries", 1}}};
  const auto stored = Await(engine_.SetMany(items));
  EXPECT_EQ(status::Metadata(stored[0].status(), "field"), "entries[0].value");
  EXPECT_TRUE(stored[1].ok());
}

TEST_F(CacheEngineTest, ASecretFilledUnderALeaseEndsTheLease) {
  const ScopedKey key = Key("k");
  const LeaseAnswer lease = Lease(key);
  ASSERT_EQ(lease.result, LeaseAnswer::kLeased);
  EXPECT_EQ(status::Reason(Fill(key, "password=letmein", lease.token).status()), "SECRET_REFUSED");
  EXPECT_EQ(Lease(key).result, LeaseAnswer::kLeased) << "the next one computes at once";
}

TEST_F(CacheEngineTest, LargeValuesAreKeptCompressedAndComeBackWhole) {
  const ScopedKey key = Key("k");
  const std::string text(100'000, 'x');
  ASSERT_TRUE(Set(key, text).ok());
  Found found = Find(key);
  EXPECT_TRUE(found.entry->compressed);
  EXPECT_EQ(found.ValueBytes(), text.size());
  EXPECT_LT(engine_.GetStats().held.total.bytes, 10'000) << "the weight is what is kept";
  EXPECT_GT(engine_.GetStats().compression_saved_bytes, 90'000);
  const Found packed = found;
  engine_.Unpack(absl::MakeSpan(&found, 1));
  EXPECT_EQ(found.entry->value(), text);
  EXPECT_EQ(found.entry->user_key(), "k");
  EXPECT_EQ(found.entry->version, packed.entry->version);
  const ScopedKey filled = Key("filled");
  ASSERT_TRUE(Fill(filled, text, Lease(filled).token).ok());
  EXPECT_EQ(Lease(filled).found.entry->value(), text);
}

TEST_F(CacheEngineTest, ADamagedValueIsAMissAndComputedAnew) {
  const ScopedKey key = Key("k");
  WriteRequest write{.key = &key, .value = "not a frame", .compressed = true};
  write.stale_at_ms = write.expires_at_ms = absl::ToUnixMillis(clock_.Now()) + 1000;
  WriteResult result;
  Await(store_.Write(absl::MakeConstSpan(&write, 1), absl::ToUnixMillis(clock_.Now()),
                     absl::MakeSpan(&result, 1)));
  Found found = Find(key);
  engine_.Unpack(absl::MakeSpan(&found, 1));
  EXPECT_EQ(found.freshness, Found::kMiss);
  EXPECT_GE(engine_.GetStats().damaged_values_count, 1);
  const LeaseAnswer lease = Lease(key);
  ASSERT_EQ(lease.result, LeaseAnswer::kLeased);
  EXPECT_TRUE((*Fill(key, "anew", lease.token)).has_value());
  EXPECT_EQ(Get(key), "HIT anew");
}

}  // namespace
}  // namespace slipstream::cache
