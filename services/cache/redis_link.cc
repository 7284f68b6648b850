#include "services/cache/redis_link.h"

#include <memory>
#include <optional>

#include "absl/strings/numbers.h"
#include "libs/async/deadline.h"
#include "libs/async/event.h"
#include "libs/redis/errors.h"
#include "libs/status/status.h"
#include "libs/sync/mutex.h"

namespace slipstream::cache {

namespace {

constexpr absl::Duration kRetryDelay = absl::Milliseconds(500);

absl::Status TooLate() {
  return status::WithRetryAfter(
      status::Error(absl::StatusCode::kUnavailable, redis::kUnavailable,
                    "Redis did not answer in time; try again after the delay given"),
      kRetryDelay);
}

// What the answers of some calls are gathered in; lives until the last of them has come.
struct Gathered {
  explicit Gathered(size_t count) : left(count), replies(count, TooLate()) {}

  void Put(size_t i, RedisLink::Reply reply) {
    {
      sync::MutexLock lock(mutex);
      if (taken) return;
      replies[i] = std::move(reply);
      if (--left > 0) return;
    }
    all.Notify();
  }

  async::Event all;
  sync::Mutex mutex;
  size_t left ABSL_GUARDED_BY(mutex);
  bool taken ABSL_GUARDED_BY(mutex) = false;
  std::vector<RedisLink::Reply> replies ABSL_GUARDED_BY(mutex);
};

Async<std::vector<RedisLink::Reply>> Take(std::shared_ptr<Gathered> gathered,
                                          absl::Duration timeout) {
  // The version is 0 until the last answer has come.
  co_await gathered->all.Wait(0, async::After(timeout));
  sync::MutexLock lock(gathered->mutex);
  gathered->taken = true;
  co_return std::move(gathered->replies);
}

}  // namespace

Async<std::vector<RedisLink::Reply>> RedisLink::EvalAll(const redis::Script& script,
                                                        std::vector<Args> calls,
                                                        absl::Duration timeout) {
  if (calls.empty()) co_return std::vector<Reply>();
  auto gathered = std::make_shared<Gathered>(calls.size());
  for (size_t i = 0; i < calls.size(); ++i) {
    client_.Eval(script, {base_}, std::move(calls[i]),
                 [gathered, i](Reply reply) { gathered->Put(i, std::move(reply)); });
  }
  co_return co_await Take(std::move(gathered), timeout);
}

Async<RedisLink::Reply> RedisLink::Eval(const redis::Script& script, Args args,
                                        absl::Duration timeout) {
  std::vector<Args> calls;
  calls.push_back(std::move(args));
  auto replies = co_await EvalAll(script, std::move(calls), timeout);
  co_return std::move(replies[0]);
}

Async<RedisLink::Reply> RedisLink::Command(Args args, absl::Duration timeout) {
  auto gathered = std::make_shared<Gathered>(1);
  client_.Command(base_, std::move(args),
                  [gathered](Reply reply) { gathered->Put(0, std::move(reply)); });
  auto replies = co_await Take(std::move(gathered), timeout);
  co_return std::move(replies[0]);
}

bool IsOver(const redis::Value& reply) { return WordOf(reply) == "GEN"; }

std::string_view WordOf(const redis::Value& reply) {
  if (!reply.is_array() || reply.size() == 0) return {};
  return reply[0].text;
}

uint64_t NumberAt(const redis::Value& reply, size_t i) {
  if (!reply.is_array() || i >= reply.size()) return 0;
  if (reply[i].is_integer()) return static_cast<uint64_t>(reply[i].integer);
  uint64_t out = 0;
  return absl::SimpleAtoi(reply[i].text, &out) ? out : 0;
}

}  // namespace slipstream::cache
