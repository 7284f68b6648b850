#include "services/edge/transcoder/problem.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/status/status.h"
#include "services/edge/transcoder/json_writer.h"

namespace slipstream::edge {

namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

struct ReasonStatus {
  std::string_view reason;
  int http_status;
};

// Conditions of HTTP that no gRPC code stands for.
constexpr ReasonStatus kReasonStatuses[] = {
    {kReasonRouteNotFound, 404},        {kReasonMethodNotAllowed, 405},
    {kReasonNotAcceptable, 406},        {kReasonPreconditionFailed, 412},
    {kReasonBodyTooLarge, 413},         {kReasonUriTooLong, 414},
    {kReasonUnsupportedMediaType, 415}, {kReasonRangeNotSatisfiable, 416},
    {kReasonHeadersTooLarge, 431},
};

std::string_view TitleOf(int http_status) {
  switch (http_status) {
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Internal Server Error";
  }
}

void AppendMember(std::string_view name, std::string_view value, std::string* out) {
  if (value.empty()) return;
  absl::StrAppend(out, ",\"", View(name), "\":");
  WriteJsonString(value, out);
}

void AppendFieldErrors(const absl::Status& status, std::string* out) {
  const auto violations = status::FieldViolations(status);
  if (violations.empty()) return;
  out->append(",\"errors\":[");
  bool first = true;
  for (const auto& violation : violations) {
    out->append(first ? "{\"field\":" : ",{\"field\":");
    first = false;
    WriteJsonString(violation.field, out);
    out->append(",\"message\":");
    WriteJsonString(violation.message, out);
    out->push_back('}');
  }
  out->push_back(']');
}

void AppendMetadata(const google::rpc::ErrorInfo& info, std::string* out) {
  if (info.metadata().empty()) return;
  const status::MetadataMap sorted(info.metadata().begin(), info.metadata().end());
  out->append(",\"metadata\":{");
  bool first = true;
  for (const auto& [name, value] : sorted) {
    if (!first) out->push_back(',');
    first = false;
    WriteJsonString(name, out);
    out->push_back(':');
    WriteJsonString(value, out);
  }
  out->push_back('}');
}

}  // namespace

int HttpStatusOf(absl::StatusCode code, std::string_view reason) {
  for (const ReasonStatus& entry : kReasonStatuses) {
    if (entry.reason == reason) return entry.http_status;
  }
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kFailedPrecondition:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kCancelled:
      return 499;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

std::string_view GrpcCodeName(absl::StatusCode code) {
  static constexpr std::string_view kNames[] = {"OK",
                                                "CANCELLED",
                                                "UNKNOWN",
                                                "INVALID_ARGUMENT",
                                                "DEADLINE_EXCEEDED",
                                                "NOT_FOUND",
                                                "ALREADY_EXISTS",
                                                "PERMISSION_DENIED",
                                                "RESOURCE_EXHAUSTED",
                                                "FAILED_PRECONDITION",
                                                "ABORTED",
                                                "OUT_OF_RANGE",
                                                "UNIMPLEMENTED",
                                                "INTERNAL",
                                                "UNAVAILABLE",
                                                "DATA_LOSS",
                                                "UNAUTHENTICATED"};
  const auto number = static_cast<size_t>(code);
  return number < std::size(kNames) ? kNames[number] : "UNKNOWN";
}

Problem MakeProblem(const absl::Status& status, std::string_view correlation_id) {
  const auto info = status::GetErrorInfo(status);
  const std::string reason = info.has_value() ? info->reason() : "";
  Problem problem;
  problem.http_status = HttpStatusOf(status.code(), reason);
  if (const auto delay = status::RetryAfter(status); delay.has_value()) {
    problem.retry_after_s =
        std::max<int64_t>(1, absl::ToInt64Seconds(absl::Ceil(*delay, absl::Seconds(1))));
  }
  std::string& body = problem.body;
  body = "{\"type\":";
  WriteJsonString(reason.empty()
                      ? "about:blank"
                      : absl::StrCat("urn:slipstream:problem:", absl::AsciiStrToLower(reason)),
                  &body);
  AppendMember("title", TitleOf(problem.http_status), &body);
  absl::StrAppend(&body, ",\"status\":", problem.http_status);
  AppendMember("detail", std::string_view(status.message().data(), status.message().size()), &body);
  AppendMember("code", GrpcCodeName(status.code()), &body);
  AppendMember("reason", reason, &body);
  AppendFieldErrors(status, &body);
  if (info.has_value()) AppendMetadata(*info, &body);
  AppendMember("correlation_id", correlation_id, &body);
  if (problem.retry_after_s.has_value()) {
    absl::StrAppend(&body, ",\"retry_after_s\":", *problem.retry_after_s);
  }
  body.push_back('}');
  return problem;
}

absl::Status StatusFromGrpc(int code, std::string_view message, std::string_view details_bytes) {
  google::rpc::Status wire;
  if (!details_bytes.empty() &&
      !wire.ParseFromArray(details_bytes.data(), static_cast<int>(details_bytes.size()))) {
    wire.Clear();  // details of another kind: the code and message still stand
  }
  wire.set_code(code);
  if (!message.empty())
    wire.set_message(status::BoundedText(View(message), status::kMaxMessageBytes));
  return status::FromRpcStatus(wire);
}

absl::Status RouteNotFound(std::string_view http_method, std::string_view path) {
  return status::Error(absl::StatusCode::kNotFound, View(kReasonRouteNotFound),
                       absl::StrCat("no route for ", View(http_method), " ",
                                    View(path.substr(0, 256)), "; /openapi.json lists them all"));
}

absl::Status MethodNotAllowed(std::string_view http_method, std::string_view allow) {
  return status::Error(
      absl::StatusCode::kUnimplemented, View(kReasonMethodNotAllowed),
      absl::StrCat(View(http_method), " is not allowed on this path; use ", View(allow)),
      {{"allow", std::string(allow)}});
}

absl::Status BodyTooLarge(size_t limit_bytes) {
  return status::Error(absl::StatusCode::kResourceExhausted, View(kReasonBodyTooLarge),
                       absl::StrCat("the body is larger than the limit of ", limit_bytes,
                                    " bytes: send it in parts, or as an artifact"),
                       {{"limit_bytes", absl::StrCat(limit_bytes)}});
}

}  // namespace slipstream::edge
