// Batcher: group commit. What callers hand in while a call is under way travels as the next one.
//
// A caller's items stay together and are answered together, in order. One call under way makes the
// largest batches; two keep Redis from being idle while the next one is made.
//
// Thread safety: Add and Run from any thread. `run` is called under no lock; the answers on the
// executor, many of them by one post, so an answer may resume its coroutine there
// (async::Resume::Here).
#ifndef SERVICES_TASK_QUEUE_REDIS_BATCHER_H_
#define SERVICES_TASK_QUEUE_REDIS_BATCHER_H_

#include <algorithm>
#include <boost/asio/post.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "libs/async/async.h"
#include "libs/async/suspend.h"
#include "libs/sync/mutex.h"

namespace slipstream::task_queue {

template <class Item, class Result>
class Batcher {
 public:
  using Answer = std::function<void(std::vector<Result>)>;
  // Runs one batch and calls `done` once, with one result per item; from any thread.
  using RunBatch = std::function<void(std::vector<Item>, Answer done)>;

  Batcher(Executor executor, size_t max_items_count, int max_in_flight_count, RunBatch run)
      : executor_(std::move(executor)),
        max_items_count_(max_items_count),
        max_in_flight_count_(max_in_flight_count),
        run_(std::move(run)) {}

  // Adds them and waits for their results. REQUIRES: this lives until then.
  Async<std::vector<Result>> Run(std::vector<Item> items) {
    using Results = std::vector<Result>;
    auto shared = std::make_shared<std::vector<Item>>(std::move(items));
    co_return co_await async::Suspend<Results>([this, shared](async::Resume<Results> resume) {
      auto kept = std::make_shared<async::Resume<Results>>(std::move(resume));
      Add(std::move(*shared), [kept](Results results) { kept->Here(std::move(results)); });
    });
  }

  void Add(std::vector<Item> items, Answer answer) {
    {
      sync::MutexLock lock(mu_);
      waiting_.push_back({std::move(items), std::move(answer)});
      if (in_flight_ >= max_in_flight_count_) return;
      ++in_flight_;
    }
    // Not here: what comes right after this, the rest of what one read of a socket has brought,
    // travels along.
    boost::asio::post(executor_, [this] { Next(); });
  }

 private:
  struct Group {
    std::vector<Item> items;
    Answer answer;
  };
  struct Answers {
    std::vector<Result> results;
    std::vector<std::pair<size_t, Answer>> to;  // how many of the results are whose
    size_t answered_count = 0, used_results_count = 0;
  };
  // Of one post: others of the executor have their turn in between.
  static constexpr size_t kAnswersPerPost = 32;

  // REQUIRES: one of in_flight_ is this call's.
  void Next() {
    std::vector<Item> batch;
    auto answers = std::make_shared<Answers>();
    {
      sync::MutexLock lock(mu_);
      while (!waiting_.empty()) {
        Group& group = waiting_.front();
        if (!batch.empty() && batch.size() + group.items.size() > max_items_count_) break;
        answers->to.emplace_back(group.items.size(), std::move(group.answer));
        if (batch.empty()) {
          batch = std::move(group.items);
        } else {
          std::move(group.items.begin(), group.items.end(), std::back_inserter(batch));
        }
        waiting_.pop_front();
      }
      if (answers->to.empty()) {
        --in_flight_;
        return;
      }
    }
    run_(std::move(batch), [this, answers](std::vector<Result> results) {
      answers->results = std::move(results);
      PostAnswers(executor_, answers);
      Next();
    });
  }

  static void PostAnswers(const Executor& executor, std::shared_ptr<Answers> answers) {
    boost::asio::post(executor, [executor, answers = std::move(answers)] {
      const size_t end = std::min(answers->answered_count + kAnswersPerPost, answers->to.size());
      for (size_t& i = answers->answered_count; i < end; ++i) {
        const auto& [count, answer] = answers->to[i];
        const auto from = std::make_move_iterator(
            answers->results.begin() + static_cast<std::ptrdiff_t>(answers->used_results_count));
        answers->used_results_count += count;
        answer({from, from + static_cast<std::ptrdiff_t>(count)});
      }
      if (end < answers->to.size()) PostAnswers(executor, answers);
    });
  }

  const Executor executor_;
  const size_t max_items_count_;
  const int max_in_flight_count_;
  const RunBatch run_;
  sync::Mutex mu_;
  std::deque<Group> waiting_ ABSL_GUARDED_BY(mu_);
  int in_flight_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_REDIS_BATCHER_H_
