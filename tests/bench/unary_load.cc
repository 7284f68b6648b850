#include "tests/bench/unary_load.h"

#include <cstring>

#include "absl/flags/flag.h"
#include "libs/rpc/client_call.h"

ABSL_FLAG(bool, trace, false, "each call has a traceparent and a request id");
ABSL_FLAG(double, timeout_s, 0, "deadline of each call; 0: none");

namespace slipstream::bench {

namespace {

// The digits at the end of `text` become those of `number`, so that no two calls carry the same.
void PutNumber(int64_t number, size_t end, std::string* text) {
  constexpr char kHex[] = "0123456789abcdef";
  for (size_t i = 1; i <= 8; ++i, number >>= 4) (*text)[end - i] = kHex[number & 0xf];
}

}  // namespace

CallMetadata::CallMetadata() : options_(Call()), trace_(absl::GetFlag(FLAGS_trace)) {
  const double timeout_s = absl::GetFlag(FLAGS_timeout_s);
  options_.timeout = timeout_s == 0 ? absl::InfiniteDuration() : absl::Seconds(timeout_s);
  if (!trace_) return;
  options_.traceparent = "00-0af7651916cd43dd8448eb2100000000-b7ad6b7169203331-01";
  options_.correlation_id = "018f3f5e-7c3a-7d2b-9a41-5b0e00000000";
}

void CallMetadata::Apply(int64_t number, grpc::ClientContext* context) {
  if (trace_) {
    PutNumber(number, std::strlen("00-0af7651916cd43dd8448eb2100000000"), &options_.traceparent);
    PutNumber(number, options_.correlation_id.size(), &options_.correlation_id);
  }
  rpc::Apply(options_, context);
}

}  // namespace slipstream::bench
