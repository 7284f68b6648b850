#include "services/notification/redis_presence.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace slipstream::notification {

namespace {

constexpr absl::Duration kRetryDelay = absl::Milliseconds(500);

// (node, now_ms, remember_ms, stale_before_ms, per user: user, connections, tenant)
constexpr char kSay[] = R"(
local call, base = redis.call, KEYS[1]
local node, now, stale = ARGV[1], ARGV[2], tonumber(ARGV[4])
local out = {}
for i = 5, #ARGV, 3 do
  local key, count, tenant = base .. 'u:' .. ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if count == '0' then
    call('HDEL', key, node)
  else
    call('HSET', key, node, count .. ':' .. now .. ':' .. tenant)
  end
  call('HSET', key, '', '0:' .. now .. ':' .. tenant)
  -- What nodes that died left.
  if call('HLEN', key) > 2 then
    local all = call('HGETALL', key)
    for k = 1, #all, 2 do
      local t = tonumber(string.match(all[k + 1], '^%d+:(%d+):'))
      if all[k] ~= '' and t < stale then call('HDEL', key, all[k]) end
    end
  end
  call('PEXPIRE', key, ARGV[3])
  out[#out + 1] = 1
end
return out
)";

// (per user: user) -> per user its values
constexpr char kFind[] = R"(
local out = {}
for i = 1, #ARGV do out[i] = redis.call('HVALS', KEYS[1] .. 'u:' .. ARGV[i]) end
return out
)";

const redis::Script& SayScript() {
  static const redis::Script script(kSay);
  return script;
}
const redis::Script& FindScript() {
  static const redis::Script script(kFind);
  return script;
}

UserPresence Merge(std::string user, const redis::Value& values, absl::Time now) {
  UserPresence out;
  out.user = std::move(user);
  for (const redis::Value& value : values.elements) {
    const absl::string_view text = value.text;
    const size_t first = text.find(':');
    const size_t second = first == text.npos ? first : text.find(':', first + 1);
    int count = 0;
    int64_t at_ms = 0;
    if (second == text.npos || !absl::SimpleAtoi(text.substr(0, first), &count) ||
        !absl::SimpleAtoi(text.substr(first + 1, second - first - 1), &at_ms)) {
      continue;
    }
    const absl::Time at = absl::FromUnixMillis(at_ms);
    if (!out.last_seen_at || at > *out.last_seen_at) {
      out.last_seen_at = at;
      out.tenant = std::string(text.substr(second + 1));
    }
    out.known = true;
    if (at + RedisPresence::kLease > now) out.connections_count += count;
  }
  // A connection that is open is seen now.
  if (out.connections_count > 0) out.last_seen_at = now;
  return out;
}

}  // namespace

RedisPresence::RedisPresence(std::shared_ptr<redis::Client> client, const clock::Clock& clock,
                             RedisPresenceOptions options)
    : client_(std::move(client)),
      partitions_(*client_, options.key_prefix),
      clock_(clock),
      options_(std::move(options)),
      scope_(client_->executor()) {
  scope_.Spawn([this] { return Loop(); });
}

void RedisPresence::Stop() {
  if (scope_.stop_requested()) return;
  {
    sync::MutexLock lock(mutex_);
    for (auto& [user, word] : users_) {
      word.connections_count = 0;
      dirty_.insert(user);
    }
  }
  scope_.RequestStop();
  changed_.Notify();
  scope_.Close();
}

void RedisPresence::Set(const std::string& user, const std::string& tenant, int connections_count) {
  {
    sync::MutexLock lock(mutex_);
    users_[user] = {tenant, connections_count};
    dirty_.insert(user);
  }
  changed_.Notify();
}

void RedisPresence::Tick() {
  {
    sync::MutexLock lock(mutex_);
    if (clock_.Monotonic() < next_renewal_) return;
    next_renewal_ = clock_.Monotonic() + kRenewInterval;
    for (const auto& [user, word] : users_) dirty_.insert(user);
  }
  changed_.Notify();
}

RedisPresence::Words RedisPresence::TakeDirty() {
  Words out;
  sync::MutexLock lock(mutex_);
  while (!dirty_.empty() && out.size() < kMaxBatchCount) {
    const std::string user = *dirty_.begin();
    dirty_.erase(dirty_.begin());
    if (auto it = users_.find(user); it != users_.end()) out.emplace_back(user, it->second);
  }
  return out;
}

Async<absl::Status> RedisPresence::Say(const Words& words) {
  const absl::Time now = clock_.Now();
  RedisPartitions::Args head = {options_.node_id, absl::StrCat(absl::ToUnixMillis(now)),
                                absl::StrCat(absl::ToInt64Milliseconds(options_.remember)),
                                absl::StrCat(absl::ToUnixMillis(now - kLease))};
  std::vector<RedisPartitions::Request> requests;
  for (const auto& [user, word] : words) {
    requests.push_back({user, {user, absl::StrCat(word.connections_count), word.tenant}});
  }
  co_return (co_await partitions_.Eval(SayScript(), std::move(head), std::move(requests))).status();
}

Async<void> RedisPresence::Loop() {
  for (;;) {
    const uint64_t seen = changed_.version();
    const bool stopping = scope_.stop_requested();
    const Words words = TakeDirty();
    if (words.empty()) {
      if (stopping) co_return;
      co_await changed_.Wait(seen);
      continue;
    }
    const absl::Status said = co_await Say(words);
    {
      sync::MutexLock lock(mutex_);
      for (const auto& [user, word] : words) {
        auto it = users_.find(user);
        if (!said.ok()) {
          dirty_.insert(user);
        } else if (it != users_.end() && it->second.connections_count == 0 &&
                   !dirty_.contains(user)) {
          users_.erase(it);
        }
      }
    }
    if (said.ok()) continue;
    // The others forget this node's word by themselves.
    if (stopping) co_return;
    (void)co_await scope_.SleepFor(kRetryDelay);
  }
}

Async<absl::StatusOr<std::vector<UserPresence>>> RedisPresence::Find(
    std::vector<std::string> users) {
  std::vector<RedisPartitions::Request> requests;
  for (const std::string& user : users) requests.push_back({user, {user}});
  auto replies = co_await partitions_.Eval(FindScript(), {}, std::move(requests));
  if (!replies.ok()) co_return replies.status();
  std::vector<UserPresence> out;
  for (size_t i = 0; i < users.size(); ++i) {
    out.push_back(Merge(std::move(users[i]), (*replies)[i], clock_.Now()));
  }
  co_return out;
}

}  // namespace slipstream::notification
