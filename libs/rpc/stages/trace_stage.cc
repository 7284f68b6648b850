#include "libs/rpc/stages/trace_stage.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace slipstream::rpc {

namespace {

constexpr std::string_view kRequestId = "x-request-id";

bool IsUsable(std::string_view request_id) {
  return !request_id.empty() && request_id.size() <= 128 &&
         std::all_of(request_id.begin(), request_id.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                  c == '-';
         });
}

class TraceStage final : public Stage, public CallIds {
 public:
  TraceStage(const clock::Clock& clock, random::Random& random) : clock_(clock), random_(random) {}
  std::string_view name() const override { return "trace"; }

  absl::Status Begin(CallContext& call) override {
    call.set_ids(this);
    if (call.method().streams()) {
      // Several coroutines may serve a stream: what they read is made before they begin.
      call.trace();
      call.correlation_id();
    }
    return absl::OkStatus();
  }

  void End(CallContext& call, const absl::Status& status) override {
    // With what failed, so that it can be found in the logs; a success is not in them.
    if (status.ok()) return;
    call.AddTrailer(std::string(kRequestId), call.correlation_id());
  }

  trace::TraceContext MakeTrace(const CallContext& call) const override {
    return trace::ContinueOrStart(call.metadata(trace::kTraceparent),
                                  call.metadata(trace::kTracestate), random_,
                                  /*sample_new_root=*/true);
  }

  std::string MakeCorrelationId(const CallContext& call) const override {
    return CorrelationIdOf(call.metadata(kRequestId), clock_, random_);
  }

 private:
  const clock::Clock& clock_;
  random::Random& random_;
};

}  // namespace

std::string CorrelationIdOf(std::string_view request_id, const clock::Clock& clock,
                            random::Random& random) {
  return IsUsable(request_id) ? std::string(request_id) : random::Uuid7(clock, random);
}

std::unique_ptr<Stage> MakeTraceStage(const clock::Clock& clock, random::Random& random) {
  return std::make_unique<TraceStage>(clock, random);
}

}  // namespace slipstream::rpc
