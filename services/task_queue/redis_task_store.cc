#include "services/task_queue/redis_task_store.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/redis_scripts.h"
#include "services/task_queue/task_keys.h"

namespace slipstream::task_queue {

namespace {

constexpr size_t kMaxReadTogetherCount = 500;

}  // namespace

RedisTaskStore::RedisTaskStore(redis::Client& client, RedisTaskStoreOptions options)
    : client_(client), options_(std::move(options)) {
  const int count = std::clamp(options_.shards_count, 1, 1024);
  for (int i = 0; i < count; ++i) {
    shards_.push_back(
        std::make_unique<RedisShard>(client, absl::StrCat(options_.name, "{", i, "}:"),
                                     options_.max_tasks_count, options_.room_margin, i == 0));
  }
}

RedisTaskStore::RedisTaskStore(std::unique_ptr<redis::Client> client, RedisTaskStoreOptions options)
    : RedisTaskStore(*client, std::move(options)) {
  owned_client_ = std::move(client);
}

// First the client: what is pending is answered while the shards are there.
RedisTaskStore::~RedisTaskStore() {
  subscription_.reset();
  owned_client_.reset();
}

Async<absl::Status> RedisTaskStore::CheckLayout() {
  const std::string count = absl::StrCat(shards_.size());
  auto set = co_await shards_[0]->Command({"HSETNX", shards_[0]->Key("m"), "shards", count});
  if (!set.ok()) co_return set.status();
  auto kept = co_await shards_[0]->Command({"HGET", shards_[0]->Key("m"), "shards"});
  if (!kept.ok()) co_return kept.status();
  if (kept->text == count) co_return absl::OkStatus();
  co_return status::Error(
      absl::StatusCode::kFailedPrecondition, "SHARDS_CHANGED",
      absl::StrCat("this Redis holds tasks in ", kept->text,
                   " shards, and task_queue.shards_count "
                   "is ",
                   count, "; set it to ", kept->text, ", or use another key prefix"));
}

// --- where a task is

std::string RedisTaskStore::MakeTaskId(std::string uuid, std::string_view owner,
                                       std::string_view tenant) const {
  constexpr char kHex[] = "0123456789abcdef";
  RedisShard& shard = ShardOf(owner, tenant);
  size_t number = 0;
  while (shards_[number].get() != &shard) ++number;
  // The last of the UUID's random bits.
  for (size_t i = 0; i < 4; ++i) {
    uuid[uuid.size() - 1 - i] = kHex[number >> (4 * i) & 15];
  }
  return uuid;
}

RedisShard& RedisTaskStore::ShardOf(std::string_view owner, std::string_view tenant) const {
  if (shards_.size() == 1) return *shards_[0];
  const std::string key = TenantKeyOf(owner, tenant);
  return *shards_[XXH3_64bits(key.data(), key.size()) % shards_.size()];
}

RedisShard* RedisTaskStore::ShardOfTask(std::string_view task_id) const {
  if (task_id.size() != 36) return nullptr;
  size_t number = 0;
  for (const char c : task_id.substr(32)) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return nullptr;
    number = number << 4 | static_cast<size_t>(digit);
  }
  return number < shards_.size() ? shards_[number].get() : nullptr;
}

// --- reads

Async<absl::StatusOr<TaskRecord>> RedisTaskStore::Get(std::string_view task_id) {
  RedisShard* shard = ShardOfTask(task_id);
  if (shard == nullptr) co_return TaskNotFound(task_id);
  auto read = co_await shard->Read({redis_codec::PackId(task_id)});
  if (!read.ok()) co_return read.status();
  if (!(*read)[0]) co_return TaskNotFound(task_id);
  co_return std::move((*read)[0]->task);
}

