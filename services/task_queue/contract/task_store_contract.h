// What every TaskStore must do, as one suite that takes the store as its parameter:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, TaskStoreContract, testing::Values(MakeStore(Make)));
//
// The tests stand in one file per subject; contract_fixture.h says what a maker must give.
#ifndef SERVICES_TASK_QUEUE_CONTRACT_TASK_STORE_CONTRACT_H_
#define SERVICES_TASK_QUEUE_CONTRACT_TASK_STORE_CONTRACT_H_

#include "services/task_queue/contract/contract_fixture.h"
#include "services/task_queue/contract/flow_contract.h"
#include "services/task_queue/contract/lease_contract.h"
#include "services/task_queue/contract/limits_contract.h"
#include "services/task_queue/contract/order_contract.h"
#include "services/task_queue/contract/outbox_contract.h"
#include "services/task_queue/contract/submit_contract.h"
#include "services/task_queue/contract/time_contract.h"

#endif  // SERVICES_TASK_QUEUE_CONTRACT_TASK_STORE_CONTRACT_H_
