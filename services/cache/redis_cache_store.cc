#include "services/cache/redis_cache_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/redis/errors.h"
#include "libs/status/status.h"
#include "services/cache/redis_cache_scripts.h"
#include "services/cache/redis_entry.h"

namespace slipstream::cache {

namespace {

namespace scripts = redis_cache_scripts;

// A value stays in Redis a little beyond its end, so that who replaces it by a clock that runs
// ahead still finds that nodes may hold it.
constexpr int64_t kSlackMs = 2'000;
// What an entry costs Redis beside its value and twice its id: dictionaries, objects, the sorted
// set.
constexpr size_t kRedisOverheadBytes = 220;

std::string BaseOf(std::string_view key_prefix) {
  return std::string(key_prefix).append("{cache}:");
}

}  // namespace

std::vector<std::vector<std::string>> RedisCacheStore::Greeting(std::string_view key_prefix) {
  return {{"EVAL", scripts::Greet().source(), "1", BaseOf(key_prefix)}};
}

RedisCacheStore::RedisCacheStore(std::unique_ptr<redis::Client> client, const clock::Clock& clock,
                                 logging::Logger logger, RedisCacheStoreOptions options)
    : options_(std::move(options)),
      clock_(clock),
      client_(std::move(client)),
      logger_(std::move(logger)),
      link_(*client_, BaseOf(options_.key_prefix)),
      memory_(options_.memory),
      watch_log_("none"),
      follower_(memory_, watch_log_),
      node_({link_, memory_, follower_, clock_, logger_}, {options_.node_id, options_.lease}),
      l2_max_bytes_(options_.l2_max_bytes > 0 ? options_.l2_max_bytes : kDefaultL2MaxBytes),
      loops_(client_->executor()) {}

RedisCacheStore::~RedisCacheStore() { Stop(); }

void RedisCacheStore::Start() {
  node_.Start();
  loops_.Spawn([this] { return GlobLoop(); });
  loops_.Spawn([this] { return SampleLoop(); });
}

void RedisCacheStore::Stop() {
  if (client_ == nullptr) return;
  loops_.RequestStop();
  globs_due_.Notify();
  loops_.Close();
  node_.Stop();
  std::unique_ptr<redis::Client> client;
  {
    sync::MutexLock lock(server_mutex_);
    client = std::move(client_);
  }
}

bool RedisCacheStore::MayServeDetached() const {
  return options_.detached_l1 > absl::ZeroDuration() &&
         clock_.Monotonic() < node_.lease().last_until() + options_.detached_l1;
}

bool RedisCacheStore::ReadNow(absl::Span<const ScopedKey> keys, int64_t now_ms,
                              absl::Span<EntryRef> found) {
  memory_.Read(keys, now_ms, found);
  // After the read: at this moment no invalidation of what was found had been acknowledged.
  if (!node_.lease().Valid()) {
    if (!MayServeDetached()) std::fill(found.begin(), found.end(), nullptr);
    return true;
  }
  for (const auto& entry : found) {
    if (entry == nullptr) return false;
  }
  return true;
}

Async<void> RedisCacheStore::Read(absl::Span<const ScopedKey> keys, int64_t now_ms,
                                  absl::Span<EntryRef> found, absl::Span<bool> from_l2) {
  std::fill(from_l2.begin(), from_l2.end(), false);
  // Before the memory is read and Redis is asked: what is invalid by then is in it.
  const InvalidationFollower::View view = follower_.view();
  if (ReadNow(keys, now_ms, found)) co_return;
  co_await ReadShared(keys, now_ms, found, from_l2, view);
  if (node_.lease().ValidIn(view.life->session)) co_return;
  std::fill(found.begin(), found.end(), nullptr);
  std::fill(from_l2.begin(), from_l2.end(), false);
}

Async<void> RedisCacheStore::ReadShared(absl::Span<const ScopedKey> keys, int64_t now_ms,
                                        absl::Span<EntryRef> found, absl::Span<bool> from_l2,
                                        const InvalidationFollower::View& asked_with) {
  RedisLink::Args args{asked_with.life->generation};
  std::vector<size_t> asked;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (found[i] != nullptr) continue;
    asked.push_back(i);
    args.push_back(keys[i].id());
  }
  // Before Redis is asked: an invalidation from here on refuses the copy.
  const Offset as_of = memory_.CurrentOffset();
  const absl::Duration begin = clock_.Monotonic();
  auto reply = co_await link_.Eval(scripts::Read(), std::move(args), options_.read_timeout);
  if (!reply.ok() || WordOf(*reply) != "OK" || reply->size() != asked.size() + 1) {
    TierCounters::Add(counters_.failed_reads, static_cast<int64_t>(asked.size()));
    if (reply.ok()) node_.GenerationOver(*asked_with.life);
    co_return;
  }
  counters_.reads.Add(clock_.Monotonic() - begin, asked.size());
  for (size_t a = 0; a < asked.size(); ++a) {
    const size_t i = asked[a];
    found[i] = Judge(keys[i], (*reply)[a + 1], now_ms, as_of, asked_with);
    from_l2[i] = found[i] != nullptr;
    TierCounters::Add(found[i] != nullptr ? counters_.hits : counters_.misses);
  }
}

