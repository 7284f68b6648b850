// A lease that was asked of a hung Redis and is granted after its caller had given up.
#include "services/cache/cache_engine.h"
#include "services/cache/redis_cache_fixture.h"
#include "tests/harness/redis_server.h"

namespace slipstream::cache {
namespace {

TEST(LateLeaseTest, ALeaseThatIsGrantedTooLateStoresNothing) {
  auto server = *tests::RedisServer::Start({});
  RedisCacheNode a(server->url(), {}), b(server->url(), {});
  ASSERT_TRUE(a.AwaitAttached());
  ASSERT_TRUE(b.AwaitAttached());
  clock::SystemClock clock;
  random::SystemRandom random;
  CacheEngine engine{{a.store(), clock, random}, {}};
  const OwnedKey key{"k"};

  server->Pause();
  const LeaseAnswer answer = Await(engine.GetOrLease(key, absl::Seconds(60), false));
  ASSERT_EQ(answer.result, LeaseAnswer::kLeased) << "a reader is never held up by Redis";
  // Here the caller computes, of what is deleted before Redis goes on.
  server->Resume();
  // Behind the lease on the same connection.
  ASSERT_EQ(a.Get(OwnedKey("other")), "(none)");
  ASSERT_EQ(Await(b.store().AcquireLease(key, "b's token", absl::Seconds(60), 0)).result,
            SharedLease::kHeld)
      << "the late lease is there";
  const v1::EntryOptions options;
  const ScopedKey& item_key = key;
  const auto stored =
      Await(engine.Fill({&item_key, "computed before", &options, {}, {}}, answer.token));
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_FALSE(stored->has_value());
  EXPECT_EQ(b.Get(key), "(none)");
}

}  // namespace
}  // namespace slipstream::cache
