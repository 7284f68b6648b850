// google.api.http rules, parsed: path templates and the bindings of a method.
//
// Template syntax (google/api/http.proto):
//   Template = "/" Segments [ ":" Verb ] ;  Segments = Segment { "/" Segment } ;
//   Segment = "*" | "**" | LITERAL | "{" FieldPath [ "=" Segments ] "}" ;  FieldPath = IDENT { "."
//   IDENT }
// "**" may only be the last segment. A trailing slash in a template is dropped: it equals none.
//
// Thread safety: plain values. Errors: INVALID_ARGUMENT with the template and what is wrong with
// it.
#ifndef SERVICES_EDGE_TRANSCODER_HTTP_RULE_H_
#define SERVICES_EDGE_TRANSCODER_HTTP_RULE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "google/api/http.pb.h"

namespace slipstream::edge {

struct TemplateSegment {
  enum class Kind { kLiteral, kSingle, kMulti };  // text, "*", "**"
  Kind kind = Kind::kLiteral;
  std::string literal;  // of kLiteral

  bool operator==(const TemplateSegment&) const = default;
};

struct TemplateVariable {
  std::string field_path;  // "task_id", "endpoint.id"
  size_t first = 0;        // index of its first segment
  size_t count = 1;        // segments in the template
  // Captures one segment ("*"): an escaped slash is data. Otherwise slashes separate and "%2F"
  // stays escaped.
  bool single = true;
};

struct PathTemplate {
  std::string text;  // as written in the proto
  std::vector<TemplateSegment> segments;
  std::vector<TemplateVariable> variables;
  std::string verb;  // "cancel" of "/v1/{id}:cancel", or empty

  // "/v1/tasks/{task_id}" whatever the pattern inside the braces: the OpenAPI form, no trailing
  // slash.
  std::string OpenApiPath() const;
};

absl::StatusOr<PathTemplate> ParsePathTemplate(std::string_view text);

// One way to call a method by HTTP.
struct HttpBinding {
  std::string http_method;  // "GET", or the kind of a custom rule in upper case
  PathTemplate path;
  std::string body;           // "", "*" or a field name
  std::string response_body;  // "" or a field name
};

// The rule itself, then its additional_bindings in order.
absl::StatusOr<std::vector<HttpBinding>> ParseHttpRule(const google::api::HttpRule& rule);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_HTTP_RULE_H_