EntryRef RedisCacheStore::Judge(const ScopedKey& key, const redis::Value& reply, int64_t now_ms,
                                Offset as_of, const InvalidationFollower::View& asked_with) {
  if (!reply.is_string()) return nullptr;
  const auto entry = DecodeEntry(reply.text);
  if (!entry || entry->expires_at_ms <= now_ms) return nullptr;
  if (!follower_.Alive(*entry, key.id(), asked_with)) return nullptr;
  Copy(key, *entry, as_of);
  return EntryOf(*entry, key.id());
}

void RedisCacheStore::Copy(const ScopedKey& key, const RedisEntry& entry, Offset as_of) {
  const int64_t now_ms = NowMs();
  WriteRequest write;
  write.key = &key;
  write.value = entry.value;
  write.negative = entry.negative;
  write.compressed = entry.compressed;
  write.stale_at_ms = entry.stale_at_ms;
  write.expires_at_ms = entry.expires_at_ms;
  write.fill = FillGuard{as_of, 0};
  const int64_t max_age_ms = options_.l1_max_age_ms[static_cast<size_t>(key.type())];
  const MemoryCacheStore::Copy copy{
      entry.version, entry.stored_at_ms,
      max_age_ms == 0 ? entry.expires_at_ms : std::min(entry.expires_at_ms, now_ms + max_age_ms)};
  memory_.Write(write, entry.slots, now_ms, &copy);
}

void RedisCacheStore::Due::Add(Offset offset, const redis::Value& nodes) {
  needed = std::max(needed, offset);
  for (auto& node : RedisNode::NodesOf(nodes)) {
    const bool known = std::any_of(pending.begin(), pending.end(),
                                   [&](const auto& one) { return one.node == node.node; });
    if (!known) pending.push_back(std::move(node));
  }
}

RedisLink::Args RedisCacheStore::SetArgs(const WriteRequest& write, int64_t now_ms,
                                         const InvalidationFollower::Life& life) const {
  const ScopedKey& key = *write.key;
  std::string body = EncodeBody(write, now_ms);
  const size_t bytes = body.size() + 2 * key.id().size() + kRedisOverheadBytes;
  const size_t units = std::min<size_t>(
      (bytes + scripts::kSizeUnitBytes - 1) / scripts::kSizeUnitBytes, scripts::kSizeUnits - 1);
  return {life.generation,
          key.id(),
          absl::StrCat(now_ms),
          absl::StrCat(std::max<int64_t>(write.expires_at_ms - now_ms, 1) + kSlackMs),
          write.if_version ? absl::StrCat(*write.if_version) : "",
          std::string(write.lease_token),
          absl::StrCat(units),
          Padded(static_cast<uint64_t>(write.expires_at_ms)),
          SlotDigits(life.slots.Of(write.tags)),
          std::move(body),
          Invalidation::OfKey(key.id(), key.user_key()).Encode(),
          absl::StrCat(l2_max_bytes()),
          absl::StrCat(node_.RedisDeadlineMs(kCommandTimeout))};
}

