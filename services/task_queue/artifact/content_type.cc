#include "services/task_queue/artifact/content_type.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::artifact {

namespace {

constexpr std::array<std::string_view, 7> kTextTypes = {
    "text/plain",       "text/markdown",        "text/csv",       "text/html",
    "application/json", "application/x-ndjson", "text/x-markdown"};

// The kind that a signature gives away, or "".
std::string_view Signature(std::string_view head) {
  if (head.starts_with("%PDF-")) return "application/pdf";
  if (head.starts_with("\x89PNG\r\n\x1a\n")) return "image/png";
  if (head.starts_with("\xff\xd8\xff")) return "image/jpeg";
  if (head.starts_with("GIF87a") || head.starts_with("GIF89a")) return "image/gif";
  if (head.starts_with("RIFF") && head.size() >= 12 && head.substr(8, 4) == "WEBP") {
    return "image/webp";
  }
  if (head.starts_with(std::string_view("PK\x03\x04", 4))) return "application/zip";
  if (head.starts_with("\x1f\x8b")) return "application/gzip";
  return "";
}

bool IsText(std::string_view head) {
  return std::none_of(head.begin(), head.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != '\x1b';
  });
}

std::string WithoutParameters(std::string_view declared) {
  std::string type(declared.substr(0, declared.find(';')));
  absl::StripAsciiWhitespace(&type);
  absl::AsciiStrToLower(&type);
  return type;
}

}  // namespace

absl::StatusOr<std::string> ContentTypeOf(std::string_view declared, std::string_view head) {
  const std::string type = WithoutParameters(declared);
  const std::string_view found = Signature(head);
  const bool undeclared = type.empty() || type == "application/octet-stream" ||
                          type == "application/x-www-form-urlencoded";
  if (!found.empty()) {
    if (undeclared || type == found) return std::string(found);
    return status::FieldError(
        "content_type",
        absl::StrCat("is \"", status::BoundedText(type, 64), "\", but the bytes are ",
                     absl::string_view(found.data(), found.size())));
  }
  const bool text_type = std::find(kTextTypes.begin(), kTextTypes.end(), type) != kTextTypes.end();
  if (!undeclared && !text_type) {
    return status::FieldError(
        "content_type", absl::StrCat("\"", status::BoundedText(type, 64),
                                     "\" is not accepted, or not what the bytes are; accepted are "
                                     "PDF, PNG, JPEG, GIF, WebP, ZIP, gzip, JSON and text"));
  }
  if (!IsText(head)) {
    return status::FieldError("content_type",
                              "the bytes are neither text nor a kind of file that is accepted: "
                              "PDF, PNG, JPEG, GIF, WebP, ZIP, gzip, JSON and text");
  }
  return undeclared ? std::string("text/plain") : type;
}

}  // namespace slipstream::artifact
