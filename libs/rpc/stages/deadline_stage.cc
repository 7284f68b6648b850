#include "libs/rpc/stages/deadline_stage.h"

#include "libs/status/status.h"

namespace slipstream::rpc {

namespace {

class DeadlineStage final : public Stage {
 public:
  DeadlineStage(const clock::Clock& clock, absl::Duration default_deadline)
      : clock_(clock), default_deadline_(default_deadline) {}
  std::string_view name() const override { return "deadline"; }

  absl::Status Begin(CallContext& call) override {
    const absl::Time now = clock_.Now();
    if (call.deadline() == absl::InfiniteFuture()) {
      absl::Duration allowed = call.method().default_deadline;
      if (allowed == absl::InfiniteDuration() && !call.method().streams()) {
        allowed = default_deadline_;
      }
      call.set_deadline(now + allowed);
    } else if (call.deadline() <= now) {
      return status::Error(absl::StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED",
                           "the deadline passed before the call began; allow more time");
    }
    return absl::OkStatus();
  }

 private:
  const clock::Clock& clock_;
  const absl::Duration default_deadline_;
};

}  // namespace

std::unique_ptr<Stage> MakeDeadlineStage(const clock::Clock& clock,
                                         absl::Duration default_deadline) {
  return std::make_unique<DeadlineStage>(clock, default_deadline);
}

}  // namespace slipstream::rpc
