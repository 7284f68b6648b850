#include "services/task_queue/simulation/settings.h"

#include "libs/random/random.h"

namespace slipstream::task_queue::simulation {

std::string_view FaultName(Fault fault) {
  static constexpr std::array<std::string_view, kFaultCount> kNames = {
      "worker crash",      "worker pause",   "stream break",  "duplicate report",
      "forged report",     "stolen session", "lost request",  "lost reply",
      "client lost reply", "store away",     "server crash",  "server drain",
      "clock skew",        "slow task",      "stubborn task", "forwarder crash",
      "duplicate publish", "publisher away", "lost news"};
  return kNames[static_cast<size_t>(fault)];
}

const std::vector<User>& Users() {
  static const auto& users =
      *new std::vector<User>{{"ann", "acme"}, {"bob", "acme"}, {"cleo", "globex"}, {"dan", ""}};
  return users;
}

Settings::Settings(uint64_t s) : seed(s) {
  // Of its own, so that a change of what is drawn later leaves the worlds as they are.
  random::SeededRandom random(seed * 0x9e3779b97f4a7c15 + 1);
  const auto chance = [&](double p) { return random.NextDouble() < p; };
  const auto between = [&](int least, int most) {
    return least + static_cast<int>(random.Uniform(static_cast<uint64_t>(most - least + 1)));
  };
  server_count = between(1, 3);
  worker_count = between(1, 5);
  max_slots_count = between(1, 4);
  active = absl::Seconds(between(8, 24));
  op_interval = absl::Milliseconds(between(80, 500));
  attempt_deadline = absl::Seconds(chance(0.5) ? 4 : 25);
  run_time = absl::Milliseconds(between(50, 1500));
  for (bool* feature : {&use.request_ids, &use.bulk, &use.cancels, &use.restarts, &use.delays,
                        &use.expiry, &use.unique_keys, &use.flows, &use.concurrency_keys,
                        &use.limits, &use.pauses, &use.purges, &use.cleanups, &use.bursts}) {
    *feature = chance(0.5);
  }
  // One seed in eight is calm: there the strict times hold.
  const bool calm = chance(0.125);
  for (double& one : rate) one = !calm && chance(0.4) ? 0.02 + 0.98 * random.NextDouble() : 0;
  if (of(Fault::kClockSkew) > 0) max_skew = absl::Milliseconds(between(200, 2500));
}

}  // namespace slipstream::task_queue::simulation
