#include "libs/client/cache/single_flight.h"

#include <utility>

#include "libs/client/cache/cached_function.h"

namespace slipstream::cache_client {

struct SingleFlight::Seat::Flight {
  async::Event over_event;
  sync::Mutex mutex;
  std::optional<Outcome> outcome ABSL_GUARDED_BY(mutex);  // nullopt until it is over
  std::optional<Result> result ABSL_GUARDED_BY(mutex);    // of kLanded
};

SingleFlight::Seat::Seat(SingleFlight& owner, std::string name)
    : owner_(owner), name_(std::move(name)) {
  sync::MutexLock lock(owner_.mutex_);
  auto [it, inserted] = owner_.flights_.try_emplace(name_);
  if (inserted) it->second = std::make_shared<Flight>();
  flight_ = it->second;
  leads_ = inserted;
}

SingleFlight::Seat::~Seat() {
  if (leads_) GiveUp();
}

void SingleFlight::Seat::Land(const Result& result) { End(kLanded, result); }
void SingleFlight::Seat::Disperse() { End(kDispersed, std::nullopt); }
void SingleFlight::Seat::GiveUp() { End(kGivenUp, std::nullopt); }

void SingleFlight::Seat::Close() {
  if (std::exchange(closed_, true)) return;
  sync::MutexLock lock(owner_.mutex_);
  owner_.flights_.erase(name_);
}

void SingleFlight::Seat::End(Outcome outcome, std::optional<Result> result) {
  if (std::exchange(ended_, true)) return;
  {
    sync::MutexLock lock(flight_->mutex);
    flight_->outcome = outcome;
    flight_->result = std::move(result);
  }
  Close();
  flight_->over_event.Notify();
}

Async<SingleFlight::Seat::Outcome> SingleFlight::Seat::Wait(async::Event::TimePoint deadline,
                                                            std::optional<Result>* result) {
  for (;;) {
    const uint64_t seen = flight_->over_event.version();
    {
      sync::MutexLock lock(flight_->mutex);
      if (flight_->outcome) {
        *result = flight_->result;
        co_return *flight_->outcome;
      }
    }
    if (!co_await flight_->over_event.Wait(seen, deadline)) co_return kTimedOut;
  }
}

}  // namespace slipstream::cache_client
