#include "libs/rpc/stages/trace_stage.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace slipstream::rpc {

bool IsValidCorrelationId(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
}

namespace {

class TraceStage final : public Stage {
 public:
  TraceStage(const clock::Clock& clock, random::Random& random) : clock_(clock), random_(random) {}
  std::string_view name() const override { return "trace"; }

  absl::Status Begin(CallContext& call) override {
    call.set_trace(trace::ContinueOrStart(call.metadata(trace::kTraceparent),
                                          call.metadata(trace::kTracestate), random_,
                                          /*sample_new_root=*/true));
    const std::string_view id = call.metadata("x-request-id");
    call.set_correlation_id(IsValidCorrelationId(id) ? std::string(id)
                                                     : random::Uuid7(clock_, random_));
    call.AddTrailer("x-request-id", call.correlation_id());
    return absl::OkStatus();
  }

 private:
  const clock::Clock& clock_;
  random::Random& random_;
};

}  // namespace

std::unique_ptr<Stage> MakeTraceStage(const clock::Clock& clock, random::Random& random) {
  return std::make_unique<TraceStage>(clock, random);
}

}  // namespace slipstream::rpc
