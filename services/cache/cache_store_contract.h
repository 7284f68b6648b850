// What every CacheStore does. Include it, register a factory:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, CacheStoreContract, testing::Values([] { return Make(); }));
//
// Not here: which entry gives way when room is short, each store's own affair.
//
// A store with a second tier answers for all its nodes: register a factory of two stores on one
// server, and everything is written at one and read and invalidated at the other.
#ifndef SERVICES_CACHE_CACHE_STORE_CONTRACT_H_
#define SERVICES_CACHE_CACHE_STORE_CONTRACT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "services/cache/await.h"
#include "services/cache/cache_store.h"
#include "services/cache/contract_keys.h"

namespace slipstream::cache {

// One node, or two of one cache.
struct ContractNodes {
  std::shared_ptr<void> owner;  // of what the stores need; ends after them
  std::vector<std::unique_ptr<CacheStore>> nodes;
  // The clock of a tier that keeps time itself can't be turned: its tests take the time of day.
  int64_t now_ms = 1'767'225'600'000;
  CacheStore& writer() { return *nodes.front(); }
  CacheStore& reader() { return *nodes.back(); }
  ~ContractNodes() { nodes.clear(); }
  ContractNodes() = default;
  ContractNodes(ContractNodes&&) = default;
};
using MakeNodes = std::function<ContractNodes()>;

class CacheStoreContract : public testing::TestWithParam<MakeNodes> {
 protected:
  EntryRef Read(const ScopedKey& key, int64_t now) {
    EntryRef found;
    bool from_l2 = false;
    Await(nodes_.reader().Read(absl::MakeConstSpan(&key, 1), now, absl::MakeSpan(&found, 1),
                               absl::MakeSpan(&from_l2, 1)));
    return found;
  }
  EntryRef Read(const ScopedKey& key) { return Read(key, kNow); }
  std::string Value(const ScopedKey& key, int64_t now) {
    const EntryRef found = Read(key, now);
    return found ? std::string(found->value()) : "(none)";
  }
  std::string Value(const ScopedKey& key) { return Value(key, kNow); }
  // A lease from the reading node, whose guard is of this moment.
  struct Lease {
    FillGuard guard;
    std::string token;
  };
  Lease Take(const ScopedKey& key, uint64_t seen_version = 0) {
    Lease out{{nodes_.reader().CurrentOffset(), seen_version},
              "token-" + std::to_string(++tokens_)};
    out.token.resize(16, '.');
    const SharedLease shared =
        Await(nodes_.reader().AcquireLease(key, out.token, absl::Seconds(10), seen_version));
    EXPECT_EQ(shared.result, SharedLease::kGranted);
    return out;
  }
  struct Options {
    int64_t ttl_ms = 60'000;
    std::vector<std::string> tags = {};
    std::optional<uint64_t> if_version = {};
    std::optional<Lease> fill = {};
    int64_t after_ms = 0;  // the start
  };
  WriteResult Write(const ScopedKey& key, std::string_view value) { return Write(key, value, {}); }
  WriteResult Write(const ScopedKey& key, std::string_view value, const Options& options) {
    std::vector<ScopedTag> tags{CallerScopes::NamespaceOf(key)};
    for (const auto& tag : options.tags) tags.push_back(CallerScopes::TagOf(key, tag));
    const int64_t now = kNow + options.after_ms;
    WriteRequest write;
    write.key = &key;
    write.value = value;
    write.stale_at_ms = now + options.ttl_ms / 2;
    write.expires_at_ms = now + options.ttl_ms;
    write.tags = tags;
    write.if_version = options.if_version;
    if (options.fill) {
      write.fill = options.fill->guard;
      write.lease_token = options.fill->token;
    }
    WriteResult result;
    // A fill goes to the node that gave the lease.
    CacheStore& node = options.fill ? nodes_.reader() : nodes_.writer();
    Await(node.Write(absl::MakeConstSpan(&write, 1), now, absl::MakeSpan(&result, 1)));
    EXPECT_TRUE(result.error.ok()) << result.error;
    return result;
  }
  std::vector<bool> Erase(absl::Span<const ScopedKey> keys) {
    auto erased = Await(nodes_.writer().Erase(keys, kNow));
    EXPECT_TRUE(erased.ok()) << erased.status();
    return erased.ok() ? erased->existed : std::vector<bool>(keys.size());
  }
  bool Erase(const ScopedKey& key) { return Erase(absl::MakeConstSpan(&key, 1))[0]; }
  Invalidated Invalidate(Invalidation what) {
    auto done = Await(nodes_.writer().Invalidate(std::move(what)));
    EXPECT_TRUE(done.ok()) << done.status();
    return done.value_or(Invalidated{});
  }
  Invalidated InvalidateTag(const std::string& user, const std::string& tag) {
    return Invalidate(Invalidation::OfTags(Invalidation::kTag,
                                           *CallerScopes(ContractUser(user)).Tags("shop", tag)));
  }
  Invalidated InvalidateSpace(const std::string& user) {
    return Invalidate(Invalidation::OfTags(Invalidation::kNamespace,
                                           *CallerScopes(ContractUser(user)).Namespace("shop")));
  }
  Invalidated EraseAll(const std::string& pattern = "*") {
    return Invalidate(Invalidation::OfGlob(*CallerScopes::MatchingInAllScopes(pattern)));
  }

