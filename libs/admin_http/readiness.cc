#include "libs/admin_http/readiness.h"

namespace slipstream::admin_http {

void Readiness::Add(std::string name, Check check) {
  sync::MutexLock lock(mutex_);
  checks_.emplace_back(std::move(name), std::make_shared<const Check>(std::move(check)));
}

void Readiness::StartDraining() {
  sync::MutexLock lock(mutex_);
  draining_ = true;
}

Readiness::Report Readiness::Evaluate() const {
  Report report;
  std::vector<std::pair<std::string, std::shared_ptr<const Check>>> checks;
  {
    sync::MutexLock lock(mutex_);
    report.draining = draining_;
    checks = checks_;
  }
  for (const auto& [name, check] : checks) {
    absl::Status status = (*check)();
    if (!status.ok()) report.failing.emplace_back(name, std::move(status));
  }
  return report;
}

}  // namespace slipstream::admin_http
