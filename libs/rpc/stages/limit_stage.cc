#include "libs/rpc/stages/limit_stage.h"

#include <atomic>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::rpc {

namespace {

class LimitStage final : public Stage {
 public:
  explicit LimitStage(int max) : max_(max) {}
  std::string_view name() const override { return "limits"; }

  absl::Status Begin(CallContext& call) override {
    if (call.method().streams()) return absl::OkStatus();
    if (inflight_.fetch_add(1, std::memory_order_relaxed) >= max_) {
      inflight_.fetch_sub(1, std::memory_order_relaxed);
      return status::WithRetryAfter(
          status::Error(absl::StatusCode::kResourceExhausted, "OVERLOADED",
                        absl::StrCat("the server already works on ", max_,
                                     " calls; try again after the delay given")),
          absl::Seconds(1));
    }
    call.set_admitted();
    return absl::OkStatus();
  }
  void End(CallContext& call, const absl::Status&) override {
    if (call.admitted()) inflight_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  const int max_;
  std::atomic<int> inflight_{0};
};

}  // namespace

std::unique_ptr<Stage> MakeLimitStage(int max_inflight_count) {
  return std::make_unique<LimitStage>(max_inflight_count);
}

}  // namespace slipstream::rpc
