#include "services/edge/transcoder/request_binder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/edge/transcoder/field_path.h"
#include "services/edge/transcoder/json_reader.h"
#include "services/edge/transcoder/json_writer.h"
#include "services/edge/transcoder/problem.h"
#include "services/edge/transcoder/query_binding.h"
#include "services/edge/transcoder/scalar_text.h"
#include "slipstream/api/v1/policy.pb.h"

namespace slipstream::edge {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

bool IsHttpBody(const Descriptor& type) { return type.full_name() == "google.api.HttpBody"; }

// "application/json; charset=utf-8", "application/merge-patch+json", or nothing at all.
bool IsJsonType(std::string_view content_type) {
  const std::string type = absl::AsciiStrToLower(absl::StripAsciiWhitespace(absl::string_view(
      content_type.data(), std::min(content_type.find(';'), content_type.size()))));
  return type.empty() || type == "application/json" || absl::EndsWith(type, "+json");
}

bool IsBlank(std::string_view body) {
  return body.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

absl::Status Wrong(const MethodDescriptor& method, const HttpBinding& binding,
                   std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("HTTP rule of ", method.full_name(), " (",
                                                 binding.http_method, " ", binding.path.text,
                                                 "): ", std::string(why)));
}

// Whether two fields of one type hold the same value.
bool SameValue(const Message& a, const Message& b, const FieldDescriptor& field) {
  std::string a_text, b_text;
  return WriteJsonField(a, field, &a_text).ok() && WriteJsonField(b, field, &b_text).ok() &&
         a_text == b_text;
}

bool IsSet(const Message& message, const FieldDescriptor& field) {
  return message.GetReflection()->HasField(message, &field);
}

}  // namespace

absl::StatusOr<RequestBinder> RequestBinder::Create(const MethodDescriptor& method,
                                                    const HttpBinding& binding) {
  RequestBinder binder;
  const Descriptor& input = *method.input_type();
  binder.input_ = &input;
  std::vector<std::string> taken;  // fields that the query may not set
  for (const TemplateVariable& variable : binding.path.variables) {
    BoundField bound{variable.field_path, ResolveFieldPath(input, variable.field_path)};
    if (bound.path.empty()) {
      return Wrong(method, binding,
                   absl::StrCat(input.full_name(), " has no field `", variable.field_path, "`"));
    }
    if (bound.path.back()->is_repeated() || !IsTextual(*bound.path.back())) {
      return Wrong(method, binding,
                   absl::StrCat("`", variable.field_path, "` is not a singular scalar field"));
    }
    taken.push_back(JoinFieldPath(bound.path));
    binder.path_fields_.push_back(std::move(bound));
  }
  if (binding.body == "*") {
    binder.body_is_message_ = true;
    binder.raw_body_ = IsHttpBody(input);
  } else if (!binding.body.empty()) {
    binder.body_field_ = input.FindFieldByName(binding.body);
    if (binder.body_field_ == nullptr) {
      return Wrong(
          method, binding,
          absl::StrCat(input.full_name(), " has no field `", binding.body, "` for the body"));
    }
    taken.push_back(binding.body);
    binder.raw_body_ = binder.body_field_->message_type() != nullptr &&
                       !binder.body_field_->is_repeated() &&
                       IsHttpBody(*binder.body_field_->message_type());
  }
  if (!binding.response_body.empty() &&
      method.output_type()->FindFieldByName(binding.response_body) == nullptr) {
    return Wrong(method, binding,
                 absl::StrCat(method.output_type()->full_name(), " has no field `",
                              binding.response_body, "` for the response"));
  }
  for (int i = 0; i < input.field_count(); ++i) {
    const FieldDescriptor* field = input.field(i);
    const std::string& header =
        field->options().GetExtension(slipstream::api::v1::field).http_header();
    if (header.empty()) continue;
    if (field->is_repeated() || field->type() != FieldDescriptor::TYPE_STRING) {
      return Wrong(method, binding,
                   absl::StrCat("`", field->name(), "` is bound to the header ", header,
                                " and is not a string"));
    }
    binder.header_fields_.push_back({header, {field}});
  }
  if (!binder.body_is_message_) binder.query_names_ = QueryNames(input, taken);
  return binder;
}

