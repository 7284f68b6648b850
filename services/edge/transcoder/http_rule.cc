#include "services/edge/transcoder/http_rule.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/edge/transcoder/percent.h"

namespace slipstream::edge {

namespace {

bool IsIdentifier(std::string_view text) {
  if (text.empty() || absl::ascii_isdigit(static_cast<unsigned char>(text[0]))) return false;
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

bool IsFieldPath(std::string_view text) {
  for (;;) {
    const size_t dot = text.find('.');
    if (!IsIdentifier(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

// A literal has no meaning in the template syntax: unreserved and sub-delimiter characters, or
// escapes.
bool IsLiteral(std::string_view text) {
  return !text.empty() && std::none_of(text.begin(), text.end(), [](unsigned char c) {
    return c <= 0x20 || c >= 0x7F || c == '{' || c == '}' || c == '*' || c == '=' || c == ':' ||
           c == '?' || c == '#';
  });
}

class TemplateParser {
 public:
  explicit TemplateParser(std::string_view text) : text_(text) { result_.text = std::string(text); }

  absl::StatusOr<PathTemplate> Parse() {
    std::string_view rest = text_;
    if (rest.empty() || rest.front() != '/') return Wrong("it must start with `/`");
    rest.remove_prefix(1);
    if (const size_t colon = VerbColon(rest); colon != std::string_view::npos) {
      result_.verb = std::string(rest.substr(colon + 1));
      rest = rest.substr(0, colon);
      if (!IsLiteral(result_.verb) || result_.verb.find('/') != std::string::npos) {
        return Wrong("the verb after `:` must be a literal");
      }
    }
    if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
    if (rest.empty()) return std::move(result_);  // "/"
    if (!Segments(rest, true)) return Wrong(error_);
    for (size_t i = 0; i + 1 < result_.segments.size(); ++i) {
      if (result_.segments[i].kind == TemplateSegment::Kind::kMulti) {
        return Wrong("`**` must be the last segment");
      }
    }
    return std::move(result_);
  }

 private:
  absl::Status Wrong(std::string_view why) const {
    return absl::InvalidArgumentError(
        absl::StrCat("path template \"", std::string(text_), "\": ", std::string(why)));
  }

  // The colon of the verb: after the last slash and after the last brace.
  static size_t VerbColon(std::string_view rest) {
    const size_t colon = rest.rfind(':');
    if (colon == std::string_view::npos) return colon;
    const size_t after = rest.find_first_of("/}", colon);
    return after == std::string_view::npos ? colon : std::string_view::npos;
  }

  bool Segments(std::string_view rest, bool variables) {
    for (;;) {
      // A variable's own slashes are inside its braces.
      size_t end;
      if (!rest.empty() && rest.front() == '{') {
        end = rest.find('}');
        if (end == std::string_view::npos) return Fail("`{` without `}`");
        if (!variables) return Fail("a variable inside a variable");
        if (!Variable(rest.substr(1, end - 1))) return false;
        ++end;
        if (end < rest.size() && rest[end] != '/')
          return Fail("a variable must be a whole segment");
      } else {
        end = std::min(rest.find('/'), rest.size());
        if (!Segment(rest.substr(0, end))) return false;
      }
      if (end >= rest.size()) return true;
      rest.remove_prefix(end + 1);
    }
  }

  bool Segment(std::string_view text) {
    TemplateSegment segment;
    if (text == "*") {
      segment.kind = TemplateSegment::Kind::kSingle;
    } else if (text == "**") {
      segment.kind = TemplateSegment::Kind::kMulti;
    } else if (!IsLiteral(text)) {
      return Fail(absl::StrCat("\"", std::string(text), "\" is not a segment"));
    } else if (!PercentDecode(text, PercentDecoding::kAll, &segment.literal)) {
      return Fail("a literal has an invalid percent escape");
    }
    result_.segments.push_back(std::move(segment));
    return true;
  }

  bool Variable(std::string_view text) {
    const size_t equals = text.find('=');
    TemplateVariable variable;
    variable.field_path = std::string(text.substr(0, equals));
    if (!IsFieldPath(variable.field_path)) {
      return Fail(absl::StrCat("`", variable.field_path, "` is not a field path"));
    }
    for (const auto& other : result_.variables) {
      if (other.field_path == variable.field_path) {
        return Fail(absl::StrCat("`", variable.field_path, "` is bound twice"));
      }
    }
    variable.first = result_.segments.size();
    const std::string_view pattern =
        equals == std::string_view::npos ? "*" : text.substr(equals + 1);
    if (!Segments(pattern, false)) return false;
    variable.count = result_.segments.size() - variable.first;
    variable.single = variable.count == 1 &&
                      result_.segments[variable.first].kind != TemplateSegment::Kind::kMulti;
    result_.variables.push_back(std::move(variable));
    return true;
  }

  bool Fail(std::string why) {
    error_ = std::move(why);
    return false;
  }

  std::string_view text_;
  PathTemplate result_;
  std::string error_;
};

absl::Status AddBinding(const google::api::HttpRule& rule, std::vector<HttpBinding>* bindings) {
  HttpBinding binding;
  std::string path;
  switch (rule.pattern_case()) {
    case google::api::HttpRule::kGet:
      binding.http_method = "GET";
      path = rule.get();
      break;
    case google::api::HttpRule::kPut:
      binding.http_method = "PUT";
      path = rule.put();
      break;
    case google::api::HttpRule::kPost:
      binding.http_method = "POST";
      path = rule.post();
      break;
    case google::api::HttpRule::kDelete:
      binding.http_method = "DELETE";
      path = rule.delete_();
      break;
    case google::api::HttpRule::kPatch:
      binding.http_method = "PATCH";
      path = rule.patch();
      break;
    case google::api::HttpRule::kCustom:
      binding.http_method = absl::AsciiStrToUpper(rule.custom().kind());
      path = rule.custom().path();
      break;
    case google::api::HttpRule::PATTERN_NOT_SET:
      return absl::InvalidArgumentError("an HTTP rule has neither method nor path");
  }
  if (!IsIdentifier(binding.http_method)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", binding.http_method, "\" is not an HTTP method (path ", path, ")"));
  }
  auto parsed = ParsePathTemplate(path);
  if (!parsed.ok()) return parsed.status();
  binding.path = *std::move(parsed);
  binding.body = rule.body();
  binding.response_body = rule.response_body();
  bindings->push_back(std::move(binding));
  return absl::OkStatus();
}

}  // namespace

std::string PathTemplate::OpenApiPath() const {
  std::string path;
  for (size_t i = 0; i < segments.size();) {
    const auto variable = std::find_if(variables.begin(), variables.end(),
                                       [i](const TemplateVariable& v) { return v.first == i; });
    path.push_back('/');
    if (variable != variables.end()) {
      absl::StrAppend(&path, "{", variable->field_path, "}");
      i += variable->count;
      continue;
    }
    path += segments[i].kind == TemplateSegment::Kind::kLiteral ? segments[i].literal : "*";
    ++i;
  }
  if (path.empty()) path = "/";
  if (!verb.empty()) absl::StrAppend(&path, ":", verb);
  return path;
}

absl::StatusOr<PathTemplate> ParsePathTemplate(std::string_view text) {
  return TemplateParser(text).Parse();
}

absl::StatusOr<std::vector<HttpBinding>> ParseHttpRule(const google::api::HttpRule& rule) {
  std::vector<HttpBinding> bindings;
  if (absl::Status added = AddBinding(rule, &bindings); !added.ok()) return added;
  for (const auto& additional : rule.additional_bindings()) {
    if (additional.additional_bindings_size() > 0) {
      return absl::InvalidArgumentError("additional_bindings may not nest");
    }
    if (absl::Status added = AddBinding(additional, &bindings); !added.ok()) return added;
  }
  return bindings;
}

}  // namespace slipstream::edge
