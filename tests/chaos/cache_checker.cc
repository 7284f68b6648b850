// The clients of cache_chaos.py: readers and writers of a model of an application's data, on
// several cache servers at once. Every value that a read finds is held against what had been
// acknowledged before the read began.
//
// Standard input, a line each: "fault" and "calm" tell of fault windows, "stop" or its end stops.
// Prints a JSON object a second, and a last one with "done": true. Violations go to standard output
// as {"violation": ...} when they are found.
#include <chrono>
#include <cmath>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/chaos/cache_checker_run.h"

ABSL_FLAG(std::vector<std::string>, address, {}, "the cache servers");
ABSL_FLAG(std::string, token, "", "bearer token of all calls");
ABSL_FLAG(uint64_t, seed, 1, "decides what each thread does");
ABSL_FLAG(int, threads, 32, "clients at once");
ABSL_FLAG(int, groups, 100, "groups of keys, each with a tag and a glob");
ABSL_FLAG(int, group_size, 20, "keys of a group");
ABSL_FLAG(double, write_part, 0.02, "share of the operations that write");

namespace slipstream::chaos {
namespace {

namespace v1 = cache::v1;

constexpr absl::Duration kReadTimeout = absl::Seconds(5);
constexpr absl::Duration kWriteTimeout = absl::Seconds(4);
constexpr int kWaitMs = 1'000;
constexpr int kLeaseMs = 2'000;
// A reader must be answered within this, whatever Redis does. The machine's own stalls are in it.
constexpr absl::Duration kSlowRead = absl::Seconds(2);

class Client {
 public:
  Client(CheckerRun& run, uint64_t seed) : run_(run), rng_(seed) {}

  void Loop() {
    while (!run_.stopping.load(std::memory_order_relaxed)) {
      const double what = Part();
      if (what < absl::GetFlag(FLAGS_write_part)) {
        if (what < absl::GetFlag(FLAGS_write_part) * 0.04) {
          WriteGroup(Below(run_.model.groups_count()));
        } else {
          WriteSlot(Popular());
        }
      } else if (what > 0.97) {
        ReadMany();
      } else {
        ReadOne(Popular());
      }
      run_.counts.operations.fetch_add(1, std::memory_order_relaxed);
    }
  }

 private:
  double Part() { return std::uniform_real_distribution<double>(0, 1)(rng_); }
  int Below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(rng_); }
  // Few slots are asked for most of the time, and spread over all groups.
  int Popular() {
    const double rank = std::pow(static_cast<double>(run_.model.slots_count()), Part()) - 1;
    return static_cast<int>(rank * 7919) % run_.model.slots_count();
  }
  size_t Server() {
    return static_cast<size_t>(Below(static_cast<int>(run_.calls.servers_count())));
  }

  // --- reads

  // What a read began with.
  struct Begun {
    const ModelKey* key;
    int64_t floor;
    size_t server;
    bool calm;
    std::chrono::steady_clock::time_point at = std::chrono::steady_clock::now();
  };
  Begun Begin(int slot, size_t server) {
    const ModelKey& key = run_.model.At(slot);
    return {&key, key.floor.load(std::memory_order_seq_cst), server, !run_.fault.load()};
  }

  void Check(const Begun& begun, const v1::CacheValue& value, const char* from) {
    const int64_t n = CacheModel::NumberIn(*begun.key, value.value());
    const int64_t origin = begun.key->origin.load();
    if (n >= begun.floor && n <= origin) return;
    run_.Violation(absl::StrCat(
        from, " of ", begun.key->key.key(), " at server ", begun.server, " found ",
        n < 0 ? absl::StrCat("a value of something else: ", value.value().substr(0, 60))
              : absl::StrCat("value ", n, ", ", n < begun.floor ? "old: " : "not written yet: ",
                             begun.floor, " was acknowledged before the read,"),
        " by ", begun.key->raised_by.load(), ", ",
        absl::ToUnixMillis(absl::Now()) - begun.key->raised_at_ms.load(), " ms ago; version ",
        value.version(), ", age ", value.age_ms(), " ms"));
  }

  // Whether the call was answered; an answered error is one that a reader must never get.
  bool Answered(const Begun& begun, const grpc::Status& status, const char* what) {
    const auto took = std::chrono::steady_clock::now() - begun.at;
    if (status.ok()) {
      if (begun.calm && !run_.fault.load() && absl::FromChrono(took) > kSlowRead) {
        run_.counts.slow_reads.fetch_add(1);
      }
      return true;
    }
    if (!CacheCalls::IsAnswered(status)) {
      run_.counts.reads_unanswered.fetch_add(1);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return false;
    }
    run_.counts.read_errors.fetch_add(1);
    // A server that is starting or ending, or whose call timed out while it stood still.
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE &&
        status.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED) {
      run_.Violation(absl::StrCat(what, ": a reader got an error: ", status.error_message()));
    }
    return false;
  }

