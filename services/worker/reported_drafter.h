// A drafter whose every answer is reported to monitoring, which makes GET /api/v1/llm/health of it.
//
// Thread safety and errors: those of the drafter behind it.
#ifndef SERVICES_WORKER_REPORTED_DRAFTER_H_
#define SERVICES_WORKER_REPORTED_DRAFTER_H_

#include <string>
#include <string_view>
#include <utility>

#include "libs/clock/clock.h"
#include "libs/service/monitoring_reporter.h"
#include "services/worker/rfc_draft/drafter.h"

namespace slipstream::worker {

class ReportedDrafter final : public rfc_draft::Drafter {
 public:
  // `model` is what people are shown. All references must outlive the drafter.
  ReportedDrafter(rfc_draft::Drafter& drafter, std::string_view model, const clock::Clock& clock,
                  service::MonitoringReporter& reporter);

  std::string_view Name() const override { return drafter_.Name(); }
  std::string_view Version() const override { return drafter_.Version(); }
  std::string_view Label() const override { return drafter_.Label(); }
  Async<absl::StatusOr<rfc_draft::Draft>> Write(rfc_draft::DraftRequest request,
                                                rfc_draft::DraftProgress progress,
                                                std::stop_token cancel) override;

 private:
  rfc_draft::Drafter& drafter_;
  const std::string route_;
  const clock::Clock& clock_;
  service::MonitoringReporter& reporter_;
};

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_REPORTED_DRAFTER_H_
