// RedisTaskStore: sessions and leases.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/redis_scripts.h"
#include "services/task_queue/redis_task_store.h"

namespace slipstream::task_queue {

namespace {

absl::Status SessionGone() {
  return status::Error(absl::StatusCode::kNotFound, kSessionNotFound,
                       "the worker session has ended; reconnect for a new one");
}

std::string Millis(absl::Time time) { return absl::StrCat(absl::ToUnixMillis(time)); }
std::string Millis(absl::Duration duration) {
  return absl::StrCat(
      absl::ToInt64Milliseconds(std::clamp(duration, absl::ZeroDuration(), absl::Hours(24 * 365))));
}

}  // namespace

// --- sessions

Async<absl::Status> RedisTaskStore::OpenSession(SessionLease session, absl::Time now) {
  for (const auto& shard : shards_) {
    std::vector<std::string> args = {
        Millis(now),        Millis(options_.session_clock_step), "O",
        session.session_id, Millis(session.until - now),         session.user};
    auto opened = co_await shard->Eval(redis_scripts::Sessions(), std::move(args));
    if (!opened.ok()) co_return opened.status();
  }
  co_return absl::OkStatus();
}

Async<absl::StatusOr<std::vector<bool>>> RedisTaskStore::RenewSessions(
    std::span<const SessionLease> sessions, absl::Time now) {
  std::vector<bool> alive(sessions.size(), true);
  for (const auto& shard : shards_) {
    std::vector<std::string> args = {Millis(now), Millis(options_.session_clock_step)};
    for (const SessionLease& session : sessions) {
      args.insert(args.end(), {"R", session.session_id, Millis(session.until - now), ""});
    }
    auto renewed = co_await shard->Eval(redis_scripts::Sessions(), std::move(args));
    if (!renewed.ok()) co_return renewed.status();
    if (renewed->size() != sessions.size()) co_return UnexpectedReply("Sessions");
    for (size_t i = 0; i < sessions.size(); ++i) {
      alive[i] = alive[i] && (*renewed)[i].integer == 1;
    }
  }
  co_return alive;
}

Async<absl::StatusOr<StoredSession>> RedisTaskStore::FindSession(std::string_view session_id,
                                                                 absl::Time now) {
  const std::string session(session_id);
  StoredSession found;
  const std::string mine = shards_[0]->Key("pm:" + session);
  auto moves = co_await shards_[0]->Command({"HGET", mine, "#moves"});
  if (!moves.ok()) co_return moves.status();
  std::map<std::string, int64_t> limited;  // what it holds of types with limits
  for (const auto& shard : shards_) {
    std::vector<std::string> args = {
        Millis(now), Millis(options_.session_clock_step), "F", session, "0", ""};
    auto alive = co_await shard->Eval(redis_scripts::Sessions(), std::move(args));
    if (!alive.ok()) co_return alive.status();
    if (alive->size() != 1 || (*alive)[0].integer != 1) co_return SessionGone();
    auto user = co_await shard->Command({"HGET", shard->Key("S"), session});
    if (!user.ok()) co_return user.status();
    found.user = user->text;
    auto held = co_await shard->Command({"SMEMBERS", shard->Key("h:" + session)});
    if (!held.ok()) co_return held.status();
    std::vector<std::string> ids;
    for (const redis::Value& id : held->elements) ids.push_back(id.text);
    auto tasks = co_await shard->Read(std::move(ids));
    if (!tasks.ok()) co_return tasks.status();
    std::vector<std::unique_ptr<Stored>> remembered;
    for (std::optional<Stored>& one : *tasks) {
      if (!one || one->task.status != TaskStatus::kRunning || one->task.session_id != session) {
        continue;
      }
      if (one->limited) ++limited[one->task.task_type];
      found.held.push_back(one->task);
      remembered.push_back(std::make_unique<Stored>(*std::move(one)));
    }
    Remember(std::move(remembered));
  }
  absl::Status taken = co_await TakeUnusedPermits(
      session, moves->is_string() ? moves->text : std::string("0"), std::move(limited));
  if (!taken.ok()) co_return taken;
  co_return found;
}

// Permits of leases that were never made, or whose end could not be told. Read after the tasks: one
// that ends meanwhile is counted too often, never too seldom. Where another server leases for the
// session at the same time nothing is taken: the session's end does it.
Async<absl::Status> RedisTaskStore::TakeUnusedPermits(std::string session, std::string moves,
                                                      std::map<std::string, int64_t> limited) {
  auto permits = co_await PermitsOf(session);
  if (!permits.ok()) co_return permits.status();
  std::vector<std::string> args = {session, std::move(moves)};
  const size_t nothing = args.size();
  for (const auto& [type, count] : *permits) {
    const int64_t unused = count - limited[type];
    if (unused > 0) args.insert(args.end(), {type, absl::StrCat(count), absl::StrCat(unused)});
  }
  if (args.size() == nothing) co_return absl::OkStatus();
  auto taken = co_await shards_[0]->Eval(redis_scripts::TakeBack(), std::move(args));
  co_return taken.status();
}

Async<absl::StatusOr<std::map<std::string, int64_t>>> RedisTaskStore::PermitsOf(
    std::string session) {
  RedisShard& shard = *shards_[0];
  auto fields = co_await shard.Command({"HGETALL", shard.Key("pm:" + session)});
  if (!fields.ok()) co_return fields.status();
  std::map<std::string, int64_t> permits;
  for (size_t i = 0; i + 1 < fields->size(); i += 2) {
    const std::string& type = (*fields)[i].text;
    int64_t count = 0;
    if (redis_scripts::IsPermitMark(type) || !absl::SimpleAtoi((*fields)[i + 1].text, &count)) {
      continue;
    }
    if (count > 0) permits.emplace(type, count);
  }
  co_return permits;
}

// --- what this server has leased

void RedisTaskStore::Remember(std::vector<std::unique_ptr<Stored>> leased) {
  sync::MutexLock lock(mu_);
  for (std::unique_ptr<Stored>& stored : leased) {
    next_overdue_ = std::min(next_overdue_, stored->task.attempt_deadline_at);
    leased_.erase(stored->task.task_id);  // its key is what goes
    const std::string_view id = stored->task.task_id;
    leased_.emplace(id, std::move(stored));
  }
}

std::unique_ptr<RedisTaskStore::Stored> RedisTaskStore::TakeLease(const LeaseKey& lease) {
  sync::MutexLock lock(mu_);
  auto it = leased_.find(lease.task_id);
  if (it == leased_.end() || it->second->task.lease_epoch != lease.epoch) return nullptr;
  std::unique_ptr<Stored> taken = std::move(it->second);
  leased_.erase(it);
  return taken;
}

void RedisTaskStore::ForgetLease(const std::string& task_id) {
  sync::MutexLock lock(mu_);
  leased_.erase(task_id);
}

// --- leasing

Async<absl::StatusOr<RedisTaskStore::GivenPermits>> RedisTaskStore::Permits(
    const std::string& session_id, absl::Time now, std::string mark,
    std::vector<std::string> args) {
  // Over all shards, so in one.
  args.insert(args.begin(),
              {session_id, Millis(now), Millis(options_.session_clock_step), std::move(mark)});
  auto reply = co_await shards_[0]->Eval(redis_scripts::Permits(), std::move(args));
  if (!reply.ok()) co_return reply.status();
  if (reply->text == "SESSION") co_return SessionGone();
  if (reply->elements.empty()) co_return UnexpectedReply("Permits");
  GivenPermits given{reply->elements[0].text, {}};
  for (size_t i = 1; i < reply->size(); ++i) {
    given.counts.push_back(static_cast<int>((*reply)[i].integer));
  }
  co_return given;
}

Async<absl::StatusOr<int>> RedisTaskStore::LeaseFrom(
    RedisShard& shard, const std::string& session_id, const std::vector<std::string>& types,
    const GivenPermits* permits, int max_count, absl::Time now, std::vector<TaskRecord>& leased) {
  const bool limited = permits != nullptr;
  const std::string mark = limited && shard.keeps_permits() ? permits->mark : "";
  int total = 0;
  while (total < max_count) {
    std::vector<std::string> args = {session_id,
                                     absl::StrCat(max_count - total),
                                     Millis(now),
                                     Millis(options_.aging_step),
                                     Millis(options_.session_clock_step),
                                     std::string(1, limited ? '\1' : '\0'),
                                     mark};
    args.insert(args.end(), types.begin(), types.end());
    auto reply = co_await shard.Eval(redis_scripts::Reserve(), std::move(args));
    // It may have been done all the same: WorkerSessions::Reclaim looks, and finds what was leased
    // before it too.
    if (!reply.ok()) co_return reply.status();
    if (reply->text == "SESSION") co_return SessionGone();
    if (reply->text == "PERMITS") break;
    if (reply->size() != 5) co_return UnexpectedReply("Reserve");
    const std::vector<redis::Value>& elements = (*reply)[2].elements;
    std::string state = redis_codec::EncodeLease((*reply)[0].integer, now, limited, session_id);
    const size_t lease_bytes = state.size();
    std::vector<std::unique_ptr<Stored>> remembered;
    remembered.reserve(elements.size());
    leased.reserve(leased.size() + elements.size());
    for (size_t i = 0; i < elements.size(); ++i) {
      state.resize(lease_bytes);
      state += (*reply)[4].elements[i].text;
      auto stored = std::make_unique<Stored>();
      absl::Status decoded =
          redis_codec::Decode(std::string_view(elements[i].text).substr(0, redis_codec::kIdBytes),
                              (*reply)[3].elements[i].text, state, *stored);
      if (!decoded.ok()) co_return decoded;
      leased.push_back(stored->task);
      remembered.push_back(std::move(stored));
    }
    Remember(std::move(remembered));
    total += static_cast<int>(elements.size());
    // Only passed-over elements mean that there may be more.
    if ((*reply)[1].integer == 0) break;
  }
  co_return total;
}

Async<absl::StatusOr<std::vector<TaskRecord>>> RedisTaskStore::LeaseBatch(
    std::string_view session_id, std::span<const LeaseType> types, int max_count, absl::Time now) {
  const std::string session(session_id);
  std::vector<TaskRecord> leased;
  std::vector<std::string> free;
  std::vector<const LeaseType*> limited;
  for (const LeaseType& type : types) {
    if (type.max_running_count > 0 || type.max_starts_per_minute > 0) {
      limited.push_back(&type);
    } else {
      free.push_back(type.name);
    }
  }
  // Another shard first each time, so that none is starved by the slots' end.
  const uint32_t first = next_shard_.fetch_add(1, std::memory_order_relaxed);
  for (const LeaseType* type : limited) {
    int wanted = max_count - static_cast<int>(leased.size());
    if (wanted <= 0) break;
    const std::string running = absl::StrCat(type->max_running_count);
    const std::string starts = absl::StrCat(type->max_starts_per_minute);
    auto permits =
        co_await Permits(session, now, "", {type->name, absl::StrCat(wanted), running, starts});
    if (!permits.ok()) co_return permits.status();
    int unused = permits->counts.empty() ? 0 : permits->counts[0];
    for (size_t i = 0; i < shards_.size() && unused > 0; ++i) {
      RedisShard& shard = *shards_[(first + i) % shards_.size()];
      const std::vector<std::string> names(1, type->name);
      auto count = co_await LeaseFrom(shard, session, names, &*permits, unused, now, leased);
      // Its permits are kept with it: what was leased has need of them.
      if (!count.ok()) co_return count.status();
      unused -= *count;
    }
    if (unused > 0) {
      auto back = co_await Permits(session, now, permits->mark,
                                   {type->name, absl::StrCat(-unused), running, starts});
      if (!back.ok()) co_return back.status();
    }
  }
  // First an even part from each, so that the tenants of one do not wait for those of another;
  // then what is left from whoever has more.
  const int total = max_count - static_cast<int>(leased.size());
  const int share = std::max(1, total / static_cast<int>(shards_.size()));
  std::vector<bool> emptied(shards_.size(), false);
  for (size_t i = 0; !free.empty() && i < 2 * shards_.size(); ++i) {
    const int room = max_count - static_cast<int>(leased.size());
    if (room <= 0) break;
    const size_t number = (first + i) % shards_.size();
    if (emptied[number]) continue;
    const int wanted = i < shards_.size() ? std::min(share, room) : room;
    auto count = co_await LeaseFrom(*shards_[number], session, free, nullptr, wanted, now, leased);
    if (!count.ok()) co_return count.status();
    emptied[number] = *count < wanted;
  }
  co_return leased;
}

}  // namespace slipstream::task_queue