  void CountRead(const Begun& begun, v1::GetResponse::Result result, v1::GetResponse::Tier tier) {
    Counts& counts = run_.counts;
    const bool hit = result != v1::GetResponse::MISS;
    const bool l1 = hit && tier == v1::GetResponse::L1;
    counts.reads.fetch_add(1, std::memory_order_relaxed);
    if (hit) counts.hits.fetch_add(1, std::memory_order_relaxed);
    if (!hit) counts.misses.fetch_add(1, std::memory_order_relaxed);
    if (l1) counts.l1_hits.fetch_add(1, std::memory_order_relaxed);
    if (!begun.calm || run_.fault.load()) return;
    counts.calm_reads.fetch_add(1, std::memory_order_relaxed);
    if (l1) counts.calm_l1_hits.fetch_add(1, std::memory_order_relaxed);
  }

  void ReadOne(int slot) {
    const Begun begun = Begin(slot, Server());
    v1::GetRequest request;
    *request.mutable_key() = begun.key->key;
    v1::GetResponse response;
    const grpc::Status status =
        run_.calls.Call(&CacheCalls::Stub::Get, begun.server, request, &response, kReadTimeout);
    if (!Answered(begun, status, "Get")) return;
    CountRead(begun, response.result(), response.tier());
    if (response.result() != v1::GetResponse::MISS) {
      Check(begun, response.value(), "Get");
    } else {
      ReadThrough(slot, begun.server);
    }
  }

  void ReadMany() {
    const size_t server = Server();
    std::vector<Begun> begun;
    v1::GetManyRequest request;
    for (int i = 0; i < 8; ++i) {
      begun.push_back(Begin(Popular(), server));
      *request.add_keys() = begun.back().key->key;
    }
    v1::GetManyResponse response;
    const grpc::Status status =
        run_.calls.Call(&CacheCalls::Stub::GetMany, server, request, &response, kReadTimeout);
    if (!Answered(begun[0], status, "GetMany")) return;
    for (int i = 0; i < response.results_size(); ++i) {
      const v1::GetResponse& one = response.results(i);
      CountRead(begun[static_cast<size_t>(i)], one.result(), one.tier());
      if (one.result() == v1::GetResponse::MISS) continue;
      Check(begun[static_cast<size_t>(i)], one.value(), "GetMany");
    }
  }

  void ReadThrough(int slot, size_t server) {
    const Begun begun = Begin(slot, server);
    v1::GetOrLeaseRequest request;
    *request.mutable_key() = begun.key->key;
    request.set_wait_ms(kWaitMs);
    request.set_lease_ms(kLeaseMs);
    v1::GetOrLeaseResponse response;
    const grpc::Status status =
        run_.calls.Call(&CacheCalls::Stub::GetOrLease, server, request, &response, kReadTimeout);
    if (!Answered(begun, status, "GetOrLease")) return;
    switch (response.result()) {
      case v1::GetOrLeaseResponse::HIT:
      case v1::GetOrLeaseResponse::STALE:
        Check(begun, response.value(), "GetOrLease");
        break;
      case v1::GetOrLeaseResponse::LEASED:
        Fill(begun, response.lease_token());
        break;
      default:
        run_.counts.busy.fetch_add(1);
    }
  }