Async<absl::StatusOr<std::vector<std::optional<TaskRecord>>>> RedisTaskStore::BulkGet(
    std::span<const std::string> task_ids) {
  std::vector<std::optional<TaskRecord>> found(task_ids.size());
  std::map<RedisShard*, std::vector<size_t>> by_shard;
  for (size_t i = 0; i < task_ids.size(); ++i) {
    if (RedisShard* shard = ShardOfTask(task_ids[i])) by_shard[shard].push_back(i);
  }
  for (const auto& [shard, places] : by_shard) {
    for (size_t begin = 0; begin < places.size(); begin += kMaxReadTogetherCount) {
      const size_t end = std::min(places.size(), begin + kMaxReadTogetherCount);
      std::vector<std::string> ids;
      for (size_t k = begin; k < end; ++k) ids.push_back(redis_codec::PackId(task_ids[places[k]]));
      auto read = co_await shard->Read(std::move(ids));
      if (!read.ok()) co_return read.status();
      for (size_t k = begin; k < end; ++k) {
        if (auto& one = (*read)[k - begin]) found[places[k]] = std::move(one->task);
      }
    }
  }
  co_return found;
}

// A position is "<shard>:<place in the owner's list>". Without a tenant an owner may have tasks in
// every shard; they are listed one shard after the other.
Async<absl::StatusOr<TaskPage>> RedisTaskStore::ListByOwner(const ListQuery& query) {
  constexpr int kMaxScanCount = 10'000;
  constexpr int kPageCount = 100;
  TaskPage page;
  size_t first = 0, last = shards_.size() - 1;
  if (query.tenant) {
    RedisShard& shard = ShardOf(query.owner, *query.tenant);
    while (shards_[first].get() != &shard) ++first;
    last = first;
  }
  std::string before;
  if (!query.after.empty()) {
    const size_t colon = query.after.find(':');
    uint64_t number = 0, place = 0;
    if (colon == std::string::npos || !absl::SimpleAtoi(query.after.substr(0, colon), &number) ||
        !absl::SimpleAtoi(query.after.substr(colon + 1), &place) || number < first ||
        number > last) {
      co_return status::FieldError("page_token", "is not a token of this listing");
    }
    first = number;
    before = absl::StrCat(place);
  }
  int scanned = 0;
  for (size_t number = first; number <= last; ++number, before.clear()) {
    RedisShard& shard = *shards_[number];
    for (;;) {
      auto reply = co_await shard.Eval(redis_scripts::Owned(),
                                       {query.owner, before, absl::StrCat(kPageCount)});
      if (!reply.ok()) co_return reply.status();
      if (reply->size() != 2) co_return UnexpectedReply("Owned");
      const int64_t start = (*reply)[0].integer;
      std::vector<std::string> ids;
      for (const redis::Value& id : (*reply)[1].elements) ids.push_back(id.text);
      if (ids.empty()) break;
      auto read = co_await shard.Read(ids);
      if (!read.ok()) co_return read.status();
      for (size_t i = ids.size(); i-- > 0;) {
        if (static_cast<int>(page.tasks.size()) >= query.limit || scanned++ >= kMaxScanCount) {
          page.next = absl::StrCat(number, ":", start + static_cast<int64_t>(i) + 1);
          co_return page;
        }
        if (!(*read)[i]) continue;
        TaskRecord& task = (*read)[i]->task;
        if (query.tenant && task.tenant != *query.tenant) continue;
        if (!query.task_type.empty() && task.task_type != query.task_type) continue;
        if (!query.statuses.empty() && std::find(query.statuses.begin(), query.statuses.end(),
                                                 task.status) == query.statuses.end()) {
          continue;
        }
        page.tasks.push_back(std::move(task));
      }
      before = absl::StrCat(start);
      if (start == 0) break;
    }
  }
  co_return page;
}

// --- pause and figures

Async<absl::StatusOr<std::vector<std::string>>> RedisTaskStore::SetPaused(
    std::string_view task_type, bool paused) {
  std::vector<std::string> all;
  for (const auto& shard : shards_) {
    std::vector<std::string> args = {paused ? "SADD" : "SREM", shard->Key("p"),
                                     std::string(task_type)};
    if (!paused && task_type == "*") args = {"DEL", shard->Key("p")};
    auto done = co_await shard->Command(std::move(args));
    if (!done.ok()) co_return done.status();
    auto members = co_await shard->Command({"SMEMBERS", shard->Key("p")});
    if (!members.ok()) co_return members.status();
    all.clear();
    for (const redis::Value& one : members->elements) all.push_back(one.text);
  }
  std::sort(all.begin(), all.end());
  co_return all;
}

