#include "libs/status/status.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace slipstream::status {
namespace {

constexpr char kTypeUrlPrefix[] = "type.googleapis.com/";
constexpr size_t kMaxReasonBytes = 63;  // google.rpc.ErrorInfo: at most 63 characters
constexpr size_t kMaxKeyBytes = 64;     // likewise

template <typename Detail>
std::string TypeUrl() {
  return absl::StrCat(kTypeUrlPrefix, Detail::descriptor()->full_name());
}

// By string_view: Debian's Abseil is built by GCC, which mangles Cord(std::string&&) differently
// from clang, so that constructor does not link.
void SetPayload(absl::Status& status, absl::string_view type_url, const std::string& payload) {
  status.SetPayload(type_url, absl::Cord(absl::string_view(payload)));
}

template <typename Detail>
void Attach(absl::Status& status, const Detail& detail) {
  SetPayload(status, TypeUrl<Detail>(), detail.SerializeAsString());
}

template <typename Detail>
std::optional<Detail> Detached(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(TypeUrl<Detail>());
  Detail detail;
  if (!payload.has_value() || !detail.ParseFromString(std::string(*payload))) return std::nullopt;
  return detail;
}

absl::Status WithoutDetails(absl::StatusCode code, absl::string_view message) {
  if (code == absl::StatusCode::kOk) code = absl::StatusCode::kUnknown;
  return absl::Status(code, BoundedText(message, kMaxMessageBytes));
}

absl::StatusCode CodeFromWire(int code) {
  const bool canonical = code >= 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  return canonical ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown;
}

}  // namespace

absl::Status Error(absl::StatusCode code, absl::string_view reason, absl::string_view message,
                   const MetadataMap& metadata) {
  google::rpc::ErrorInfo info;
  info.set_reason(BoundedText(reason, kMaxReasonBytes));
  info.set_domain(std::string(kDomain));
  size_t metadata_bytes = 0;
  for (const auto& [key, value] : metadata) {
    std::string bounded_key = BoundedText(key, kMaxKeyBytes);
    std::string bounded_value = BoundedText(value, kMaxMetadataValueBytes);
    const size_t bytes = bounded_key.size() + bounded_value.size();
    if (metadata_bytes + bytes > kMaxMetadataBytes) continue;
    metadata_bytes += bytes;
    (*info.mutable_metadata())[std::move(bounded_key)] = std::move(bounded_value);
  }
  absl::Status status = WithoutDetails(code, message);
  Attach(status, info);
  return status;
}

absl::Status FieldError(absl::string_view field, absl::string_view message) {
  return FieldErrors({{std::string(field), std::string(message)}});
}

absl::Status FieldErrors(const std::vector<FieldViolation>& violations) {
  google::rpc::BadRequest bad_request;
  std::string message;
  for (const FieldViolation& violation : violations) {
    if (bad_request.field_violations_size() == static_cast<int>(kMaxViolationCount)) break;
    auto* listed = bad_request.add_field_violations();
    listed->set_field(BoundedText(violation.field, kMaxFieldBytes));
    listed->set_description(BoundedText(violation.message, kMaxDescriptionBytes));
    absl::StrAppend(&message, message.empty() ? "" : "; ", listed->field(), ": ",
                    listed->description());
  }
  const size_t left_out_count = violations.size() - bad_request.field_violations_size();
  if (left_out_count > 0) absl::StrAppend(&message, "; and ", left_out_count, " more");
  MetadataMap metadata;
  if (!violations.empty()) metadata["field"] = bad_request.field_violations(0).field();
  absl::Status status = Error(absl::StatusCode::kInvalidArgument, kInvalidField, message, metadata);
  Attach(status, bad_request);
  return status;
}

absl::Status NotBuiltYet(absl::string_view what) {
  return Error(absl::StatusCode::kUnimplemented, kNotBuiltYet,
               absl::StrCat(what,
                            " is designed but not built yet in this version. Use a later "
                            "version, or do without it."),
               {{"feature", std::string(what)}});
}

