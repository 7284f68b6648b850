#include "services/task_queue/simulation/sim_clients.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace slipstream::task_queue::simulation {

namespace {

constexpr int kMaxTries = 6;

Async<absl::StatusOr<std::vector<absl::StatusOr<TaskRecord>>>> SubmitAll(
    TaskQueueEngine& engine, Caller caller, std::vector<SubmitSpec> specs, bool all_or_nothing) {
  co_return co_await engine.SubmitMany(caller, specs, all_or_nothing);
}

}  // namespace

SimClients::SimClients(Deps deps) : deps_(deps) {}

void SimClients::Start(absl::Time until) {
  until_ = until;
  ActSoon();
}

void SimClients::ActSoon() {
  deps_.scheduler.After(
      kWorld, deps_.scheduler.Between(absl::Milliseconds(1), 2 * deps_.settings.op_interval),
      [this] {
        if (deps_.scheduler.now() >= until_) return;
        Act();
        ActSoon();
      });
}

void SimClients::Act() {
  ++op_count_;
  const Features& use = deps_.settings.use;
  const int dice = deps_.scheduler.Between(1, 100);
  if (use.cancels && dice <= 12) return Cancel();
  if (use.restarts && dice <= 20) return Restart();
  if (use.pauses && dice <= 23) {
    return SetPaused(deps_.scheduler.Chance(0.2) ? "*" : kOther, deps_.scheduler.Chance(0.5));
  }
  if (use.purges && dice <= 25) return Purge();
  if (use.cleanups && dice <= 27) return Cleanup();
  if (dice <= 35) return Read();
  Submit();
}

SimServer* SimClients::PickServer() {
  std::vector<SimServer*> up;
  for (const auto& server : deps_.servers) {
    if (server->accepts()) up.push_back(server.get());
  }
  return up.empty() ? nullptr : deps_.scheduler.Pick(up);
}

Caller SimClients::CallerOf(const User& user) const {
  return {user.name, user.tenant, false, "sim", ""};
}

std::string SimClients::PickTask(const User& user) {
  auto& ids = task_ids_[user.name];
  if (ids.empty()) return "";
  // Mostly one of the latest: there is still something to do to it.
  const size_t recent = std::min<size_t>(ids.size(), deps_.scheduler.Chance(0.7) ? 6 : ids.size());
  return ids[ids.size() - 1 - static_cast<size_t>(deps_.scheduler.random().Uniform(recent))];
}

// --- submits

void SimClients::Submit() {
  Scheduler& scheduler = deps_.scheduler;
  const Features& use = deps_.settings.use;
  // Sent a second time although it was answered, as by a client that was killed before it noted so.
  if (!sent_.empty() && scheduler.Chance(0.15)) {
    auto again = std::make_shared<Order>(*scheduler.Pick(sent_));
    again->tries_count = 0;
    return Send(std::move(again));
  }
  const User& user = scheduler.Pick(Users());
  auto order = std::make_shared<Order>();
  order->caller = CallerOf(user);
  size_t count = 1;
  if (use.bulk && scheduler.Chance(0.2)) count = static_cast<size_t>(scheduler.Between(2, 6));
  if (use.bursts && user.name == "ann" && scheduler.Chance(0.15)) {
    count = static_cast<size_t>(scheduler.Between(10, 25));
  }
  order->all_or_nothing = count > 1 && scheduler.Chance(0.5);
  for (size_t i = 0; i < count; ++i) {
    order->specs.push_back(MakeSpec(user));
    if (use.flows) AddDependencies(user, i, order->specs.back());
  }
  Send(std::move(order));
}

SubmitSpec SimClients::MakeSpec(const User& user) {
  Scheduler& scheduler = deps_.scheduler;
  const Features& use = deps_.settings.use;
  static constexpr std::array<const char*, 4> kTypes = {kPlain, kOther, kLimited, kRated};
  SubmitSpec spec;
  const int64_t number = ++last_number_;
  spec.task_type = scheduler.Chance(0.5) ? kPlain : scheduler.Pick(kTypes);
  (*spec.args.mutable_fields())["n"].set_number_value(static_cast<double>(number));
  spec.priority = scheduler.Between(0, 4);
  spec.max_attempts = scheduler.Between(1, 4);
  if (scheduler.Chance(0.2)) spec.deadline_ms = scheduler.Between(500, 4000);
  if (scheduler.Chance(0.15)) spec.result_ttl_ms = scheduler.Between(1000, 9000);
  if (use.delays && scheduler.Chance(0.25)) spec.delay_ms = scheduler.Between(1, 9000);
  if (use.expiry && scheduler.Chance(0.3)) spec.expires_in_ms = scheduler.Between(200, 8000);
  if (use.concurrency_keys && scheduler.Chance(0.3)) {
    spec.concurrency_key = absl::StrCat("printer-", scheduler.Between(1, 2));
  }
  if (use.unique_keys && scheduler.Chance(0.3)) {
    spec.unique_key = absl::StrCat("report-", scheduler.Between(1, 3));
    spec.unique_policy = scheduler.Between(1, 3);
    // A debounce needs the same type.
    spec.task_type = kPlain;
    spec.concurrency_key.clear();
  } else if (use.request_ids && scheduler.Chance(0.7)) {
    spec.request_id = absl::StrCat(user.name, "-", number);
    spec.fingerprint = absl::StrCat("content ", number);
  }
  return spec;
}

void SimClients::AddDependencies(const User& user, size_t place, SubmitSpec& spec) {
  Scheduler& scheduler = deps_.scheduler;
  if (!scheduler.Chance(0.35)) return;
  std::set<std::string> on;
  const int count = scheduler.Between(1, 3);
  for (int i = 0; i < count; ++i) {
    if (place > 0 && scheduler.Chance(0.6)) {
      on.insert(absl::StrCat("#", scheduler.random().Uniform(place)));
    } else if (const std::string id = PickTask(user); !id.empty()) {
      on.insert(id);
    }
  }
  spec.depends_on.assign(on.begin(), on.end());
}

void SimClients::Send(std::shared_ptr<Order> order) {
  ++order->tries_count;
  Call<Submits>(
      [order](TaskQueueEngine& engine) {
        return SubmitAll(engine, order->caller, order->specs, order->all_or_nothing);
      },
      [this, order](Submits answer) { OnAnswer(order, answer); });
}

void SimClients::OnAnswer(const std::shared_ptr<Order>& order, const Submits& answer) {
  if (!answer.ok()) {
    const bool repeatable = !order->specs[0].request_id.empty();
    // Without request ids a repeated submit may be two tasks: some clients do it all the same.
    if (order->tries_count >= kMaxTries || (!repeatable && deps_.scheduler.Chance(0.7))) return;
    deps_.scheduler.After(kWorld, absl::Milliseconds(300), [this, order] { Send(order); });
    return;
  }
  for (size_t i = 0; i < answer->size(); ++i) {
    const auto& one = (*answer)[i];
    if (!one.ok()) continue;
    task_ids_[order->caller.user].push_back(one->task_id);
    deps_.oracle.OnAccepted(one->task_id, SerializeDeterministically(order->specs[i].args));
  }
  if (!order->specs[0].request_id.empty() && order->specs[0].depends_on.empty()) {
    sent_.push_back(order);
  }
}

}  // namespace slipstream::task_queue::simulation