Async<absl::Status> RedisTaskStore::AddStats(RedisShard& shard, StoreStats& stats) {
  auto counters = co_await shard.Command({"HGETALL", shard.Key("n")});
  if (!counters.ok()) co_return counters.status();
  std::map<std::pair<std::string, TaskPriority>, StoreStats::Depth> depths;
  for (size_t i = 0; i + 1 < counters->size(); i += 2) {
    const std::string& field = (*counters)[i].text;
    int64_t count = 0;
    if (!absl::SimpleAtoi((*counters)[i + 1].text, &count) || count == 0) continue;
    if (field.size() == 2 && field[0] == 's') {
      stats.by_status[static_cast<size_t>(field[1] - '0')] += count;
    } else if (field.size() > 4 && field[1] == ':') {
      StoreStats::Depth& depth =
          depths[{field.substr(4), static_cast<TaskPriority>(field[2] - '0')}];
      (field[0] == 'p' ? depth.pending_count : depth.scheduled_count) += count;
    }
  }
  std::vector<std::string> args;
  std::vector<StoreStats::Depth*> asked;
  for (auto& [key, depth] : depths) {
    depth.task_type = key.first;
    depth.priority = key.second;
    if (depth.pending_count <= 0) continue;
    args.insert(args.end(), {key.first, absl::StrCat(static_cast<int>(key.second))});
    asked.push_back(&depth);
  }
  if (!args.empty()) {
    auto oldest = co_await shard.Eval(redis_scripts::Oldest(), std::move(args));
    if (!oldest.ok()) co_return oldest.status();
    if (oldest->size() != asked.size()) co_return UnexpectedReply("Oldest");
    for (size_t i = 0; i < asked.size(); ++i) {
      const std::string& ready = (*oldest)[i].text;
      if (ready.empty()) continue;
      asked[i]->oldest_ready_at =
          absl::FromUnixMillis(static_cast<int64_t>(redis_codec::ReadNumber(ready)));
    }
  }
  for (auto& [key, depth] : depths) {
    auto same = std::find_if(stats.depths.begin(), stats.depths.end(), [&](const auto& have) {
      return have.task_type == depth.task_type && have.priority == depth.priority;
    });
    if (same == stats.depths.end()) {
      stats.depths.push_back(std::move(depth));
      continue;
    }
    same->pending_count += depth.pending_count;
    same->scheduled_count += depth.scheduled_count;
    same->oldest_ready_at = std::min(same->oldest_ready_at, depth.oldest_ready_at);
  }
  auto outbox = co_await shard.Command({"LLEN", shard.Key("o")});
  if (!outbox.ok()) co_return outbox.status();
  stats.outbox_count += outbox->integer;
  co_return absl::OkStatus();
}

Async<absl::StatusOr<StoreStats>> RedisTaskStore::Stats() {
  StoreStats stats;
  for (const auto& shard : shards_) {
    absl::Status added = co_await AddStats(*shard, stats);
    if (!added.ok()) co_return added;
  }
  auto paused = co_await shards_[0]->Command({"SMEMBERS", shards_[0]->Key("p")});
  if (!paused.ok()) co_return paused.status();
  for (const redis::Value& one : paused->elements) stats.paused_task_types.push_back(one.text);
  std::sort(stats.paused_task_types.begin(), stats.paused_task_types.end());
  // All of that server's memory: Redis does not know what a task's part is.
  auto memory = co_await shards_[0]->Command({"INFO", "memory"});
  if (memory.ok()) {
    constexpr std::string_view kField = "used_memory:";
    const size_t at = memory->text.find(kField);
    if (at != std::string::npos) {
      const size_t begin = at + kField.size();
      const size_t end = memory->text.find('\r', begin);
      if (!absl::SimpleAtoi(memory->text.substr(begin, end - begin), &stats.held_bytes)) {
        stats.held_bytes = 0;
      }
    }
  }
  stats.outbox_dropped_count = outbox_dropped_count_.load(std::memory_order_relaxed);
  co_return stats;
}

