// Batcher: group commit. What callers hand in while a call is under way travels as the next one.
//
// A caller's items stay together and are answered together, in order. One call under way makes the
// largest batches; two keep Redis from being idle while the next one is made.
//
// Thread safety: Add from any thread. `run` and the answers are called under no lock.
#ifndef SERVICES_TASK_QUEUE_REDIS_BATCHER_H_
#define SERVICES_TASK_QUEUE_REDIS_BATCHER_H_

#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "libs/sync/mutex.h"

namespace slipstream::task_queue {

template <class Item, class Result>
class Batcher {
 public:
  using Answer = std::function<void(std::vector<Result>)>;
  // Runs one batch and calls `done` once, with one result per item; from any thread.
  using Run = std::function<void(std::vector<Item>, Answer done)>;

  Batcher(size_t max_items_count, int max_in_flight_count, Run run)
      : max_items_count_(max_items_count),
        max_in_flight_count_(max_in_flight_count),
        run_(std::move(run)) {}

  void Add(std::vector<Item> items, Answer answer) {
    {
      sync::MutexLock lock(mu_);
      waiting_.push_back({std::move(items), std::move(answer)});
      if (in_flight_ >= max_in_flight_count_) return;
      ++in_flight_;
    }
    Next();
  }

 private:
  struct Group {
    std::vector<Item> items;
    Answer answer;
  };

  // REQUIRES: one of in_flight_ is this call's.
  void Next() {
    std::vector<Item> batch;
    std::vector<std::pair<size_t, Answer>> answers;
    {
      sync::MutexLock lock(mu_);
      while (!waiting_.empty()) {
        Group& group = waiting_.front();
        if (!batch.empty() && batch.size() + group.items.size() > max_items_count_) break;
        answers.emplace_back(group.items.size(), std::move(group.answer));
        if (batch.empty()) {
          batch = std::move(group.items);
        } else {
          std::move(group.items.begin(), group.items.end(), std::back_inserter(batch));
        }
        waiting_.pop_front();
      }
      if (answers.empty()) {
        --in_flight_;
        return;
      }
    }
    run_(std::move(batch), [this, answers = std::move(answers)](std::vector<Result> results) {
      // First the next batch, then the callers: Redis shall not wait for them.
      Next();
      auto from = results.begin();
      for (const auto& [count, answer] : answers) {
        const auto to = from + static_cast<std::ptrdiff_t>(count);
        answer({std::make_move_iterator(from), std::make_move_iterator(to)});
        from = to;
      }
    });
  }

  const size_t max_items_count_;
  const int max_in_flight_count_;
  const Run run_;
  sync::Mutex mu_;
  std::deque<Group> waiting_ ABSL_GUARDED_BY(mu_);
  int in_flight_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_REDIS_BATCHER_H_
