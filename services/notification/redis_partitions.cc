#include "services/notification/redis_partitions.h"

#include <array>
#include <iterator>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/async/event.h"
#include "libs/hash/fnv1a.h"
#include "libs/status/status.h"
#include "libs/sync/mutex.h"

namespace slipstream::notification {

namespace {

// The same in every node and build.
size_t PartitionOf(std::string_view key) {
  const uint64_t hash = hash::Fnv1a(key);
  return static_cast<size_t>((hash ^ hash >> 32) % RedisPartitions::kCount);
}

}  // namespace

// What the partitions' answers are gathered in; lives until the last of them has come.
struct RedisPartitions::Call {
  struct Partition {
    Args args;
    std::vector<size_t> requests;  // by element of the reply
  };
  std::array<Partition, kCount> partitions;
  std::vector<redis::Value> results;
  async::Event all;
  sync::Mutex mutex;
  size_t left ABSL_GUARDED_BY(mutex) = 0;
  absl::Status status ABSL_GUARDED_BY(mutex);

  void Put(const Partition& partition, absl::StatusOr<redis::Value> reply) {
    {
      sync::MutexLock lock(mutex);
      if (!reply.ok()) {
        status.Update(reply.status());
      } else if (!reply->is_array() || reply->size() != partition.requests.size()) {
        status.Update(RedisDataUnreadable());
      } else {
        for (size_t i = 0; i < reply->size(); ++i) {
          results[partition.requests[i]] = std::move((*reply)[i]);
        }
      }
      if (--left > 0) return;
    }
    all.Notify();
  }
};

std::string RedisPartitions::BaseOf(size_t partition) const {
  return absl::StrCat(prefix_, "{notify:", partition, "}:");
}

Async<absl::StatusOr<std::vector<redis::Value>>> RedisPartitions::Eval(
    const redis::Script& script, Args head, std::vector<Request> requests) {
  if (requests.empty()) co_return std::vector<redis::Value>();
  auto call = std::make_shared<Call>();
  call->results.resize(requests.size());
  size_t used_count = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    Call::Partition& partition = call->partitions[PartitionOf(requests[i].key)];
    if (partition.requests.empty()) {
      partition.args = head;
      ++used_count;
    }
    partition.requests.push_back(i);
    std::move(requests[i].args.begin(), requests[i].args.end(), std::back_inserter(partition.args));
  }
  {
    sync::MutexLock lock(call->mutex);
    call->left = used_count;
  }
  for (size_t p = 0; p < kCount; ++p) {
    Call::Partition& partition = call->partitions[p];
    if (partition.requests.empty()) continue;
    client_.Eval(script, {BaseOf(p)}, std::move(partition.args),
                 [call, &partition](absl::StatusOr<redis::Value> reply) {
                   call->Put(partition, std::move(reply));
                 });
  }
  // The version is 0 until the last answer has come; each comes within the client's timeout.
  co_await call->all.Wait(0);
  sync::MutexLock lock(call->mutex);
  if (!call->status.ok()) co_return call->status;
  co_return std::move(call->results);
}

absl::Status RedisDataUnreadable() {
  return status::Error(absl::StatusCode::kInternal, "REDIS_DATA_UNREADABLE",
                       "an answer of Redis is not one of this version's; do nodes of several "
                       "versions share a key prefix?");
}

uint64_t NumberOf(const redis::Value& value) {
  if (value.is_integer()) return static_cast<uint64_t>(value.integer);
  uint64_t out = 0;
  return absl::SimpleAtoi(value.text, &out) ? out : 0;
}

}  // namespace slipstream::notification
