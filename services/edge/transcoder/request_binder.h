// HTTP request parts -> request message, as the HTTP rule of a method says.
//
// Sources, in order: the body ("*", one field, or none), then path variables, headers bound by the
// field option (slipstream.api.v1.field).http_header, then query parameters. A field is set by one
// source; a body that repeats the value of a path variable or header must agree with it. A
// google.api.HttpBody (the request itself or the body field) takes the raw body and its content
// type; any other body is JSON (application/json or a +json type). Query parameters: dotted paths
// ("filter.status"), snake_case or lowerCamelCase, repeated fields by repetition; scalars, enums,
// Timestamp, Duration, FieldMask and wrappers. Unknown ones are refused with the known names. With
// body "*" there are none.
//
// Thread safety: immutable after Create; Bind may run from any thread.
// Errors of Bind: INVALID_ARGUMENT (status::FieldError with the field's path); INVALID_ARGUMENT
// with reason UNSUPPORTED_MEDIA_TYPE for a body of another type (problem.h makes it 415).
#ifndef SERVICES_EDGE_TRANSCODER_REQUEST_BINDER_H_
#define SERVICES_EDGE_TRANSCODER_REQUEST_BINDER_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "services/edge/transcoder/http_rule.h"
#include "services/edge/transcoder/route_table.h"

namespace slipstream::edge {

inline constexpr size_t kMaxQuery_bytes = 16384;
inline constexpr size_t kMaxQueryParameter_count = 256;

struct HttpRequestParts {
  const std::vector<PathVariable>* path_variables = nullptr;  // may be null: none
  std::string_view query;                                     // raw, without "?"
  std::string_view content_type;                              // of the body; empty counts as JSON
  std::string_view body;                                      // empty with body "*" reads as {}
  // The value of a request header (case-insensitive name), or nullopt. May be null: none.
  std::function<std::optional<std::string_view>(std::string_view name)> header;
};

class RequestBinder {
 public:
  // Checks the rule against the request type: every path variable is a singular scalar of it, the
  // body field exists. INVALID_ARGUMENT with the method's name otherwise: the edge stops at start.
  static absl::StatusOr<RequestBinder> Create(const google::protobuf::MethodDescriptor& method,
                                              const HttpBinding& binding);

  // Fills *request, a fresh message of the method's input type.
  absl::Status Bind(const HttpRequestParts& parts, google::protobuf::Message* request) const;

  // The raw body is streamed into google.api.HttpBody chunks (a client-streaming upload): the first
  // message is Bind's, with an empty body; each following one is a fresh message given to this.
  bool raw_body() const { return raw_body_; }
  absl::Status BindRawChunk(std::string_view bytes, google::protobuf::Message* request) const;

  // Query parameters this binding takes, sorted: for messages, OpenAPI and tests.
  const std::vector<std::string>& query_names() const { return query_names_; }

 private:
  struct BoundField {
    std::string name;  // field path or header name
    std::vector<const google::protobuf::FieldDescriptor*> path;
  };

  RequestBinder() = default;
  absl::Status BindBody(const HttpRequestParts& parts, google::protobuf::Message* request) const;
  absl::Status BindQuery(std::string_view query, google::protobuf::Message* request) const;
  absl::Status BindRaw(std::string_view content_type, std::string_view bytes,
                       google::protobuf::Message* request) const;

  const google::protobuf::Descriptor* input_ = nullptr;
  const google::protobuf::FieldDescriptor* body_field_ = nullptr;  // of body: "field"
  bool body_is_message_ = false;                                   // body: "*"
  bool raw_body_ = false;
  std::vector<BoundField> path_fields_;
  std::vector<BoundField> header_fields_;
  std::vector<std::string> query_names_;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_REQUEST_BINDER_H_
