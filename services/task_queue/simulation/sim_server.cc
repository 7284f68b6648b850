#include "services/task_queue/simulation/sim_server.h"

#include <utility>

namespace slipstream::task_queue::simulation {

namespace {

// As the module's loops: what is not signalled is looked at this often all the same.
constexpr absl::Duration kLoopPoll = absl::Seconds(1);

SubmitLimits Limits(const Settings& settings) {
  SubmitLimits limits;
  limits.default_max_attempts = 3;
  limits.default_attempt_deadline = settings.attempt_deadline;
  return limits;
}

}  // namespace

SimServer::SimServer(Deps deps, int number)
    : deps_(deps), number_(number), clock_(deps.scheduler.clock()) {}

SimServer::Parts::Parts(SimServer& server)
    : store({server.deps_.store, server.deps_.scheduler, server.deps_.faults, server.deps_.oracle,
             server.deps_.news},
            server.owner_),
      types({store, server.clock_, registry, logging::Logger()}),
      figures(server.deps_.series, server.clock_.Now()),
      sessions({store, server.clock_, server.deps_.scheduler.random(), registry, figures, signals,
                logging::Logger(), nullptr, &types},
               server.deps_.settings.times),
      engine({store, server.clock_, server.deps_.scheduler.random(), registry, figures, signals,
              sessions, &types},
             Limits(server.deps_.settings)) {}

SimServer::Forwarding::Forwarding(SimServer& server, Owner o)
    : owner(o),
      store({server.deps_.store, server.deps_.scheduler, server.deps_.faults, server.deps_.oracle,
             server.deps_.news},
            o),
      publisher(server.deps_.scheduler, server.deps_.faults, server.deps_.oracle, o),
      forwarder({store, publisher, server.deps_.scheduler.random(), server.deps_.series,
                 logging::Logger()}) {}

void SimServer::Start() {
  if (up()) return;
  deps_.trace.Add("server ", number_, " starts");
  owner_ = deps_.scheduler.NewOwner();
  draining_ = dispatching_ = false;
  seen_work_ = seen_outbox_ = 0;
  parts_ = std::make_unique<Parts>(*this);
  parts_->store.SetListener(&parts_->engine);
  StartForwarding();
  LoadTypes();
  TickSoon();
  PollSoon();
}

void SimServer::StartForwarding() {
  forwarding_ = std::make_unique<Forwarding>(*this, deps_.scheduler.NewOwner());
  forwarding_now_ = false;
}

void SimServer::Crash() {
  if (!up()) return;
  deps_.trace.Add("server ", number_, " is gone");
  CrashForwarder();
  forwarding_.reset();
  deps_.scheduler.Kill(owner_);
  for (const auto& [stream, conversation] : std::exchange(conversations_, {})) {
    stream->ServerDied();
  }
  parts_.reset();
}

void SimServer::CrashForwarder() {
  deps_.scheduler.Kill(forwarding_->owner);
  StartForwarding();
}

void SimServer::BeginDrain(absl::Duration grace) {
  deps_.trace.Add("server ", number_, " drains");
  draining_ = true;
  parts_->engine.BeginDrain();
  parts_->sessions.BeginDrain(grace);
}

void SimServer::JumpClock() {
  const absl::Duration max = deps_.settings.max_skew;
  const absl::Duration offset = deps_.scheduler.Between(-max, max);
  deps_.trace.Add("server ", number_, "'s clock is off by ", absl::FormatDuration(offset));
  clock_.SetOffset(offset);
}

// --- loops

void SimServer::TickSoon() {
  deps_.scheduler.After(owner_, deps_.settings.tick_period, [this] {
    deps_.scheduler.Spawn(parts_->engine.Tick(), [this](absl::StatusOr<bool>) { TickSoon(); });
  });
}

void SimServer::PollSoon() {
  deps_.scheduler.After(owner_, kLoopPoll, [this] {
    Dispatch();
    Forward();
    PollSoon();
  });
}

void SimServer::LoadTypes() {
  deps_.scheduler.Spawn(parts_->types.Load(), [this](const absl::Status&) {
    deps_.scheduler.After(owner_, SharedTaskTypes::kReloadPeriod, [this] { LoadTypes(); });
  });
}

void SimServer::Poll() {
  if (!up()) return;
  if (parts_->signals.work().version() != seen_work_) Dispatch();
  if (parts_->signals.outbox().version() != seen_outbox_) Forward();
}

void SimServer::Dispatch() {
  if (dispatching_) return;
  dispatching_ = true;
  seen_work_ = parts_->signals.work().version();
  deps_.scheduler.Spawn(parts_->sessions.Dispatch(), [this](int) { dispatching_ = false; });
}

void SimServer::Forward() {
  if (forwarding_now_) return;
  forwarding_now_ = true;
  seen_outbox_ = parts_->signals.outbox().version();
  const Owner owner = forwarding_->owner;
  if (deps_.faults.Strikes(Fault::kForwarderCrash, 0.05)) {
    // Somewhere between the look at the outbox and the acknowledgement.
    deps_.scheduler.After(owner_,
                          deps_.scheduler.Between(absl::Microseconds(100), absl::Milliseconds(15)),
                          [this] { CrashForwarder(); });
  }
  deps_.scheduler.Spawn(forwarding_->forwarder.Step(),
                        [this, owner](OutboxForwarder::StepResult step) {
                          if (step.wait == absl::ZeroDuration()) {
                            forwarding_now_ = false;
                            if (step.delivered_count > 0) Forward();
                            return;
                          }
                          deps_.scheduler.After(owner, step.wait, [this] {
                            forwarding_now_ = false;
                            Forward();
                          });
                        });
}

std::vector<std::shared_ptr<SimStream>> SimServer::streams() const {
  std::vector<std::shared_ptr<SimStream>> streams;
  for (const auto& [stream, conversation] : conversations_) {
    if (!stream->session_id.empty()) streams.push_back(stream);
  }
  return streams;
}

}  // namespace slipstream::task_queue::simulation
