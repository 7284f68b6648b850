// What the tests of stores and of the engine share: coroutines run to their end, events by the
// line.
#ifndef SERVICES_NOTIFICATION_ENGINE_TESTING_H_
#define SERVICES_NOTIFICATION_ENGINE_TESTING_H_

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <string>
#include <utility>
#include <vector>

#include "libs/async/async.h"
#include "libs/clock/clock.h"
#include "services/notification/history_store.h"

namespace slipstream::notification {

template <class T>
T Await(const Executor& executor, Async<T> coroutine) {
  return boost::asio::co_spawn(executor, std::move(coroutine), boost::asio::use_future).get();
}

inline AppendRequest MakeAppend(const clock::Clock& clock, std::string id,
                                const std::string& channel,
                                EventType type = EventType::kSystemAlert, std::string task_id = "",
                                std::string idempotency_key = "") {
  AppendRequest out;
  out.event.id = std::move(id);
  out.event.type = type;
  out.event.channel = *ParseChannel(channel);
  out.event.task_id = std::move(task_id);
  out.event.created_at = clock.Now();
  out.event.published_at = clock.Monotonic();
  out.idempotency_key = std::move(idempotency_key);
  return out;
}

inline std::vector<std::string> Ids(const std::vector<EventPtr>& events) {
  std::vector<std::string> out;
  for (const EventPtr& event : events) out.push_back(event->id);
  return out;
}

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_ENGINE_TESTING_H_
