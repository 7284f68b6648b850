// SharedTaskTypes: what workers have announced at any server, by way of the store.
//
// A type is saved when a worker announces it and kept for kTypeTtl after the last time, so that a
// submit is accepted at every server, and after a restart of all of them before the first worker is
// back. A server reads them at its start, every kReloadPeriod, and when it is asked for a type that
// it does not know.
//
// Thread safety: all methods from any thread.
// Errors: those of the store.
#ifndef SERVICES_TASK_QUEUE_SHARED_TASK_TYPES_H_
#define SERVICES_TASK_QUEUE_SHARED_TASK_TYPES_H_

#include <map>
#include <string>
#include <vector>

#include "libs/clock/clock.h"
#include "libs/logging/logger.h"
#include "libs/sync/mutex.h"
#include "services/task_queue/task_store.h"
#include "services/task_queue/task_type_registry.h"

namespace slipstream::task_queue {

class SharedTaskTypes {
 public:
  static constexpr absl::Duration kTypeTtl = absl::Hours(24 * 30);
  static constexpr absl::Duration kReloadPeriod = absl::Seconds(15);
  static constexpr absl::Duration kMinReloadInterval = absl::Milliseconds(250);
  // A worker that stays connected keeps its types known: they are saved again this often.
  static constexpr absl::Duration kSavePeriod = absl::Hours(24);

  struct Deps {
    TaskStore& store;
    const clock::Clock& clock;
    TaskTypeRegistry& registry;
    logging::Logger logger;
  };
  explicit SharedTaskTypes(Deps deps) : deps_(std::move(deps)) {}

  // Those that are not saved as they are now.
  Async<absl::Status> Save(const std::vector<v1::TaskType>& types);
  // Those of all servers; one that differs from what is known here replaces it.
  Async<absl::Status> Load();
  // Load, unless that was done just now: what is asked for may not exist at all.
  Async<void> LoadForUnknown();

 private:
  struct Saved {
    std::string document;
    absl::Time at;
  };

  const Deps deps_;
  sync::Mutex mu_;
  std::map<std::string, Saved> saved_ ABSL_GUARDED_BY(mu_);  // as the store has them, by name
  absl::Time loaded_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_SHARED_TASK_TYPES_H_
