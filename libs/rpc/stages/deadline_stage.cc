#include "libs/rpc/stages/deadline_stage.h"

#include "libs/status/status.h"

namespace slipstream::rpc {

namespace {

class DeadlineStage final : public Stage {
 public:
  explicit DeadlineStage(absl::Duration default_deadline) : default_deadline_(default_deadline) {}
  std::string_view name() const override { return "deadline"; }

  absl::Status Begin(CallContext& call) override {
    // The stages before this one take microseconds: not worth another look at the clock.
    const absl::Time now = call.started_at();
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
  const absl::Duration default_deadline_;
};

}  // namespace

std::unique_ptr<Stage> MakeDeadlineStage(absl::Duration default_deadline) {
  return std::make_unique<DeadlineStage>(default_deadline);
}

}  // namespace slipstream::rpc
