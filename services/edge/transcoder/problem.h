// Status -> application/problem+json (RFC 9457).
//
// Members: type, title, status, detail, code (gRPC code name), reason (ErrorInfo), errors (field,
// message), metadata (ErrorInfo), correlation_id, retry_after_s. Members with nothing to say are
// left out.
//
// The HTTP status comes from the reason when it names an HTTP condition (BODY_TOO_LARGE 413,
// UNSUPPORTED_MEDIA_TYPE 415, METHOD_NOT_ALLOWED 405, NOT_ACCEPTABLE 406, URI_TOO_LONG 414,
// PRECONDITION_FAILED 412, RANGE_NOT_SATISFIABLE 416), otherwise from the code: INVALID_ARGUMENT
// and OUT_OF_RANGE 400, UNAUTHENTICATED 401, PERMISSION_DENIED 403, NOT_FOUND 404, ALREADY_EXISTS,
// ABORTED and FAILED_PRECONDITION 409, RESOURCE_EXHAUSTED 429, CANCELLED 499, UNIMPLEMENTED 501,
// UNAVAILABLE 503, DEADLINE_EXCEEDED 504, the rest 500. FAILED_PRECONDITION is 409 and not Google's
// 400: the request is well-formed, it is the state that forbids it ("already finished"), and a
// client that treats 400 as its own bug would misread it.
//
// Thread safety: free functions.
#ifndef SERVICES_EDGE_TRANSCODER_PROBLEM_H_
#define SERVICES_EDGE_TRANSCODER_PROBLEM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace slipstream::edge {

inline constexpr std::string_view kProblemContentType = "application/problem+json";

// Reasons the edge itself gives (ErrorInfo.reason); each maps to its HTTP status.
inline constexpr std::string_view kReasonRouteNotFound = "ROUTE_NOT_FOUND";                // 404
inline constexpr std::string_view kReasonMethodNotAllowed = "METHOD_NOT_ALLOWED";          // 405
inline constexpr std::string_view kReasonNotAcceptable = "NOT_ACCEPTABLE";                 // 406
inline constexpr std::string_view kReasonPreconditionFailed = "PRECONDITION_FAILED";       // 412
inline constexpr std::string_view kReasonBodyTooLarge = "BODY_TOO_LARGE";                  // 413
inline constexpr std::string_view kReasonUriTooLong = "URI_TOO_LONG";                      // 414
inline constexpr std::string_view kReasonUnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE";  // 415
inline constexpr std::string_view kReasonRangeNotSatisfiable = "RANGE_NOT_SATISFIABLE";    // 416
inline constexpr std::string_view kReasonHeadersTooLarge = "HEADERS_TOO_LARGE";            // 431

struct Problem {
  int http_status = 500;
  std::string body;                      // one JSON object
  std::optional<int64_t> retry_after_s;  // for the Retry-After header, rounded up, at least 1
};

// REQUIRES: !status.ok().
Problem MakeProblem(const absl::Status& status, std::string_view correlation_id);

int HttpStatusOf(absl::StatusCode code, std::string_view reason = {});

// "INVALID_ARGUMENT" and the like; "UNKNOWN" for a code that has no name.
std::string_view GrpcCodeName(absl::StatusCode code);

// The status of a failed upstream call: grpc-status, grpc-message and the bytes of
// grpc-status-details-bin (a serialized google.rpc.Status, or empty), its details attached as
// payloads under their type URLs.
absl::Status StatusFromGrpc(int code, std::string_view message, std::string_view details_bytes);

// The first `Accept`-independent check of a route: 404 or 405 as a status with the right reason.
absl::Status RouteNotFound(std::string_view http_method, std::string_view path);
absl::Status MethodNotAllowed(std::string_view http_method, std::string_view allow);
absl::Status BodyTooLarge(size_t limit_bytes);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_PROBLEM_H_
