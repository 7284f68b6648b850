#include "services/cache/invalidation_walk.h"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace slipstream::cache {

bool InvalidationWalk::Step() {
  if (listed_.empty()) {
    if (next_part_ == store_.parts_count()) return true;
    listed_ = store_.List(next_part_++);
  }
  std::vector<EntryRef> matched;
  size_t looked_at_bytes = 0;
  while (!listed_.empty() && looked_at_bytes < kStepBytes) {
    EntryRef entry = std::move(listed_.back());
    listed_.pop_back();
    looked_at_bytes += size_t{entry->id_size} + entry->user_key_size;
    if (filter_.Matches(entry->id(), entry->user_key())) matched.push_back(std::move(entry));
  }
  erased_count_ += store_.EraseListed(matched);
  return listed_.empty() && next_part_ == store_.parts_count();
}

Async<void> InvalidationWalk::Run() {
  const Executor executor = co_await boost::asio::this_coro::executor;
  while (!Step()) co_await boost::asio::post(executor, boost::asio::use_awaitable);
}

}  // namespace slipstream::cache
