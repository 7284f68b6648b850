#include "libs/rpc/stages/trace_stage.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace slipstream::rpc {

std::string CorrelationIdOf(std::string_view request_id, const clock::Clock& clock,
                            random::Random& random) {
  const bool usable = !request_id.empty() && request_id.size() <= 128 &&
                      std::all_of(request_id.begin(), request_id.end(), [](char c) {
                        return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' ||
                               c == '_' || c == '-';
                      });
  return usable ? std::string(request_id) : random::Uuid7(clock, random);
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
    call.set_correlation_id(CorrelationIdOf(call.metadata("x-request-id"), clock_, random_));
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
