#include "services/task_queue/simulation/world.h"

#include <utility>

#include "services/task_queue/memory_task_store.h"

namespace slipstream::task_queue::simulation {

namespace {

constexpr absl::Duration kAuditPeriod = absl::Milliseconds(900);
// Delays, retries, limits and lost workers are long over by then.
constexpr absl::Duration kMaxQuietTime = absl::Minutes(40);
// From the store's answer to the handler, over a slow network and another server.
constexpr absl::Duration kMaxTellTime = absl::Seconds(1);
// A run beyond it does not end by itself.
constexpr int64_t kMaxSteps = 200'000;

}  // namespace

std::unique_ptr<TaskStore> MakeMemoryStore(const Settings& settings, Executor /*executor*/) {
  MemoryTaskStoreOptions options;
  options.aging_step = settings.aging_step;
  options.retry = settings.retry;
  return std::make_unique<MemoryTaskStore>(options);
}

World::World(const RunOptions& options, const StoreFactory& factory, const QueueSeries& series)
    : settings_(options.seed),
      scheduler_(options.seed),
      trace_(scheduler_, options.verbose, !options.trace && !options.verbose),
      store_(factory(settings_, scheduler_.executor())),
      clients_({settings_, scheduler_, faults_, trace_, oracle_, servers_, workers_}) {
  for (int i = 0; i < settings_.server_count; ++i) {
    servers_.push_back(std::make_unique<SimServer>(
        SimServer::Deps{settings_, scheduler_, faults_, trace_, oracle_, news_, *store_, series},
        i));
  }
  for (int i = 0; i < settings_.worker_count; ++i) {
    workers_.push_back(std::make_unique<SimWorker>(
        SimWorker::Deps{settings_, scheduler_, faults_, trace_, oracle_, servers_}, i));
  }
}

bool World::Step() {
  if (oracle_.failed() || !scheduler_.Step()) return false;
  for (const auto& server : servers_) server->Poll();
  scheduler_.Settle();
  return !oracle_.failed();
}

void World::RunFor(absl::Duration duration) {
  bool over = false;
  scheduler_.After(kWorld, duration, [&over] { over = true; });
  while (!over && Step()) {
    if (scheduler_.step_count() > kMaxSteps) {
      oracle_.Violation("the world comes to rest", "more than ", kMaxSteps, " steps");
    }
  }
}

void World::Audit(bool at_end) {
  if (oracle_.failed()) return;
  CheckOrphans();
  const std::vector<std::string> ids = oracle_.TaskIds();
  scheduler_.EnterOutside();
  scheduler_.Spawn(
      [](TaskStore& store, std::span<const std::string> of)
          -> Async<std::pair<std::vector<std::optional<TaskRecord>>, StoreStats>> {
        auto records = co_await store.BulkGet(of);
        auto stats = co_await store.Stats();
        co_return std::pair(
            records.ok() ? *std::move(records) : std::vector<std::optional<TaskRecord>>(of.size()),
            stats.ok() ? *std::move(stats) : StoreStats());
      }(*store_, ids),
      [&](auto looked) {
        scheduler_.LeaveOutside();
        if (at_end) {
          oracle_.AtEnd(ids, looked.first, looked.second);
        } else {
          oracle_.Audit(ids, looked.first, looked.second);
        }
      });
  scheduler_.Settle();
}

void World::CheckOrphans() {
  std::map<std::pair<std::string, int64_t>, absl::Time> seen;
  for (const std::string& id : oracle_.Unfinished()) {
    const TaskModel& task = *oracle_.Find(id);
    if (task.status != TaskStatus::kRunning) continue;
    const std::pair lease(id, task.epoch);
    for (const auto& worker : workers_) {
      if (!worker->Without(task.session_id, id, task.epoch)) continue;
      auto before = orphans_.find(lease);
      seen[lease] = before == orphans_.end() ? scheduler_.now() : before->second;
      // The server that it left may lease to its session for as long, and the new one then looks.
      if (!oracle_.Overdue(seen[lease] + 2 * settings_.times.lease)) continue;
      oracle_.Violation("a lease that nobody works on goes back", trace_.Task(id), " epoch ",
                        task.epoch, " is worker ", worker->number(),
                        "'s, which lives and knows nothing of it");
    }
  }
  orphans_ = std::move(seen);
}

bool World::AllAtRest() const {
  if (!oracle_.Unfinished().empty()) return false;
  for (const auto& worker : workers_) {
    if (!worker->online() || worker->busy_count() > 0) return false;
  }
  return true;
}

void World::ExpectTold(Owner server, const Cancelled& cancelled) {
  const std::string task_id = cancelled.task.task_id;
  const int64_t epoch = cancelled.epoch;
  const absl::Time since = scheduler_.now();
  // The event is the server's: it is dropped when that dies.
  scheduler_.After(server, kMaxTellTime, [this, task_id, epoch, since, server] {
    oracle_.OnTold();
    for (const auto& worker : workers_) {
      if (!worker->UnawareSince(task_id, epoch, since)) continue;
      // From another server the news may be lost; that one looks again, but who knows when.
      const bool here = worker->stream()->server_owner() == server;
      if (!here && settings_.of(Fault::kLostNews) > 0) continue;
      oracle_.Violation("a cancel reaches the handler", "worker ", worker->number(), " still runs ",
                        trace_.Task(task_id), " epoch ", epoch);
    }
  });
}

Outcome World::Run() {
  oracle_.SetToBeTold(
      [this](Owner server, const Cancelled& cancelled) { ExpectTold(server, cancelled); });
  for (const auto& server : servers_) server->Start();
  for (const auto& worker : workers_) worker->Start();
  clients_.Start(scheduler_.now() + settings_.active);
  FaultSoon();
  while (scheduler_.elapsed() < settings_.active && !oracle_.failed()) {
    RunFor(kAuditPeriod);
    Audit(false);
  }
  EndFaults();
  const absl::Duration quiet_since = scheduler_.elapsed();
  // Time for calls that are still on their way and leases that nobody holds any more.
  RunFor(settings_.times.lease + 2 * kCallTimeout);
  while (!AllAtRest() && !oracle_.failed() && scheduler_.elapsed() < quiet_since + kMaxQuietTime) {
    RunFor(kAuditPeriod);
    Audit(false);
  }
  RunFor(absl::Seconds(3));  // the last events, acknowledgements and figures
  Audit(true);
  for (const auto& server : servers_) {
    if (oracle_.failed()) break;
    if (const int held = server->sessions().held_count(); held != 0) {
      oracle_.Violation("slots are given back", held, " leases are held on server ",
                        server->number(), " although all tasks have ended");
    }
  }
  Outcome outcome;
  outcome.passed = !oracle_.failed();
  outcome.invariant = oracle_.invariant();
  outcome.violation = oracle_.violation();
  outcome.last_steps = trace_.lines();
  outcome.step_count = scheduler_.step_count();
  outcome.op_count = clients_.op_count();
  outcome.simulated = scheduler_.elapsed();
  outcome.faults = faults_.counts();
  outcome.counts = oracle_.counts();
  // In this order: what sleeps in them ends before what it uses.
  for (const auto& worker : workers_) worker->Crash();
  for (const auto& server : servers_) server->Crash();
  return outcome;
}

Outcome RunSeed(const RunOptions& options, const StoreFactory& factory, const QueueSeries& series) {
  World world(options, factory, series);
  return world.Run();
}

}  // namespace slipstream::task_queue::simulation
