// Wakes those who wait for a change: watchers of a task, the dispatcher, the outbox forwarder.
//
// A signal says "look again", never what changed, so one may stand for many and a spurious one does
// no harm. Tasks share a fixed number of events by hash, so that watching needs no registration.
//
// Thread safety: all methods from any thread.
#ifndef SERVICES_TASK_QUEUE_TASK_SIGNALS_H_
#define SERVICES_TASK_QUEUE_TASK_SIGNALS_H_

#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "libs/async/event.h"
#include "services/task_queue/task.h"

namespace slipstream::task_queue {

class TaskSignals {
 public:
  // Of this task: its record has changed.
  async::Event& Changes(std::string_view task_id) {
    return changes_[std::hash<std::string_view>()(task_id) % changes_.size()];
  }
  // Tasks wait, or a worker has room.
  async::Event& work() { return work_; }
  // The outbox has new entries.
  async::Event& outbox() { return outbox_; }

  void Changed(std::string_view task_id) {
    Changes(task_id).Notify();
    outbox_.Notify();
  }
  // Of a batch: who waits for the outbox is woken once.
  void Changed(std::span<const TaskRecord> tasks) {
    if (tasks.empty()) return;
    for (const TaskRecord& task : tasks) Changes(task.task_id).Notify();
    outbox_.Notify();
  }
  // Everybody looks again, such as at the end of the process.
  void NotifyAll() {
    for (async::Event& event : changes_) event.Notify();
    work_.Notify();
    outbox_.Notify();
  }

 private:
  std::array<async::Event, 256> changes_;
  async::Event work_;
  async::Event outbox_;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_TASK_SIGNALS_H_
