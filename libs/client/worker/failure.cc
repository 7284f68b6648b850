#include "libs/client/worker/failure.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "libs/status/status.h"

namespace slipstream::worker_client {

namespace {

constexpr char kFinalUrl[] = "type.slipstream/worker.final";
constexpr size_t kMaxReasonBytes = 63;
constexpr size_t kMaxFailureMessageBytes = 2048;

// UPPER_SNAKE_CASE whatever came in.
std::string ReasonOf(const absl::Status& status) {
  std::string reason = status::Reason(status);
  if (reason.empty()) reason = absl::StatusCodeToString(status.code());
  if (reason.size() > kMaxReasonBytes) reason.resize(kMaxReasonBytes);
  for (char& c : reason) {
    c = absl::ascii_toupper(c);
    if (!absl::ascii_isalnum(c)) c = '_';
  }
  return reason.empty() ? "UNKNOWN" : reason;
}

}  // namespace

bool IsRetryable(const absl::Status& status) {
  if (status.GetPayload(kFinalUrl).has_value()) return false;
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kCancelled:
      return true;
    default:
      return false;
  }
}

absl::Status Final(absl::Status status) {
  if (!status.ok()) status.SetPayload(kFinalUrl, absl::Cord());
  return status;
}

task_queue::v1::WorkRequest::Failure ToFailure(const absl::Status& status) {
  task_queue::v1::WorkRequest::Failure failure;
  failure.set_reason(ReasonOf(status));
  failure.set_message(status::BoundedText(status.message(), kMaxFailureMessageBytes));
  failure.set_retryable(IsRetryable(status));
  if (auto delay = status::RetryAfter(status)) {
    failure.set_retry_after_ms(absl::ToInt64Milliseconds(*delay));
  }
  return failure;
}

}  // namespace slipstream::worker_client
