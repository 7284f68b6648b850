// What every CacheStore does. Include it, register a factory:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, CacheStoreContract, testing::Values([] { return Make(); }));
//
// Not here: which entry gives way when room is short, each store's own affair.
#ifndef SERVICES_CACHE_CACHE_STORE_CONTRACT_H_
#define SERVICES_CACHE_CACHE_STORE_CONTRACT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "services/cache/cache_store.h"

namespace slipstream::cache {

inline auth::Principal ContractUser(std::string user) {
  auth::Principal out;
  out.user = std::move(user);
  out.roles = {"user"};
  return out;
}

// A key together with the request it is a view of.
struct OwnedKey {
  explicit OwnedKey(const std::string& text, const std::string& user = "alice",
                    const std::string& space = "shop")
      : asked(std::make_unique<v1::CacheKey>()) {
    asked->set_namespace_(space);
    asked->set_type(v1::CacheKey::SEARCH_RESULTS);
    asked->set_scope(v1::CacheKey::USER);
    asked->set_key(text);
    key = std::make_unique<ScopedKey>(*CallerScopes(ContractUser(user)).Key(*asked));
  }
  operator const ScopedKey&() const { return *key; }
  std::unique_ptr<v1::CacheKey> asked;
  std::unique_ptr<ScopedKey> key;
};

class CacheStoreContract
    : public testing::TestWithParam<std::function<std::unique_ptr<CacheStore>()>> {
 protected:
  static constexpr int64_t kNow = 1'767'225'600'000;

  EntryRef Read(const ScopedKey& key, int64_t now = kNow) {
    EntryRef found;
    store_->Read(absl::MakeConstSpan(&key, 1), now, absl::MakeSpan(&found, 1));
    return found;
  }
  std::string Value(const ScopedKey& key, int64_t now = kNow) {
    const EntryRef found = Read(key, now);
    return found ? std::string(found->value()) : "(none)";
  }
  struct Options {
    int64_t ttl_ms = 1000;
    std::vector<std::string> tags = {};
    std::optional<uint64_t> if_version = {};
    std::optional<FillGuard> fill = {};
    int64_t now = kNow;
  };
  WriteResult Write(const ScopedKey& key, std::string_view value) { return Write(key, value, {}); }
  WriteResult Write(const ScopedKey& key, std::string_view value, const Options& options) {
    std::vector<ScopedTag> tags{CallerScopes::NamespaceOf(key)};
    for (const auto& tag : options.tags) tags.push_back(CallerScopes::TagOf(key, tag));
    WriteRequest write;
    write.key = &key;
    write.value = value;
    write.stale_at_ms = options.now + options.ttl_ms / 2;
    write.expires_at_ms = options.now + options.ttl_ms;
    write.tags = tags;
    write.if_version = options.if_version;
    write.fill = options.fill;
    WriteResult result;
    store_->Write(absl::MakeConstSpan(&write, 1), options.now, absl::MakeSpan(&result, 1));
    return result;
  }
  bool Erase(const ScopedKey& key) { return store_->Erase(absl::MakeConstSpan(&key, 1), kNow)[0]; }
  void InvalidateTag(const std::string& user, const std::string& tag) {
    store_->Invalidate(*CallerScopes(ContractUser(user)).Tags("shop", tag));
  }
  int64_t EraseAll() {
    store_->RefuseOlderFills();
    int64_t erased = 0;
    for (int part = 0; part < store_->parts_count(); ++part) {
      erased += store_->EraseListed(store_->List(part));
    }
    return erased;
  }

  const std::unique_ptr<CacheStore> store_ = GetParam()();
  const OwnedKey a_{"a"}, b_{"b"};
};

TEST_P(CacheStoreContract, ReadsWhatWasWritten) {
  EXPECT_EQ(Value(a_), "(none)");
  EXPECT_EQ(Write(a_, "one").version, 1u);
  const EntryRef found = Read(a_);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->value(), "one");
  EXPECT_EQ(found->user_key(), "a");
  EXPECT_EQ(found->version, 1u);
  EXPECT_EQ(found->stored_at_ms, kNow);
  EXPECT_EQ(found->stale_at_ms, kNow + 500);
  EXPECT_EQ(Value(b_), "(none)");
  Write(a_, "two");
  EXPECT_EQ(Value(a_), "two");
  EXPECT_EQ(found->value(), "one") << "an entry that is held does not change";
}

TEST_P(CacheStoreContract, AnswersABatchInOrder) {
  Write(a_, "A");
  const std::vector<ScopedKey> keys{b_, a_, b_, a_};
  std::vector<EntryRef> found(4);
  store_->Read(keys, kNow, absl::MakeSpan(found));
  EXPECT_EQ(found[0], nullptr);
  EXPECT_EQ(found[1]->value(), "A");
  EXPECT_EQ(found[2], nullptr);
  EXPECT_EQ(found[3]->value(), "A");
  EXPECT_EQ(store_->Erase(keys, kNow), (std::vector<bool>{false, true, false, false}));
}

TEST_P(CacheStoreContract, ExpiryIsAMomentAndGoneAtIt) {
  Write(a_, "v", {.ttl_ms = 1000});
  EXPECT_EQ(Value(a_, kNow + 999), "v");
  EXPECT_EQ(Value(a_, kNow + 1000), "(none)");
  EXPECT_EQ(Value(a_, kNow + 999), "(none)") << "what was found expired does not come back";
}

