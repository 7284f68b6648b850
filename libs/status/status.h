// Errors that a caller can act on: an absl::Status whose payloads are the google.rpc detail types,
// and its way onto the wire and back (google.rpc.Status).
//
// Every error carries an ErrorInfo with a stable UPPER_SNAKE_CASE reason, so that no client has to
// parse the message; the message tells a person what to do next.
//
// Everything is bounded, because it travels in HTTP/2 headers (8 KiB by default in gRPC): texts are
// cut at the bounds below, at a character's edge, and bytes that are not UTF-8 become '?' (protobuf
// refuses to parse them). Nothing here fails.
//
// Thread safety: free functions without state.
#ifndef SLIPSTREAM_LIBS_STATUS_STATUS_H_
#define SLIPSTREAM_LIBS_STATUS_STATUS_H_

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace slipstream::status {

inline constexpr absl::string_view kDomain = "slipstream";

inline constexpr absl::string_view kInvalidField = "INVALID_FIELD";
inline constexpr absl::string_view kNotBuiltYet = "NOT_BUILT_YET";

inline constexpr size_t kMaxMessageBytes = 2048;
// ErrorInfo: names and values together, and one value.
inline constexpr size_t kMaxMetadataBytes = 1536;
inline constexpr size_t kMaxMetadataValueBytes = 512;
// BadRequest: one field path, one description, and the number of violations listed.
inline constexpr size_t kMaxFieldBytes = 128;
inline constexpr size_t kMaxDescriptionBytes = 256;
inline constexpr size_t kMaxViolationCount = 8;
// All details of one google.rpc.Status together.
inline constexpr size_t kMaxDetailsBytes = 4096;
inline constexpr absl::Duration kMaxRetryAfter = absl::Hours(24);

using MetadataMap = std::map<std::string, std::string>;

// An error with ErrorInfo{reason, domain "slipstream", metadata}. Metadata that exceeds its bound
// is left out, in key order. An error cannot be OK: kOk becomes kUnknown.
absl::Status Error(absl::StatusCode code, absl::string_view reason, absl::string_view message,
                   const MetadataMap& metadata = {});

struct FieldViolation {
  std::string field;    // path in the request, for example "options.max_attempts"
  std::string message;  // what is wrong and what is expected
};

// INVALID_ARGUMENT, reason INVALID_FIELD, with a BadRequest that names the field.
absl::Status FieldError(absl::string_view field, absl::string_view message);
// The same for several fields at once; `violations` is not empty.
absl::Status FieldErrors(const std::vector<FieldViolation>& violations);

// UNIMPLEMENTED, reason NOT_BUILT_YET: a designed feature that is not there so far. `what` is a
// noun phrase ("CacheService.Watch").
absl::Status NotBuiltYet(absl::string_view what);

// Adds a RetryInfo: the caller may try again after `delay`, clamped to [0, 24 h]. OK stays OK.
absl::Status WithRetryAfter(absl::Status status, absl::Duration delay);

// What is read back. Each answers "none" for OK, foreign and damaged payloads.
std::optional<google::rpc::ErrorInfo> GetErrorInfo(const absl::Status& status);
std::string Reason(const absl::Status& status);  // "" for none
std::optional<std::string> Metadata(const absl::Status& status, absl::string_view key);
std::optional<absl::Duration> RetryAfter(const absl::Status& status);
std::vector<FieldViolation> FieldViolations(const absl::Status& status);

// To the wire and back. ErrorInfo goes first; details beyond kMaxDetailsBytes are left out. A code
// that is not one of the 17 canonical ones becomes UNKNOWN.
google::rpc::Status ToRpcStatus(const absl::Status& status);
absl::Status FromRpcStatus(const google::rpc::Status& rpc_status);

// `text` as valid UTF-8 of at most `max_bytes`; a text that was cut ends in "...".
std::string BoundedText(absl::string_view text, size_t max_bytes);

}  // namespace slipstream::status

#endif  // SLIPSTREAM_LIBS_STATUS_STATUS_H_