absl::Status RequestBinder::Bind(const HttpRequestParts& parts, Message* request) const {
  if (absl::Status bound = BindBody(parts, request); !bound.ok()) return bound;
  static const std::vector<PathVariable> kNone;
  for (const PathVariable& variable : parts.path_variables ? *parts.path_variables : kNone) {
    const auto bound =
        std::find_if(path_fields_.begin(), path_fields_.end(),
                     [&](const BoundField& b) { return b.name == variable.field_path; });
    if (bound == path_fields_.end()) {
      return status::FieldError(variable.field_path, "is not a variable of this route");
    }
    Message* parent = MutableParent(bound->path, request);
    const FieldDescriptor& field = *bound->path.back();
    std::unique_ptr<Message> scratch(parent->New());
    if (std::string wrong = SetFromText(field, variable.value, scratch.get()); !wrong.empty()) {
      return status::FieldError(variable.field_path, absl::StrCat(wrong, " (in the path)"));
    }
    if (IsSet(*parent, field)) {
      if (SameValue(*parent, *scratch, field)) continue;
      return status::FieldError(variable.field_path,
                                "differs between the body and the path: leave it out of the body");
    }
    SetFromText(field, variable.value, parent);
  }
  if (absl::Status bound = BindQuery(parts.query, request); !bound.ok()) return bound;
  if (!parts.header) return absl::OkStatus();
  for (const BoundField& bound : header_fields_) {
    const FieldDescriptor& field = *bound.path.back();
    if (IsSet(*request, field)) continue;
    const std::optional<std::string_view> value = parts.header(bound.name);
    if (!value.has_value()) continue;
    if (std::string wrong = SetFromText(field, *value, request); !wrong.empty()) {
      return status::FieldError(field.name(), absl::StrCat(wrong, " (header ", bound.name, ")"));
    }
  }
  return absl::OkStatus();
}

absl::Status RequestBinder::BindBody(const HttpRequestParts& parts, Message* request) const {
  if (raw_body_) return BindRaw(parts.content_type, parts.body, request);
  if (IsBlank(parts.body)) return absl::OkStatus();
  if (!body_is_message_ && body_field_ == nullptr) {
    if (parts.body == "{}") return absl::OkStatus();  // what many clients send for "nothing"
    return status::Error(absl::StatusCode::kInvalidArgument, "UNEXPECTED_BODY",
                         "this route takes no body: send its fields in the path and query");
  }
  if (!IsJsonType(parts.content_type)) {
    return status::Error(
        absl::StatusCode::kInvalidArgument,
        absl::string_view(kReasonUnsupportedMediaType.data(), kReasonUnsupportedMediaType.size()),
        "the body must be JSON: send it with `Content-Type: application/json`");
  }
  return body_is_message_ ? ReadJson(parts.body, request)
                          : ReadJsonField(parts.body, *body_field_, request);
}

absl::Status RequestBinder::BindRaw(std::string_view content_type, std::string_view bytes,
                                    Message* request) const {
  Message* body = body_field_ == nullptr
                      ? request
                      : request->GetReflection()->MutableMessage(request, body_field_);
  const Descriptor& type = *body->GetDescriptor();
  if (!content_type.empty()) {
    if (std::string wrong = SetFromText(*type.FindFieldByNumber(1), content_type, body);
        !wrong.empty()) {
      return status::FieldError("content_type", wrong);
    }
  }
  body->GetReflection()->SetString(body, type.FindFieldByNumber(2), std::string(bytes));
  return absl::OkStatus();
}

absl::Status RequestBinder::BindRawChunk(std::string_view bytes, Message* request) const {
  if (!raw_body_) {
    return status::Error(absl::StatusCode::kInternal, "NOT_A_RAW_BODY",
                         "this route's body is JSON and cannot be streamed in chunks");
  }
  return BindRaw("", bytes, request);
}

absl::Status RequestBinder::BindQuery(std::string_view query, Message* request) const {
  return BindQueryParameters(query, query_names_, request);
}

}  // namespace slipstream::edge
