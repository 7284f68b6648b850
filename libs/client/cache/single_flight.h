// Of all coroutines of this process that want the same thing at the same time, one gets it and the
// others take its answer.
//
// Thread safety: all methods, from any coroutine. Nothing here fails.
#ifndef LIBS_CLIENT_CACHE_SINGLE_FLIGHT_H_
#define LIBS_CLIENT_CACHE_SINGLE_FLIGHT_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "libs/async/event.h"
#include "libs/sync/mutex.h"

namespace slipstream::cache_client {

struct CachedAnswer;

class SingleFlight {
 public:
  using Result = absl::StatusOr<CachedAnswer>;

  // A place in the flight for `name`; outlived by its SingleFlight.
  class Seat {
   public:
    Seat(SingleFlight& owner, std::string name);
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    // A leader who goes without landing, as one whose coroutine is destroyed, lets another lead.
    ~Seat();

    // The first of a flight: it has to Land.
    bool leads() const { return leads_; }
    // Nobody joins from now on; those who have joined still wait. REQUIRES: leads().
    void Close();
    // Gives everybody the result, and ends the flight. REQUIRES: leads().
    void Land(const Result& result);
    // Ends the flight without a result for others: each gets it for itself. REQUIRES: leads().
    void Disperse();
    // Lets one of those who wait lead instead. REQUIRES: leads().
    void GiveUp();

    enum Outcome { kLanded, kDispersed, kGivenUp, kTimedOut };
    // REQUIRES: !leads().
    Async<Outcome> Wait(async::Event::TimePoint deadline, std::optional<Result>* result);

   private:
    struct Flight;
    friend class SingleFlight;
    void End(Outcome outcome, std::optional<Result> result);

    SingleFlight& owner_;
    const std::string name_;
    std::shared_ptr<Flight> flight_;
    bool leads_ = false;
    bool closed_ = false;  // by its leader
    bool ended_ = false;   // by its leader
  };

 private:
  sync::Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<Seat::Flight>> flights_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace slipstream::cache_client

#endif  // LIBS_CLIENT_CACHE_SINGLE_FLIGHT_H_
