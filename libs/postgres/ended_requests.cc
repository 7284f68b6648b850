#include "libs/postgres/ended_requests.h"

#include <algorithm>
#include <boost/asio/post.hpp>

namespace slipstream::postgres {

bool EndedRequests::Tell(TimePoint now, bool may_hold) {
  if (ended_.empty()) return false;
  if (!std::exchange(holds_, true)) held_since_ = now;
  if (may_hold && ended_.size() < kMaxCount && now - held_since_ < kMaxHold) return true;
  holds_ = false;
  auto ended = std::exchange(ended_, {});
  for (auto first = ended.begin(); first != ended.end();) {
    // Mostly all of them.
    const auto last = std::find_if(first, ended.end(),
                                   [&](const auto& other) { return other.first != first->first; });
    std::vector<async::Resume<bool>> together;
    together.reserve(static_cast<size_t>(last - first));
    for (auto one = first; one != last; ++one) together.push_back(std::move(one->second));
    boost::asio::post(first->first, [together = std::move(together)]() mutable {
      for (auto& resume : together) resume.Here(true);
    });
    first = last;
  }
  return false;
}

}  // namespace slipstream::postgres
