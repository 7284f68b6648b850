// Faults that come from outside: what dies, stops, breaks, jumps and lies.
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/task_queue/simulation/world.h"

namespace slipstream::task_queue::simulation {

namespace {

constexpr char kThiefUser[] = "mallory";

// A stream's end that says no more than its hello.
class Silent final : public SimStream::WorkerEnd {
 public:
  void OnResponse(const std::shared_ptr<SimStream>&, WorkResponse) override {}
  void OnGone(const std::shared_ptr<SimStream>&) override {}
};

}  // namespace

void World::FaultSoon() {
  scheduler_.After(kWorld, scheduler_.Between(absl::Milliseconds(100), absl::Milliseconds(900)),
                   [this] {
                     if (!faults_.active()) return;
                     MakeFault();
                     FaultSoon();
                   });
}

void World::MakeFault() {
  SimWorker& worker = *scheduler_.Pick(workers_);
  SimServer& server = *scheduler_.Pick(servers_);
  if (worker.up() && faults_.Strikes(Fault::kWorkerCrash, 0.15)) {
    worker.Crash();
    scheduler_.After(kWorld, scheduler_.Between(absl::Milliseconds(100), absl::Seconds(5)),
                     [&worker] { worker.Start(); });
  }
  if (worker.up() && faults_.Strikes(Fault::kWorkerPause, 0.15)) {
    // Shorter than its lease, about as long, or longer.
    worker.Pause(scheduler_.Between(absl::Milliseconds(200), absl::Seconds(10)));
  }
  if (worker.stream() != nullptr && faults_.Strikes(Fault::kStreamBreak, 0.3)) {
    worker.BreakStream(scheduler_.Chance(0.7));
  }
  if (server.up() && faults_.Strikes(Fault::kServerCrash, 0.1)) CrashServer(server);
  if (server.accepts() && faults_.Strikes(Fault::kServerDrain, 0.06)) DrainServer(server);
  if (faults_.Strikes(Fault::kStoreAway, 0.08)) StoreGoesAway();
  if (faults_.Strikes(Fault::kClockSkew, 0.3)) server.JumpClock();
  if (faults_.Strikes(Fault::kStolenSession, 0.3)) StealSession();
  if (faults_.Strikes(Fault::kForgedReport, 0.8)) ForgeReport();
}

void World::StoreGoesAway() {
  const absl::Duration away = scheduler_.Between(absl::Milliseconds(100), absl::Seconds(5));
  trace_.Add("the store is away for ", absl::FormatDuration(away));
  faults_.StoreGoesAway(away);
  faults_.Disturb(away + absl::Seconds(1));
}

void World::CrashServer(SimServer& server) {
  server.Crash();
  const absl::Duration away = scheduler_.Between(absl::Milliseconds(50), absl::Seconds(4));
  scheduler_.After(kWorld, away, [&server] { server.Start(); });
  // What it was about to do, others do; when there are none it waits for its return.
  bool others = false;
  for (const auto& other : servers_) others = others || other->up();
  if (!others) faults_.Disturb(away + absl::Seconds(1));
}

void World::DrainServer(SimServer& server) {
  const absl::Duration grace = scheduler_.Between(absl::Milliseconds(100), absl::Seconds(3));
  server.BeginDrain(grace);
  const Owner life = server.owner();
  scheduler_.After(kWorld, grace, [this, &server, life] {
    if (server.up() && server.owner() == life) CrashServer(server);
  });
}

void World::StealSession() {
  SimServer& server = *scheduler_.Pick(servers_);
  SimWorker& victim = *scheduler_.Pick(workers_);
  if (!server.accepts() || victim.stream() == nullptr || victim.stream()->session_id.empty()) {
    return;
  }
  static auto& silent = *new Silent();
  auto stream = std::make_shared<SimStream>(scheduler_, server, server.owner(), silent,
                                            scheduler_.NewOwner(), kThiefUser);
  WorkRequest request;
  auto& hello = *request.mutable_hello();
  hello.set_worker_name("thief");
  hello.add_task_types()->set_name(kPlain);
  hello.set_slots(1);
  hello.set_session_id(victim.stream()->session_id);
  // Of all its holds it knows none: what it does not name would be handed back.
  stream->SendToServer(std::move(request));
  scheduler_.After(kWorld, scheduler_.Between(absl::Milliseconds(10), absl::Milliseconds(300)),
                   [stream] { stream->WorkerDied(true); });
}

void World::ForgeReport() {
  const std::vector<std::string> unfinished = oracle_.Unfinished();
  SimWorker& worker = *scheduler_.Pick(workers_);
  if (unfinished.empty() || !worker.online() || worker.stream() == nullptr) return;
  const TaskModel& task = *oracle_.Find(scheduler_.Pick(unfinished));
  int64_t epoch = task.epoch + scheduler_.Between(-1, 1);
  // The right epoch is a forgery from another session only.
  if (epoch == task.epoch && task.session_id == worker.stream()->session_id) --epoch;
  WorkRequest request;
  if (scheduler_.Chance(0.6)) {
    request.mutable_success()->set_task_id(task.spec.task_id);
    request.mutable_success()->set_lease_epoch(epoch);
  } else {
    request.mutable_release()->set_task_id(task.spec.task_id);
    request.mutable_release()->set_lease_epoch(epoch);
  }
  worker.stream()->SendToServer(std::move(request));
}

void World::EndFaults() {
  trace_.Add("faults end");
  faults_.End();
  faults_.Disturb(absl::Seconds(2));
  for (const auto& server : servers_) server->Start();
  for (const auto& worker : workers_) worker->Start();
  clients_.ResumeAll();
}

}  // namespace slipstream::task_queue::simulation
