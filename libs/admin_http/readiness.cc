#include "libs/admin_http/readiness.h"

namespace slipstream::admin_http {

void Readiness::Add(std::string name, Check check, bool only_degrades) {
  sync::MutexLock lock(mutex_);
  checks_.push_back(
      {std::move(name), std::make_shared<const Check>(std::move(check)), only_degrades});
}

void Readiness::StartDraining() {
  sync::MutexLock lock(mutex_);
  draining_ = true;
}

Readiness::Report Readiness::Evaluate() const {
  Report report;
  std::vector<Named> checks;
  {
    sync::MutexLock lock(mutex_);
    report.draining = draining_;
    checks = checks_;
  }
  for (const auto& [name, check, only_degrades] : checks) {
    absl::Status status = (*check)();
    if (status.ok()) continue;
    (only_degrades ? report.degraded : report.failing).emplace_back(name, std::move(status));
  }
  return report;
}

}  // namespace slipstream::admin_http