// --- what servers share

void RedisTaskStore::SetListener(StoreListener* listener) {
  subscription_.reset();
  listener_ = listener;
  if (listener == nullptr) return;
  std::vector<std::string> channels;
  for (const auto& shard : shards_) channels.push_back(shard->Key("news"));
  // 'W': tasks have begun to wait. 'E': a lease has ended: id, epoch(8), length of the session's
  // name, the name, the reason.
  subscription_ = client_.Subscribe(
      std::move(channels),
      [listener](std::string_view, std::string_view news) {
        if (news == "W") {
          listener->OnWork();
          return;
        }
        if (news.size() < 26 || news[0] != 'E') return;
        const size_t length = static_cast<uint8_t>(news[25]);
        if (news.size() < 26 + length) return;
        EndedLease ended;
        ended.lease.task_id = redis_codec::UnpackId(news.substr(1, 16));
        ended.lease.epoch = static_cast<int64_t>(redis_codec::ReadNumber(news.substr(17, 8)));
        ended.lease.session_id = std::string(news.substr(26, length));
        ended.reason = std::string(news.substr(26 + length));
        listener->OnEndedLease(ended);
      },
      [listener](bool up) {
        if (up) listener->OnGap();
      });
}

void RedisTaskStore::AnnounceEndedLease(const EndedLease& ended) {
  RedisShard* shard = ShardOfTask(ended.lease.task_id);
  if (shard == nullptr) return;
  std::string news = "E" + redis_codec::PackId(ended.lease.task_id);
  news += redis_codec::Number(static_cast<uint64_t>(ended.lease.epoch), 8);
  news.push_back(static_cast<char>(ended.lease.session_id.size()));
  news += ended.lease.session_id + ended.reason;
  // A hint: when it is lost, the worker's next report is refused, and its server looks again after
  // a gap.
  client_.Command(shard->prefix(), {"PUBLISH", shard->Key("news"), std::move(news)},
                  [](absl::StatusOr<redis::Value>) {});
}

Async<absl::Status> RedisTaskStore::SaveShared(std::string_view kind, std::string_view name,
                                               std::string document, absl::Duration ttl) {
  RedisShard& shard = *shards_[0];
  const std::string kind_text(kind), name_text(name);
  Changes changes;
  changes.Add("SADD", shard.Key("docs:" + kind_text), name_text);
  changes.Command({"SET", shard.Key("doc:" + kind_text + ":" + name_text), std::move(document),
                   "PX",
                   absl::StrCat(absl::ToInt64Milliseconds(
                       std::clamp(ttl, absl::Milliseconds(1), absl::Hours(24 * 3650))))});
  auto applied = co_await shard.Apply(std::move(changes));
  co_return applied.status();
}

Async<absl::StatusOr<std::vector<std::pair<std::string, std::string>>>> RedisTaskStore::LoadShared(
    std::string_view kind) {
  RedisShard& shard = *shards_[0];
  const std::string kind_text(kind);
  std::vector<std::pair<std::string, std::string>> documents;
  auto names = co_await shard.Command({"SMEMBERS", shard.Key("docs:" + kind_text)});
  if (!names.ok()) co_return names.status();
  if (names->elements.empty()) co_return documents;
  std::vector<std::string> args = {"MGET"};
  for (const redis::Value& name : names->elements) {
    args.push_back(shard.Key("doc:" + kind_text + ":" + name.text));
  }
  auto values = co_await shard.Command(std::move(args));
  if (!values.ok()) co_return values.status();
  std::vector<std::string> gone = {"SREM", shard.Key("docs:" + kind_text)};
  for (size_t i = 0; i < values->size() && i < names->size(); ++i) {
    if ((*values)[i].is_string()) {
      documents.emplace_back((*names)[i].text, (*values)[i].text);
    } else {
      gone.push_back((*names)[i].text);
    }
  }
  if (gone.size() > 2) {
    auto removed = co_await shard.Command(std::move(gone));
    if (!removed.ok()) co_return removed.status();
  }
  std::sort(documents.begin(), documents.end());
  co_return documents;
}

}  // namespace slipstream::task_queue
