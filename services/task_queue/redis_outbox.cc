// RedisTaskStore: the outbox. An element of the list is one event, or a batch of starts or of
// successes that are made into events here, from the tasks' records.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/redis_scripts.h"
#include "services/task_queue/redis_task_store.h"

namespace slipstream::task_queue {

namespace {

// A sequence is the element's place in the list since ever, and the event's place in it.
constexpr int kEventBits = 12;

OutboxEntry EntryOf(std::string type, TaskRecord task) {
  OutboxEntry entry;
  entry.type = std::move(type);
  entry.idempotency_key = absl::StrCat(task.task_id, ":", task.version);
  entry.task = std::move(task);
  entry.task.args = nullptr;
  entry.task.result = nullptr;
  return entry;
}

}  // namespace

// Numbers of the elements that a newer progress of their task makes needless. What was handed out
// before stays as it was, because its idempotency key stands for it.
std::set<int64_t> RedisTaskStore::Conflate(
    int part, int64_t before, const std::vector<redis_codec::OutboxElement>& elements) {
  sync::MutexLock lock(mu_);
  HandedOut& handed_out = handed_out_[part];
  std::erase_if(handed_out.conflated, [before](int64_t number) { return number <= before; });
  std::map<std::string, int64_t> newest;
  int64_t number = before;
  for (const auto& element : elements) {
    ++number;
    if (number <= handed_out.up_to || element.kind != redis_codec::OutboxElement::Kind::kEvent) {
      continue;
    }
    const bool progress =
        element.type == "task_progress" && element.task.status == TaskStatus::kRunning;
    auto [seen, first] = newest.try_emplace(element.task.task_id, 0);
    if (progress && seen->second != 0) handed_out.conflated.insert(seen->second);
    seen->second = progress ? number : 0;
  }
  handed_out.up_to = std::max(handed_out.up_to, number);
  return handed_out.conflated;
}

Async<absl::StatusOr<std::vector<OutboxEntry>>> RedisTaskStore::ReadOutbox(int part,
                                                                           int64_t after_sequence,
                                                                           int max_count) {
  RedisShard& shard = *shards_[static_cast<size_t>(part)];
  auto reply = co_await shard.Eval(
      redis_scripts::ReadOutbox(),
      {options_.server_id, absl::StrCat(absl::ToInt64Milliseconds(options_.outbox_lock)),
       absl::StrCat(after_sequence <= 0 ? 0 : after_sequence >> kEventBits),
       absl::StrCat(max_count)});
  if (!reply.ok()) co_return reply.status();
  if (reply->text == "TAKEN") {
    co_return status::Error(absl::StatusCode::kUnavailable, "OUTBOX_TAKEN",
                            "another server forwards this part of the outbox");
  }
  if (reply->size() != 2) co_return UnexpectedReply("ReadOutbox");
  std::vector<redis_codec::OutboxElement> elements;
  std::vector<std::string> ids;
  for (const redis::Value& one : (*reply)[1].elements) {
    auto element = redis_codec::DecodeOutboxElement(one.text);
    if (!element.ok()) co_return element.status();
    for (const auto& start : element->starts) ids.push_back(start.id);
    ids.insert(ids.end(), element->ids.begin(), element->ids.end());
    elements.push_back(*std::move(element));
    // Batches are whole; enough is enough.
    if (static_cast<int>(ids.size() + elements.size()) >= max_count) break;
  }
  auto records = co_await shard.Read(ids);
  if (!records.ok()) co_return records.status();
  const std::set<int64_t> conflated = Conflate(part, (*reply)[0].integer, elements);

  std::vector<OutboxEntry> entries;
  size_t next = 0;
  int64_t sequence = (*reply)[0].integer;
  for (auto& element : elements) {
    const size_t before = entries.size();
    switch (element.kind) {
      case redis_codec::OutboxElement::Kind::kEvent:
        if (conflated.contains(sequence + 1)) break;
        entries.push_back(EntryOf(std::move(element.type), std::move(element.task)));
        break;
      case redis_codec::OutboxElement::Kind::kSuccesses:
        for (size_t i = 0; i < element.ids.size(); ++i) {
          auto& stored = (*records)[next++];
          if (!stored) continue;  // purged since: nobody to tell
          entries.push_back(
              EntryOf(std::string(task_state::EventType(stored->task)), std::move(stored->task)));
        }
        break;
      case redis_codec::OutboxElement::Kind::kStarts:
        for (const auto& start : element.starts) {
          const auto& stored = (*records)[next++];
          if (!stored) continue;
          TaskRecord task = stored->task;
          // As of the start; what came later has events of its own.
          task.status = TaskStatus::kRunning;
          task.version = start.version;
          task.attempt = start.attempt;
          task.lease_epoch = element.epoch;
          task.session_id = element.session_id;
          task.started_at = element.at;
          task.attempt_deadline_at = element.at + task.attempt_deadline;
          task.finished_at.reset();
          task.next_run_at.reset();
          task.expires_at = absl::InfiniteFuture();
          task.progress = 0;
          task.progress_message.clear();
          task.error.reset();
          task.artifacts.clear();
          task.usage.reset();
          entries.push_back(EntryOf("task_started", std::move(task)));
        }
        break;
    }
    ++sequence;
    const auto count = static_cast<int64_t>(entries.size() - before);
    for (int64_t i = 0; i < count; ++i) {
      entries[before + static_cast<size_t>(i)].sequence = (sequence << kEventBits) - count + i + 1;
    }
  }
  if (entries.empty() && !elements.empty()) {
    // All of tasks that were purged since: nothing to forward, so nobody would acknowledge it.
    absl::Status passed = co_await AckOutbox(part, sequence << kEventBits);
    if (!passed.ok()) co_return passed;
  }
  co_return entries;
}

Async<absl::Status> RedisTaskStore::AckOutbox(int part, int64_t up_to_sequence) {
  // The last event of the element with number n has the sequence n << kEventBits: a batch is
  // acknowledged with its last event.
  RedisShard& shard = *shards_[static_cast<size_t>(part)];
  auto reply =
      co_await shard.Eval(redis_scripts::AckOutbox(), {absl::StrCat(up_to_sequence >> kEventBits)});
  co_return reply.status();
}

Async<absl::Status> RedisTaskStore::BoundOutbox(RedisShard& shard) {
  auto length = co_await shard.Command({"LLEN", shard.Key("o")});
  if (!length.ok()) co_return length.status();
  const int64_t over = length->integer - options_.max_outbox_count;
  if (over <= 0) co_return absl::OkStatus();
  auto first = co_await shard.Command({"GET", shard.Key("ob")});
  if (!first.ok()) co_return first.status();
  int64_t base = 0;
  if (first->is_string()) base = std::strtoll(first->text.c_str(), nullptr, 10);
  auto dropped = co_await shard.Eval(redis_scripts::AckOutbox(), {absl::StrCat(base + over)});
  if (!dropped.ok()) co_return dropped.status();
  outbox_dropped_count_.fetch_add(dropped->integer, std::memory_order_relaxed);
  co_return absl::OkStatus();
}

}  // namespace slipstream::task_queue