TEST_P(CacheStoreContract, IfVersionDecides) {
  EXPECT_EQ(Write(a_, "x", {.if_version = 1}).outcome, WriteResult::kVersionMismatch);
  EXPECT_EQ(Write(a_, "one", {.if_version = 0}).version, 1u);
  const WriteResult second = Write(a_, "x", {.if_version = 0});
  EXPECT_EQ(second.outcome, WriteResult::kVersionMismatch);
  EXPECT_EQ(second.version, 1u);
  EXPECT_EQ(Write(a_, "two", {.if_version = 1}).version, 2u);
  EXPECT_EQ(Value(a_), "two");
  // An expired value is none.
  EXPECT_EQ(Write(a_, "new", {.if_version = 0, .now = kNow + 5000}).outcome, WriteResult::kStored);
}

TEST_P(CacheStoreContract, AVersionNeverComesBack) {
  const uint64_t first = Write(a_, "one").version;
  ASSERT_TRUE(Erase(a_));
  const uint64_t second = Write(a_, "two").version;
  EXPECT_GT(second, first);
  const uint64_t third = Write(a_, "three", {.now = kNow + 10'000}).version;
  EXPECT_GT(third, second) << "nor over an expiry";
  InvalidateTag("alice", "none");
  EXPECT_EQ(EraseAll(), 1);
  EXPECT_GT(Write(a_, "four").version, third);
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
  const Offset before = store_->CurrentOffset();
  InvalidateTag("alice", "blue");
  EXPECT_GT(store_->CurrentOffset(), before);
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
  store_->Invalidate(*CallerScopes(ContractUser("alice")).Namespace("shop"));
  EXPECT_EQ(Value(a_), "(none)");
  EXPECT_EQ(Value(bobs), "bob");
  EXPECT_EQ(Value(elsewhere), "elsewhere");
}

TEST_P(CacheStoreContract, ADeleteKillsOlderFills) {
  const FillGuard guard{store_->CurrentOffset(), 0};
  Erase(a_);
  EXPECT_EQ(Write(a_, "old", {.fill = guard}).outcome, WriteResult::kFillRefused);
  EXPECT_EQ(Value(a_), "(none)");
  EXPECT_EQ(Write(a_, "new", {.fill = FillGuard{store_->CurrentOffset(), 0}}).outcome,
            WriteResult::kStored);
}

TEST_P(CacheStoreContract, InvalidationsKillOlderFills) {
  const FillGuard guard{store_->CurrentOffset(), 0};
  InvalidateTag("alice", "red");
  EXPECT_EQ(Write(a_, "old", {.tags = {"red"}, .fill = guard}).outcome, WriteResult::kFillRefused);
  EXPECT_EQ(Write(a_, "other", {.tags = {"blue"}, .fill = guard}).outcome, WriteResult::kStored);
  store_->Invalidate(*CallerScopes(ContractUser("alice")).Namespace("shop"));
  EXPECT_EQ(Write(b_, "old", {.fill = guard}).outcome, WriteResult::kFillRefused);
  const OwnedKey elsewhere("e", "alice", "other");
  EraseAll();
  EXPECT_EQ(Write(elsewhere, "old", {.fill = guard}).outcome, WriteResult::kFillRefused);
}

TEST_P(CacheStoreContract, ANewerValueOvertakesAFill) {
  const uint64_t seen = Write(a_, "stale").version;
  const FillGuard guard{store_->CurrentOffset(), seen};
  Write(a_, "newer");
  EXPECT_EQ(Write(a_, "slow", {.fill = guard}).outcome, WriteResult::kFillRefused);
  EXPECT_EQ(Value(a_), "newer");
  // The value seen at the start may have expired meanwhile: nothing newer came.
  const FillGuard later{store_->CurrentOffset(), 2};
  EXPECT_EQ(Write(a_, "filled", {.fill = later, .now = kNow + 5000}).outcome, WriteResult::kStored);
}

TEST_P(CacheStoreContract, AWalkSeesAllAndSparesWhatCameLater) {
  for (int i = 0; i < 200; ++i) Write(OwnedKey(std::to_string(i)), "v");
  std::vector<std::vector<EntryRef>> listed;
  size_t count = 0;
  for (int part = 0; part < store_->parts_count(); ++part) {
    listed.push_back(store_->List(part));
    count += listed.back().size();
  }
  EXPECT_EQ(count, 200u);
  Write(OwnedKey("7"), "replaced");
  int64_t erased = 0;
  for (const auto& part : listed) erased += store_->EraseListed(part);
  EXPECT_EQ(erased, 199);
  EXPECT_EQ(Value(OwnedKey("7")), "replaced");
  EXPECT_EQ(Value(OwnedKey("8")), "(none)");
}

TEST_P(CacheStoreContract, UsageFollowsWhatIsHeld) {
  EXPECT_EQ(store_->Usage().total.entries_count, 0);
  Write(a_, std::string(1000, 'x'));
  Write(b_, std::string(2000, 'x'));
  Write(b_, std::string(500, 'x'));
  StoreUsage usage = store_->Usage();
  EXPECT_EQ(usage.total.entries_count, 2);
  EXPECT_GE(usage.total.bytes, 1500);
  EXPECT_LE(usage.total.bytes, 3500);
  EXPECT_EQ(usage.types[v1::CacheKey::SEARCH_RESULTS].entries_count, 2);
  EXPECT_EQ(usage.namespaces.at("shop").entries_count, 2);
  for (int part = 0; part < store_->parts_count(); ++part) store_->Sweep(part, kNow + 1000);
  usage = store_->Usage();
  EXPECT_EQ(usage.total.entries_count, 0);
  EXPECT_EQ(usage.total.bytes, 0);
  EXPECT_TRUE(usage.namespaces.empty());
  EXPECT_EQ(usage.evictions[static_cast<size_t>(EvictionCause::kExpired)], 2u);
}

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_CACHE_STORE_CONTRACT_H_
