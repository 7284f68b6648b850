// What every store must do, of a FallbackTaskStore whose durable store is there, and never was.
#include <memory>
#include <string>
#include <utility>

#include "services/task_queue/contract/server_store.h"
#include "services/task_queue/contract/task_store_contract.h"
#include "services/task_queue/fallback_task_store.h"

namespace slipstream::task_queue {
namespace {

MemoryTaskStoreOptions ContractMemory() {
  MemoryTaskStoreOptions options;
  options.max_tasks_count = kContractTasksCount;
  options.aging_step = kContractAgingStep;
  options.retry = kContractRetry;
  return options;
}

// A durable store that has never answered: everything is done in memory.
std::unique_ptr<TaskStore> MakeNeverThere() {
  auto common = std::make_shared<CommonStore>();
  common->store = std::make_unique<MemoryTaskStore>(ContractMemory());
  auto durable = std::make_shared<ServerTaskStore>(std::move(common));
  durable->away = true;
  return std::make_unique<FallbackTaskStore>(
      durable, ContractMemory(),
      FallbackOptions{.connected = [] { return false; }, .durable_is_new = true});
}

// One that is there: nothing is done in memory.
std::unique_ptr<TaskStore> MakeAlwaysThere() {
  return std::make_unique<FallbackTaskStore>(std::make_shared<MemoryTaskStore>(ContractMemory()),
                                             ContractMemory(),
                                             FallbackOptions{.connected = [] { return true; }});
}

std::string NameOf(const testing::TestParamInfo<MakeStore>& info) {
  return info.index == 0 ? "NeverThere" : "AlwaysThere";
}

INSTANTIATE_TEST_SUITE_P(Fallback, TaskStoreContract,
                         testing::Values(MakeStore(MakeNeverThere), MakeStore(MakeAlwaysThere)),
                         NameOf);

}  // namespace
}  // namespace slipstream::task_queue
