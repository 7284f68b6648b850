// Scheduler: the world's time, chance and order of events; what makes a run repeatable.
//
// Everything that happens is an event at a moment of fake time; events of one moment happen in the
// order in which they were made. Coroutines run on one io_context that is polled dry after each
// event, so that between two events nothing is on its way except what waits in Sleep.
//
// An event belongs to an owner (a server, a worker). Killing the owner drops its events, and with
// those the coroutines that sleep in them: their frames end where they wait, as in a crash.
//
// Thread safety: none. One thread runs the whole world.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_SCHEDULER_H_
#define SERVICES_TASK_QUEUE_SIMULATION_SCHEDULER_H_

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <exception>
#include <map>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "libs/async/async.h"
#include "libs/clock/fake_clock.h"
#include "libs/random/random.h"

namespace slipstream::task_queue::simulation {

using Owner = int;
inline constexpr Owner kWorld = 0;

class Scheduler {
 public:
  explicit Scheduler(uint64_t seed) : random_(seed) {}
  ~Scheduler();

  clock::FakeClock& clock() { return clock_; }
  random::Random& random() { return random_; }
  absl::Time now() const { return clock_.Now(); }
  absl::Duration elapsed() const { return clock_.Now() - start_; }
  int64_t step_count() const { return step_count_; }

  Owner NewOwner() { return ++last_owner_; }
  void After(Owner owner, absl::Duration delay, absl::AnyInvocable<void()> event);
  // Resumes after `delay`, or never when the owner is killed before.
  Async<void> Sleep(Owner owner, absl::Duration delay);
  void Kill(Owner owner);

  // Starts a coroutine; `done` is called with its result unless it is dropped.
  template <class T, class F>
  void Spawn(Async<T> coroutine, F done) {
    boost::asio::co_spawn(io_, std::move(coroutine),
                          [done = std::move(done)](std::exception_ptr error, T value) mutable {
                            if (error) std::rethrow_exception(error);
                            done(std::move(value));
                          });
  }
  void Spawn(Async<void> coroutine) {
    boost::asio::co_spawn(io_, std::move(coroutine), [](std::exception_ptr error) {
      if (error) std::rethrow_exception(error);
    });
  }

  // The next event, and all that follows from it at once. False when there is none.
  bool Step();
  // Runs what is ready. A real store's calls are waited for.
  void Settle();
  Executor executor() { return io_.get_executor(); }
  // Brackets a call that leaves the simulated world.
  void EnterOutside() { ++outside_count_; }
  void LeaveOutside() { --outside_count_; }

  // --- chance
  bool Chance(double p) { return p > 0 && random_.NextDouble() < p; }
  int Between(int least, int most) {  // both may come
    return least + static_cast<int>(random_.Uniform(static_cast<uint64_t>(most - least + 1)));
  }
  absl::Duration Between(absl::Duration least, absl::Duration most) {
    return least + absl::Microseconds(static_cast<int64_t>(random_.Uniform(
                       static_cast<uint64_t>(absl::ToInt64Microseconds(most - least)) + 1)));
  }
  template <class C>
  auto& Pick(C& items) {
    auto it = items.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(random_.Uniform(items.size())));
    return *it;
  }

 private:
  struct Event {
    Owner owner;
    absl::AnyInvocable<void()> run;
  };

  clock::FakeClock clock_;
  const absl::Time start_ = clock_.Now();
  random::SeededRandom random_;
  boost::asio::io_context io_{1};
  std::map<std::pair<absl::Time, int64_t>, Event> events_;
  int64_t next_event_ = 0;
  int64_t step_count_ = 0;
  int outside_count_ = 0;
  Owner last_owner_ = kWorld;
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_SCHEDULER_H_