bool RedisCacheStore::TakeSetReply(const WriteRequest& write, const RedisLink::Reply& reply,
                                   int64_t now_ms, Offset as_of,
                                   const InvalidationFollower::Life& life, Due* due,
                                   WriteResult* result) {
  if (!reply.ok()) {
    if (status::Reason(reply.status()) == redis::kOutOfMemory) return true;
    result->outcome = WriteResult::kFailed;
    result->error = RedisNode::Away();
    return false;
  }
  const std::string_view word = WordOf(*reply);
  if (word == "VERSION" || word == "FILL") {
    result->outcome = word == "FILL" ? WriteResult::kFillRefused : WriteResult::kVersionMismatch;
    result->version = NumberAt(*reply, 1);
    return false;
  }
  if (word != "OK" || reply->size() < 7) {
    if (word != "LATE") node_.GenerationOver(life);
    result->outcome = WriteResult::kFailed;
    result->error = RedisNode::Away();
    return false;
  }
  const ScopedKey& key = *write.key;
  result->outcome = WriteResult::kStored;
  result->version = NumberAt(*reply, 1);
  result->replaced = NumberAt(*reply, 2) != 0;
  const Offset needed = NumberAt(*reply, 3);
  const bool kept = NumberAt(*reply, 4) != 0;
  due->Add(needed, (*reply)[5]);
  TierCounters::Add(counters_.sets);
  if (!kept) TierCounters::Add(counters_.not_kept);
  std::optional<Offset> copy_from = as_of;
  if (NumberAt(*reply, 6) != 0) {
    copy_from =
        follower_.TakeOwn(life, needed, Invalidation::OfKey(key.id(), key.user_key()).Encode());
  }
  if (kept && copy_from) {
    RedisEntry entry;
    entry.version = result->version;
    entry.stored_at_ms = now_ms;
    entry.stale_at_ms = write.stale_at_ms;
    entry.expires_at_ms = write.expires_at_ms;
    entry.negative = write.negative;
    entry.compressed = write.compressed;
    entry.slots = life.slots.Of(write.tags);
    entry.value = write.value;
    Copy(key, entry, *copy_from);
  }
  return false;
}

Async<void> RedisCacheStore::GiveWay(const ScopedKey& key, int64_t now_ms, const LifeRef& life,
                                     Due* due, WriteResult* result) {
  TierCounters::Add(counters_.not_kept);
  auto reply = co_await link_.Eval(scripts::Erase(),
                                   {life->generation, key.id(), absl::StrCat(now_ms),
                                    Invalidation::OfKey(key.id(), key.user_key()).Encode()},
                                   kCommandTimeout);
  if (!reply.ok() || WordOf(*reply) != "OK" || reply->size() < 5) {
    if (reply.ok()) node_.GenerationOver(*life);
    result->outcome = WriteResult::kFailed;
    result->error = RedisNode::Away();
    co_return;
  }
  result->outcome = WriteResult::kStored;
  result->version = NumberAt(*reply, 1);
  result->replaced = NumberAt(*reply, 2) != 0;
  follower_.Take(life->generation, NumberAt(*reply, 3),
                 Invalidation::OfKey(key.id(), key.user_key()).Encode());
  due->Add(NumberAt(*reply, 3), (*reply)[4]);
}

Async<void> RedisCacheStore::Write(absl::Span<const WriteRequest> writes, int64_t now_ms,
                                   absl::Span<WriteResult> results) {
  if (writes.empty()) co_return;
  const LifeRef life = follower_.life();
  if (!node_.lease().ValidIn(life->session)) {
    for (size_t i = 0; i < writes.size(); ++i) {
      // A fill without a promise is a fill that came too late; whoever computed goes on.
      const bool fill = !writes[i].lease_token.empty();
      results[i].outcome = fill ? WriteResult::kFillRefused : WriteResult::kFailed;
      if (!fill) results[i].error = RedisNode::Away();
    }
    co_return;
  }
  const Offset as_of = memory_.CurrentOffset();
  std::vector<RedisLink::Args> calls;
  calls.reserve(writes.size());
  for (const auto& write : writes) calls.push_back(SetArgs(write, now_ms, *life));
  const auto replies = co_await link_.EvalAll(scripts::Set(), std::move(calls), kCommandTimeout);
  Due due;
  for (size_t i = 0; i < writes.size(); ++i) {
    if (TakeSetReply(writes[i], replies[i], now_ms, as_of, *life, &due, &results[i])) {
      co_await GiveWay(*writes[i].key, now_ms, life, &due, &results[i]);
    }
  }
  const auto done = co_await node_.Acknowledge(life, due.needed, std::move(due.pending));
  if (done.ok()) co_return;
  for (auto& result : results) {
    if (result.outcome != WriteResult::kStored) continue;
    result.outcome = WriteResult::kFailed;
    result.error = done.status();
  }
}

