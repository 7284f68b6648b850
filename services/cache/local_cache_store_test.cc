#include "services/cache/local_cache_store.h"

#include "services/cache/cache_store_contract.h"

namespace slipstream::cache {
namespace {

INSTANTIATE_TEST_SUITE_P(Local, CacheStoreContract, testing::Values([] {
                           ContractNodes out;
                           out.nodes.push_back(std::make_unique<LocalCacheStore>(
                               MemoryCacheStore::Options{}, 7, "epoch"));
                           return out;
                         }));

}  // namespace
}  // namespace slipstream::cache
