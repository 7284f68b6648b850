// News: what servers of one store tell one another (work has come, a lease has ended), as a store
// of several servers carries it: late, and sometimes not at all, with a gap announced afterwards.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_NEWS_H_
#define SERVICES_TASK_QUEUE_SIMULATION_NEWS_H_

#include <map>

#include "services/task_queue/simulation/faults.h"
#include "services/task_queue/simulation/scheduler.h"
#include "services/task_queue/task_store.h"

namespace slipstream::task_queue::simulation {

class News {
 public:
  News(Scheduler& scheduler, Faults& faults) : scheduler_(scheduler), faults_(faults) {}

  void SetListener(Owner owner, StoreListener* listener) { listeners_[owner] = listener; }
  void Leave(Owner owner) { listeners_.erase(owner); }

  void Work(Owner from) {
    Tell(from, [](StoreListener& listener) { listener.OnWork(); });
  }
  void EndedLease(Owner from, const task_queue::EndedLease& ended) {
    Tell(from, [ended](StoreListener& listener) { listener.OnEndedLease(ended); });
  }

 private:
  template <class F>
  void Tell(Owner from, F tell) {
    for (const auto& [owner, listener] : listeners_) {
      if (owner == from || listener == nullptr) continue;
      const bool lost = faults_.Strikes(Fault::kLostNews, 0.1);
      const absl::Duration delay =
          lost ? scheduler_.Between(absl::Milliseconds(300), absl::Seconds(2))
               : scheduler_.Between(absl::Microseconds(100), absl::Milliseconds(5));
      scheduler_.After(owner, delay, [this, owner = owner, lost, tell] {
        auto it = listeners_.find(owner);
        if (it == listeners_.end() || it->second == nullptr) return;
        if (lost) {
          it->second->OnGap();
        } else {
          tell(*it->second);
        }
      });
    }
  }

  Scheduler& scheduler_;
  Faults& faults_;
  std::map<Owner, StoreListener*> listeners_;
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_NEWS_H_