  ContractNodes nodes_ = GetParam()();
  const int64_t kNow = nodes_.now_ms;
  int tokens_ = 0;
  const OwnedKey a_{"a"}, b_{"b"};
};

TEST_P(CacheStoreContract, ReadsWhatWasWritten) {
  EXPECT_EQ(Value(a_), "(none)");
  const uint64_t version = Write(a_, "one").version;
  EXPECT_GT(version, 0u);
  const EntryRef found = Read(a_);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->value(), "one");
  EXPECT_EQ(found->user_key(), "a");
  EXPECT_EQ(found->version, version);
  EXPECT_EQ(found->stored_at_ms, kNow);
  EXPECT_EQ(found->stale_at_ms, kNow + 30'000);
  EXPECT_EQ(Value(b_), "(none)");
  Write(a_, "two");
  EXPECT_EQ(Value(a_), "two");
  EXPECT_EQ(found->value(), "one") << "an entry that is held does not change";
}

TEST_P(CacheStoreContract, AnswersABatchInOrder) {
  Write(a_, "A");
  const std::vector<ScopedKey> keys{b_, a_, b_, a_};
  std::vector<EntryRef> found(4);
  bool from_l2[4];
  Await(nodes_.reader().Read(keys, kNow, absl::MakeSpan(found), absl::MakeSpan(from_l2)));
  EXPECT_EQ(found[0], nullptr);
  EXPECT_EQ(found[1]->value(), "A");
  EXPECT_EQ(found[2], nullptr);
  EXPECT_EQ(found[3]->value(), "A");
  EXPECT_EQ(Erase(keys), (std::vector<bool>{false, true, false, false}));
}

TEST_P(CacheStoreContract, ExpiryIsAMomentAndGoneAtIt) {
  Write(a_, "v", {.ttl_ms = 10'000});
  EXPECT_EQ(Value(a_, kNow + 9'999), "v");
  EXPECT_EQ(Value(a_, kNow + 10'000), "(none)");
}

TEST_P(CacheStoreContract, IfVersionDecides) {
  EXPECT_EQ(Write(a_, "x", {.if_version = 1}).outcome, WriteResult::kVersionMismatch);
  const uint64_t one = Write(a_, "one", {.if_version = 0}).version;
  const WriteResult second = Write(a_, "x", {.if_version = 0});
  EXPECT_EQ(second.outcome, WriteResult::kVersionMismatch);
  EXPECT_EQ(second.version, one);
  EXPECT_GT(Write(a_, "two", {.if_version = one}).version, one);
  EXPECT_EQ(Value(a_), "two");
  // An expired value is none.
  EXPECT_EQ(Write(a_, "new", {.if_version = 0, .after_ms = 61'000}).outcome, WriteResult::kStored);
}

TEST_P(CacheStoreContract, AnInvalidatedValueIsNoneForIfVersion) {
  Write(a_, "one", {.tags = {"red"}});
  InvalidateTag("alice", "red");
  EXPECT_EQ(Write(a_, "two", {.if_version = 0}).outcome, WriteResult::kStored);
}

TEST_P(CacheStoreContract, AVersionNeverComesBack) {
  const uint64_t first = Write(a_, "one").version;
  ASSERT_TRUE(Erase(a_));
  const uint64_t second = Write(a_, "two").version;
  EXPECT_GT(second, first);
  const uint64_t third = Write(a_, "three", {.after_ms = 70'000}).version;
  EXPECT_GT(third, second) << "nor over an expiry";
  InvalidateTag("alice", "none");
  EraseAll();
  EXPECT_GT(Write(a_, "four").version, third);
}

TEST_P(CacheStoreContract, AReplacedValueIsServedNoMore) {
  for (int i = 0; i < 20; ++i) {
    const std::string value = std::to_string(i);
    EXPECT_EQ(Write(a_, value).replaced, i > 0);
    EXPECT_EQ(Value(a_), value);
    EXPECT_EQ(Value(a_), value) << "and from the reader's memory";
  }
}

TEST_P(CacheStoreContract, EraseTellsWhatWasThere) {
  EXPECT_FALSE(Erase(a_));
  Write(a_, "v");
  EXPECT_TRUE(Erase(a_));
  EXPECT_EQ(Value(a_), "(none)");
  EXPECT_FALSE(Erase(a_));
}

TEST_P(CacheStoreContract, ATagInvalidatesWhatWasStoredBefore) {
  Write(a_, "A", {.tags = {"red", "blue", "green"}});
  Write(b_, "B", {.tags = {"yellow"}});
  EXPECT_EQ(Value(a_), "A");
  const Offset before = InvalidateTag("alice", "none").position;
  EXPECT_GT(InvalidateTag("alice", "blue").position, before);
  EXPECT_EQ(Value(a_), "(none)");
  EXPECT_EQ(Value(b_), "B");
  Write(a_, "A2", {.tags = {"blue"}});
  EXPECT_EQ(Value(a_), "A2");
}

TEST_P(CacheStoreContract, ATagIsOfItsScopeAndNamespace) {
  const OwnedKey bobs("a", "bob"), elsewhere("a", "alice", "other");
  Write(a_, "alice", {.tags = {"red"}});
  Write(bobs, "bob", {.tags = {"red"}});
  Write(elsewhere, "elsewhere", {.tags = {"red"}});
  InvalidateTag("alice", "red");
  EXPECT_EQ(Value(a_), "(none)");
  EXPECT_EQ(Value(bobs), "bob");
  EXPECT_EQ(Value(elsewhere), "elsewhere");
}

TEST_P(CacheStoreContract, ANamespaceGoesAtOnce) {
  const OwnedKey bobs("a", "bob"), elsewhere("a", "alice", "other");
  Write(a_, "alice");
  Write(bobs, "bob");
  Write(elsewhere, "elsewhere");
  InvalidateSpace("alice");
  EXPECT_EQ(Value(a_), "(none)");
  EXPECT_EQ(Value(bobs), "bob");
  EXPECT_EQ(Value(elsewhere), "elsewhere");
}

TEST_P(CacheStoreContract, ADeleteKillsOlderFills) {
  const Lease lease = Take(a_);
  Erase(a_);
  EXPECT_EQ(Write(a_, "old", {.fill = lease}).outcome, WriteResult::kFillRefused);
  EXPECT_EQ(Value(a_), "(none)");
  EXPECT_EQ(Write(a_, "new", {.fill = Take(a_)}).outcome, WriteResult::kStored);
  EXPECT_EQ(Value(a_), "new");
}

TEST_P(CacheStoreContract, InvalidationsKillOlderFills) {
  const OwnedKey other("other"), elsewhere("e", "alice", "elsewhere");
  const Lease lease_a = Take(a_), lease_b = Take(b_), lease_other = Take(other),
              lease_elsewhere = Take(elsewhere);
  InvalidateTag("alice", "red");
  EXPECT_EQ(Write(a_, "old", {.tags = {"red"}, .fill = lease_a}).outcome,
            WriteResult::kFillRefused);
  EXPECT_EQ(Write(other, "other", {.tags = {"blue"}, .fill = lease_other}).outcome,
            WriteResult::kStored);
  InvalidateSpace("alice");
  EXPECT_EQ(Write(b_, "old", {.fill = lease_b}).outcome, WriteResult::kFillRefused);
  EraseAll();
  EXPECT_EQ(Write(elsewhere, "old", {.fill = lease_elsewhere}).outcome, WriteResult::kFillRefused);
}

TEST_P(CacheStoreContract, ANewerValueOvertakesAFill) {
  const uint64_t seen = Write(a_, "stale").version;
  const Lease lease = Take(a_, seen);
  Write(a_, "newer");
  EXPECT_EQ(Write(a_, "slow", {.fill = lease}).outcome, WriteResult::kFillRefused);
  EXPECT_EQ(Value(a_), "newer");
}

TEST_P(CacheStoreContract, TheSeenValueMayEndBeforeTheFill) {
  const uint64_t seen = Write(a_, "stale").version;
  const Lease lease = Take(a_, seen);
  EXPECT_EQ(Write(a_, "filled", {.fill = lease, .after_ms = 61'000}).outcome, WriteResult::kStored);
}

TEST_P(CacheStoreContract, APatternErasesWhatMatchesAndNoMore) {
  const OwnedKey bobs("a", "bob");
  Write(a_, "A");
  Write(b_, "B");
  Write(bobs, "bob's");
  Value(a_);
  Value(b_);
  Invalidate(
      Invalidation::OfGlob(*CallerScopes(ContractUser("alice")).Matching("shop/search_results/a")));
  EXPECT_EQ(Value(a_), "(none)");
  EXPECT_EQ(Value(b_), "B");
  EXPECT_EQ(Value(bobs), "bob's");
  Write(a_, "again");
  EXPECT_EQ(Value(a_), "again");
  EraseAll();
  EXPECT_EQ(Value(a_), "(none)");
  EXPECT_EQ(Value(bobs), "(none)");
}

TEST_P(CacheStoreContract, WatchersAreToldWhatAndWhere) {
  WatchLog& log = nodes_.reader().watch_log();
  const std::string begin = log.Head();
  Write(a_, "one");
  Erase(a_);
  const Offset tag = InvalidateTag("alice", "red").position;
  const Offset glob = EraseAll().position;
  const auto portion = log.After(begin, 100);
  ASSERT_FALSE(portion.reset);
  std::vector<std::pair<Offset, char>> told;
  for (const auto& item : portion.items) {
    if (item.what->kind == Invalidation::kKey) {
      EXPECT_EQ(item.what->id, a_.key->id());
      EXPECT_EQ(item.what->user_key, "a");
    } else if (item.what->kind == Invalidation::kRetired) {
      continue;
    }
    told.emplace_back(item.offset, item.what->kind);
  }
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0].second, 'K');
  EXPECT_EQ(told[1], std::make_pair(tag, 'T'));
  EXPECT_EQ(told[2], std::make_pair(glob, 'G'));
}

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_STORE_CONTRACT_H_