absl::Status WithRetryAfter(absl::Status status, absl::Duration delay) {
  if (status.ok()) return status;
  delay = std::clamp(delay, absl::ZeroDuration(), kMaxRetryAfter);
  google::rpc::RetryInfo retry;
  absl::Duration rest;
  retry.mutable_retry_delay()->set_seconds(absl::IDivDuration(delay, absl::Seconds(1), &rest));
  retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  Attach(status, retry);
  return status;
}

std::optional<google::rpc::ErrorInfo> GetErrorInfo(const absl::Status& status) {
  return Detached<google::rpc::ErrorInfo>(status);
}

std::string Reason(const absl::Status& status) {
  const auto info = GetErrorInfo(status);
  return info.has_value() ? info->reason() : "";
}

std::optional<std::string> Metadata(const absl::Status& status, absl::string_view key) {
  const auto info = GetErrorInfo(status);
  if (!info.has_value()) return std::nullopt;
  const auto found = info->metadata().find(std::string(key));
  if (found == info->metadata().end()) return std::nullopt;
  return found->second;
}

std::optional<absl::Duration> RetryAfter(const absl::Status& status) {
  const auto retry = Detached<google::rpc::RetryInfo>(status);
  if (!retry.has_value() || !retry->has_retry_delay()) return std::nullopt;
  const absl::Duration delay = absl::Seconds(retry->retry_delay().seconds()) +
                               absl::Nanoseconds(retry->retry_delay().nanos());
  return std::clamp(delay, absl::ZeroDuration(), kMaxRetryAfter);
}

std::vector<FieldViolation> FieldViolations(const absl::Status& status) {
  std::vector<FieldViolation> violations;
  const auto bad_request = Detached<google::rpc::BadRequest>(status);
  if (!bad_request.has_value()) return violations;
  for (const auto& listed : bad_request->field_violations()) {
    if (violations.size() == kMaxViolationCount) break;
    violations.push_back({listed.field(), listed.description()});
  }
  return violations;
}

google::rpc::Status ToRpcStatus(const absl::Status& status) {
  google::rpc::Status rpc_status;
  rpc_status.set_code(static_cast<int>(CodeFromWire(status.raw_code())));
  if (status.ok()) return rpc_status;
  rpc_status.set_message(BoundedText(status.message(), kMaxMessageBytes));

  // In one stable order, the payload that clients need most first: absl keeps none.
  std::vector<std::pair<std::string, std::string>> payloads;
  status.ForEachPayload([&](absl::string_view type_url, const absl::Cord& payload) {
    payloads.emplace_back(std::string(type_url), std::string(payload));
  });
  const std::string first = TypeUrl<google::rpc::ErrorInfo>();
  std::sort(payloads.begin(), payloads.end(), [&](const auto& a, const auto& b) {
    return std::make_pair(a.first != first, a.first) < std::make_pair(b.first != first, b.first);
  });
  size_t details_bytes = 0;
  for (auto& [type_url, payload] : payloads) {
    const size_t bytes = type_url.size() + payload.size();
    if (details_bytes + bytes > kMaxDetailsBytes) continue;
    details_bytes += bytes;
    auto* detail = rpc_status.add_details();
    detail->set_type_url(std::move(type_url));
    detail->set_value(std::move(payload));
  }
  return rpc_status;
}

absl::Status FromRpcStatus(const google::rpc::Status& rpc_status) {
  const absl::StatusCode code = CodeFromWire(rpc_status.code());
  if (code == absl::StatusCode::kOk) return absl::OkStatus();
  absl::Status status = WithoutDetails(code, rpc_status.message());
  size_t details_bytes = 0;
  for (const auto& detail : rpc_status.details()) {
    const size_t bytes = detail.type_url().size() + detail.value().size();
    if (detail.type_url().empty() || details_bytes + bytes > kMaxDetailsBytes) continue;
    details_bytes += bytes;
    SetPayload(status, detail.type_url(), detail.value());
  }
  return status;
}

}  // namespace slipstream::status
