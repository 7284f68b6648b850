#include "services/worker/handlers/args_reader.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/utf8/utf8.h"

namespace slipstream::worker {
namespace {

constexpr size_t kMaxFileNameBytes = 255;
constexpr size_t kMaxSlugBytes = 80;

}  // namespace

bool ArgsReader::Has(const std::string& field) const {
  const auto found = args_.fields().find(field);
  return found != args_.fields().end() &&
         found->second.kind_case() != google::protobuf::Value::kNullValue;
}

std::string ArgsReader::String(const std::string& field, size_t max_bytes) {
  known_.insert(field);
  if (!Has(field)) return "";
  const google::protobuf::Value& value = args_.fields().at(field);
  if (value.kind_case() != google::protobuf::Value::kStringValue) {
    Complain(field, "must be a string");
    return "";
  }
  if (value.string_value().size() > max_bytes) {
    Complain(field, absl::StrCat("is longer than ", max_bytes, " bytes"));
    return "";
  }
  return value.string_value();
}

void ArgsReader::Complain(const std::string& field, const std::string& message) {
  violations_.push_back({absl::StrCat("args.", field), message});
}

absl::Status ArgsReader::Finish() {
  for (const auto& [name, value] : args_.fields()) {
    if (known_.count(name) == 0) {
      Complain(name, absl::StrCat("is unknown; known are ", absl::StrJoin(known_, ", ")));
    }
  }
  return violations_.empty() ? absl::OkStatus() : status::FieldErrors(violations_);
}

std::string FileNameFor(const std::string& title, const std::string& extension) {
  std::string slug;
  for (const char c : title) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || byte >= 0x80) {
      slug += absl::ascii_tolower(byte);
    } else if (!slug.empty() && slug.back() != '-') {
      slug += '-';
    }
  }
  if (slug.size() > kMaxSlugBytes) {
    slug.resize(utf8::CutAt(slug, kMaxSlugBytes));
  }
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  return (slug.empty() ? "document" : slug) + extension;
}

std::string FileNameProblem(const std::string& name) {
  if (name.size() > kMaxFileNameBytes) return "is longer than 255 bytes";
  if (name == "." || name == "..") return "is not a file name";
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '/' || c == '\\' || byte < 0x20 || byte == 0x7F) {
      return "must be a name without folders and control characters";
    }
  }
  return "";
}

}  // namespace slipstream::worker