Async<absl::StatusOr<Erased>> RedisCacheStore::Erase(absl::Span<const ScopedKey> keys,
                                                     int64_t now_ms) {
  const LifeRef life = follower_.life();
  if (!node_.lease().ValidIn(life->session)) co_return RedisNode::Away();
  std::vector<RedisLink::Args> calls;
  for (const auto& key : keys) {
    calls.push_back({life->generation, key.id(), absl::StrCat(now_ms),
                     Invalidation::OfKey(key.id(), key.user_key()).Encode()});
  }
  const auto replies = co_await link_.EvalAll(scripts::Erase(), std::move(calls), kCommandTimeout);
  Due due;
  Erased out;
  for (size_t i = 0; i < keys.size(); ++i) {
    const RedisLink::Reply& reply = replies[i];
    if (!reply.ok() || WordOf(*reply) != "OK" || reply->size() < 5) {
      if (reply.ok()) node_.GenerationOver(*life);
      co_return RedisNode::Away();
    }
    out.existed.push_back(NumberAt(*reply, 2) != 0);
    const Offset offset = NumberAt(*reply, 3);
    due.Add(offset, (*reply)[4]);
    TierCounters::Add(counters_.deletes);
    follower_.Take(life->generation, offset,
                   Invalidation::OfKey(keys[i].id(), keys[i].user_key()).Encode());
  }
  auto done = co_await node_.Acknowledge(life, due.needed, std::move(due.pending));
  if (!done.ok()) co_return done.status();
  out.done = *std::move(done);
  co_return out;
}

Async<absl::StatusOr<Invalidated>> RedisCacheStore::Invalidate(Invalidation what) {
  const LifeRef life = follower_.life();
  if (!node_.lease().ValidIn(life->session)) co_return RedisNode::Away();
  const bool glob = what.kind == Invalidation::kGlob;
  const std::string record = what.Encode();
  RedisLink::Args args{life->generation, record,
                       SlotDigits(life->slots.Of(absl::MakeConstSpan(what.tags)))};
  if (glob) args.push_back("1");
  const int64_t held = glob ? memory_.Usage().total.entries_count : 0;
  auto reply = co_await link_.Eval(scripts::Invalidate(), std::move(args), kCommandTimeout);
  if (!reply.ok()) co_return RedisNode::Away();
  if (WordOf(*reply) == "FULL") {
    co_return status::WithRetryAfter(
        status::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_PATTERNS",
                      absl::StrCat("at most ", scripts::kMaxGlobsCount,
                                   " patterns are invalidated at a time; try again after the "
                                   "delay given, or use tags")),
        absl::Seconds(1));
  }
  if (WordOf(*reply) != "OK" || reply->size() < 3) {
    node_.GenerationOver(*life);
    co_return RedisNode::Away();
  }
  const Offset offset = NumberAt(*reply, 1);
  follower_.Take(life->generation, offset, record);
  auto done = co_await node_.Acknowledge(life, offset, RedisNode::NodesOf((*reply)[2]));
  if (!done.ok()) co_return done.status();
  if (glob) {
    done->erased_count = std::max<int64_t>(held - memory_.Usage().total.entries_count, 0);
    globs_due_.Notify();
  }
  co_return done;
}

Async<SharedLease> RedisCacheStore::AcquireLease(const ScopedKey& key, std::string_view token,
                                                 absl::Duration lease, uint64_t seen_version) {
  const LifeRef life = follower_.life();
  if (!node_.lease().ValidIn(life->session)) co_return SharedLease{SharedLease::kDetached};
  auto reply =
      co_await link_.Eval(scripts::Lease(),
                          {life->generation, key.id(), std::string(token),
                           absl::StrCat(std::max<int64_t>(absl::ToInt64Milliseconds(lease), 1)),
                           absl::StrCat(seen_version), absl::StrCat(NowMs()),
                           absl::StrCat(node_.RedisDeadlineMs(kCommandTimeout))},
                          options_.read_timeout);
  if (!reply.ok()) co_return SharedLease{SharedLease::kDetached};
  const std::string_view word = WordOf(*reply);
  if (word == "OK") co_return SharedLease{SharedLease::kGranted};
  if (word == "HELD") co_return SharedLease{SharedLease::kHeld};
  if (word == "CHANGED") co_return SharedLease{SharedLease::kChanged};
  if (word != "LATE") node_.GenerationOver(*life);
  co_return SharedLease{SharedLease::kDetached};
}

Async<void> RedisCacheStore::EndLease(const ScopedKey& key, std::string_view token) {
  const LifeRef life = follower_.life();
  if (!node_.lease().ValidIn(life->session)) co_return;  // it ends by its time
  (void)co_await link_.Eval(scripts::EndLease(), {life->generation, key.id(), std::string(token)},
                            kCommandTimeout);
}

}  // namespace slipstream::cache