  // Reads the origin, takes its time, and stores what it read: by then it may be old.
  void Fill(const Begun& begun, const std::string& token) {
    const int64_t n = begun.key->origin.load();
    const double how = Part();
    const int slow_ms = how < 0.005 ? 1'000 + Below(2'000) : how < 0.10 ? Below(100) : 0;
    if (slow_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(slow_ms));
    if (Part() < 0.01) return;  // its process has died
    v1::FillRequest request;
    *request.mutable_key() = begun.key->key;
    request.set_lease_token(token);
    request.set_value(CacheModel::ValueOf(*begun.key, n));
    request.mutable_options()->add_tags(begun.key->tag);
    v1::FillResponse response;
    // A lease holds for all servers: the fill may come by another one.
    const size_t server = Part() < 0.2 ? Server() : begun.server;
    const grpc::Status status =
        run_.calls.Call(&CacheCalls::Stub::Fill, server, request, &response, kWriteTimeout);
    if (!status.ok()) return;
    if (response.stored()) {
      run_.counts.fills.fetch_add(1);
    } else {
      run_.counts.fills_refused.fetch_add(1);
      if (n < begun.key->origin.load()) run_.counts.slow_fills_refused.fetch_add(1);
    }
  }

  // --- writes

  // Until a server has acknowledged it; false when the run ends first.
  bool Insist(const v1::InvalidateRequest& request) {
    for (;;) {
      v1::InvalidateResponse response;
      const grpc::Status status = run_.calls.Call(&CacheCalls::Stub::Invalidate, Server(), request,
                                                  &response, kWriteTimeout);
      if (status.ok()) return true;
      if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT ||
          status.error_code() == grpc::StatusCode::PERMISSION_DENIED ||
          status.error_code() == grpc::StatusCode::INTERNAL) {
        run_.Violation(absl::StrCat("Invalidate was refused: ", status.error_message()));
        return false;
      }
      run_.counts.writes_sent_again.fetch_add(1);
      if (run_.stopping.load()) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10 + Below(50)));
    }
  }

  void WriteSlot(int slot) {
    sync::MutexLock lock(run_.model.WriterOf(slot));
    ModelKey& key = run_.model.At(slot);
    const int64_t n = key.origin.fetch_add(1) + 1;
    const double how = Part();
    if (how < 0.15) {
      WriteThrough(slot, key, n);
      return;
    }
    if (how < 0.30) {
      v1::DeleteRequest request;
      *request.mutable_key() = key.key;
      v1::DeleteResponse response;
      if (run_.calls.Call(&CacheCalls::Stub::Delete, Server(), request, &response, kWriteTimeout)
              .ok()) {
        run_.counts.deletes.fetch_add(1);
        key.Raise(n, "Delete");
        return;
      }
      run_.counts.writes_sent_again.fetch_add(1);
    }
    v1::InvalidateRequest request;
    *request.mutable_key() = key.key;
    if (!Insist(request)) return;
    run_.counts.invalidated_keys.fetch_add(1);
    key.Raise(n, "Invalidate of the key");
  }

  void WriteThrough(int slot, ModelKey& key, int64_t n) {
    v1::SetRequest request;
    *request.mutable_key() = key.key;
    request.set_value(CacheModel::ValueOf(key, n));
    request.mutable_options()->add_tags(key.tag);
    v1::SetResponse response;
    if (run_.calls.Call(&CacheCalls::Stub::Set, Server(), request, &response, kWriteTimeout).ok()) {
      run_.counts.sets.fetch_add(1);
      key.Raise(n, "Set");
      return;
    }
    // It may still be stored, at any time.
    run_.counts.keys_retired.fetch_add(1);
    run_.model.Retire(slot);
  }

  void WriteGroup(int group) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    CacheModel& model = run_.model;
    const int first = model.FirstOf(group);
    for (int i = 0; i < model.group_size(); ++i) model.WriterOf(first + i).Lock();
    std::vector<int64_t> numbers;
    for (int i = 0; i < model.group_size(); ++i) {
      numbers.push_back(model.At(first + i).origin.fetch_add(1) + 1);
    }
    v1::InvalidateRequest request;
    const double how = Part();
    const char* const kind = how < 0.7    ? "Invalidate of its tag"
                             : how < 0.98 ? "Invalidate of its glob"
                                          : "Invalidate of its namespace";
    if (how < 0.7) {
      request.mutable_tag()->set_namespace_(CacheModel::kNamespace);
      request.mutable_tag()->set_tag(CacheModel::TagOf(group));
    } else if (how < 0.98) {
      request.set_glob(CacheModel::GlobOf(group));
    } else {
      request.set_namespace_(CacheModel::kNamespace);
    }
    if (Insist(request)) {
      run_.counts.invalidated_groups.fetch_add(1);
      for (int i = 0; i < model.group_size(); ++i) {
        model.At(first + i).Raise(numbers[static_cast<size_t>(i)], kind);
      }
    }
    for (int i = model.group_size(); i-- > 0;) model.WriterOf(first + i).Unlock();
  }

  CheckerRun& run_;
  std::mt19937_64 rng_;
};

int Main() {
  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  const CacheCalls calls(absl::GetFlag(FLAGS_address), absl::GetFlag(FLAGS_token));
  CacheModel model(absl::GetFlag(FLAGS_groups), absl::GetFlag(FLAGS_group_size), seed);
  CheckerRun run{calls, model, {}, {}, {}, {}};
  std::vector<std::thread> threads;
  for (int i = 0; i < absl::GetFlag(FLAGS_threads); ++i) {
    threads.emplace_back([&run, seed, i] { Client(run, seed * 1'000'003 + i).Loop(); });
  }
  std::thread teller([&run] {
    while (!run.stopping.load()) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      run.Print(run.counts.ToJson());
    }
  });
  for (std::string line; std::getline(std::cin, line) && line != "stop";) {
    if (line == "fault") run.fault.store(true);
    if (line == "calm") run.fault.store(false);
  }
  run.stopping.store(true);
  for (std::thread& thread : threads) thread.join();
  teller.join();
  nlohmann::json last = run.counts.ToJson();
  last["done"] = true;
  run.Print(last);
  return run.counts.violations.load() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace slipstream::chaos

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return slipstream::chaos::Main();
}
