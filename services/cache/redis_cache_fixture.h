// Nodes of one cache on one Redis, for tests: each with a client and threads of its own, as a
// process would have.
#ifndef SERVICES_CACHE_REDIS_CACHE_FIXTURE_H_
#define SERVICES_CACHE_REDIS_CACHE_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/async/runtime.h"
#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/random/random.h"
#include "libs/redis/client.h"
#include "services/cache/await.h"
#include "services/cache/contract_keys.h"
#include "services/cache/redis_cache_store.h"
#include "tests/harness/redis_nodes.h"

namespace slipstream::cache {

using tests::Eventually;
using tests::FreshPrefix;

class RedisCacheNode {
 public:
  RedisCacheNode(const std::string& url, RedisCacheStoreOptions options)
      : RedisCacheNode(redis::Options{.url = url}, std::move(options)) {}
  RedisCacheNode(redis::Options redis_options, RedisCacheStoreOptions options) {
    options.node_id = absl::StrCat(absl::Hex(random_.Next64()));
    redis_options.greeting = RedisCacheStore::Greeting(options.key_prefix);
    redis_options.command_timeout = RedisCacheStore::kCommandTimeout;
    auto client = redis::Client::Create({runtime_.executor(), random_, logging::Logger()},
                                        std::move(redis_options));
    EXPECT_TRUE(client.ok()) << client.status();
    store_ = std::make_unique<RedisCacheStore>(*std::move(client), clock_, logging::Logger(),
                                               std::move(options));
    store_->Start();
  }
  ~RedisCacheNode() { store_.reset(); }

  RedisCacheStore& store() { return *store_; }
  bool AwaitAttached() {
    return Eventually([this] { return store_->attached(); });
  }

  int64_t NowMs() const { return absl::ToUnixMillis(clock_.Now()); }

  // Whether memory alone answered: "(ask)" when another tier must be asked.
  std::string InMemory(const ScopedKey& key) {
    EntryRef found;
    if (!store_->ReadNow(absl::MakeConstSpan(&key, 1), NowMs(), absl::MakeSpan(&found, 1))) {
      return "(ask)";
    }
    return found == nullptr ? "(none)" : std::string(found->value());
  }
  std::string Get(const ScopedKey& key) {
    EntryRef found;
    bool from_l2 = false;
    Await(store_->Read(absl::MakeConstSpan(&key, 1), NowMs(), absl::MakeSpan(&found, 1),
                       absl::MakeSpan(&from_l2, 1)));
    return found == nullptr ? "(none)" : std::string(found->value());
  }
  WriteResult Set(const ScopedKey& key, std::string_view value, std::string_view token = {},
                  const std::vector<std::string>& tag_names = {}) {
    std::vector<ScopedTag> tags{CallerScopes::NamespaceOf(key)};
    for (const auto& tag : tag_names) tags.push_back(CallerScopes::TagOf(key, tag));
    WriteRequest write;
    write.key = &key;
    write.value = value;
    write.stale_at_ms = write.expires_at_ms = NowMs() + 600'000;
    write.tags = tags;
    write.lease_token = token;
    WriteResult result;
    Await(store_->Write(absl::MakeConstSpan(&write, 1), NowMs(), absl::MakeSpan(&result, 1)));
    return result;
  }
  absl::StatusOr<Erased> Delete(const ScopedKey& key) {
    return Await(store_->Erase(absl::MakeConstSpan(&key, 1), NowMs()));
  }

 private:
  clock::SystemClock clock_;
  random::SystemRandom random_;
  async::Runtime runtime_{1};
  std::unique_ptr<RedisCacheStore> store_;
};

}  // namespace slipstream::cache

#endif  // SERVICES_CACHE_REDIS_CACHE_FIXTURE_H_
