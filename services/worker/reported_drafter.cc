#include "services/worker/reported_drafter.h"

#include "absl/strings/str_cat.h"

namespace slipstream::worker {

namespace {

// Only what is the model's fault is a server's error.
int HttpStatusOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kCancelled:
      return 499;
    default:
      return 500;
  }
}

}  // namespace

ReportedDrafter::ReportedDrafter(rfc_draft::Drafter& drafter, std::string_view model,
                                 const clock::Clock& clock, service::MonitoringReporter& reporter)
    : drafter_(drafter),
      route_(absl::StrCat("llm ", absl::string_view(model.data(), model.size()))),
      clock_(clock),
      reporter_(reporter) {}

Async<absl::StatusOr<rfc_draft::Draft>> ReportedDrafter::Write(rfc_draft::DraftRequest request,
                                                               rfc_draft::DraftProgress progress,
                                                               std::stop_token cancel) {
  const absl::Duration began = clock_.Monotonic();
  auto draft = co_await drafter_.Write(std::move(request), std::move(progress), std::move(cancel));
  reporter_.RecordRequest({.service = "worker",
                           .route = route_,
                           .http_status = HttpStatusOf(draft.status()),
                           .duration = clock_.Monotonic() - began,
                           .finished_at = clock_.Now()});
  co_return draft;
}

}  // namespace slipstream::worker
