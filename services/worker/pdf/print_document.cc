#include "services/worker/pdf/print_document.h"

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/status/status.h"
#include "services/worker/markdown/cmark_document.h"
#include "services/worker/pdf/print_style.h"

namespace slipstream::worker::pdf {
namespace {

constexpr int kMaxFrontMatterLines = 40;
constexpr size_t kMaxMetaBytes = 1000;

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

std::string Unquoted(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::string(value);
  std::string out;
  for (size_t i = 1; i + 1 < value.size(); ++i) {
    if (value[i] == '\\' && i + 2 < value.size()) ++i;
    out += value[i];
  }
  return out;
}

// Takes `key: value` lines between two lines of --- off the top of the text.
std::map<std::string, std::string> TakeFrontMatter(std::string_view* text) {
  if (text->rfind("---\n", 0) != 0) return {};
  std::map<std::string, std::string> fields;
  size_t at = 4;
  for (int line_count = 0; line_count < kMaxFrontMatterLines; ++line_count) {
    const size_t end = text->find('\n', at);
    if (end == std::string_view::npos) return {};
    const std::string_view line = text->substr(at, end - at);
    at = end + 1;
    if (line == "---") {
      text->remove_prefix(at);
      return fields;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return {};
    const absl::string_view value = absl::StripAsciiWhitespace(Absl(line.substr(colon + 1)));
    fields[std::string(line.substr(0, colon))] =
        Unquoted(std::string_view(value.data(), value.size())).substr(0, kMaxMetaBytes);
  }
  return {};
}

// A CSS string literal: punctuation as hexadecimal escapes (a space ends each), so nothing ends it.
std::string CssString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == ' ' || c == '.' ||
        static_cast<unsigned char>(c) >= 0x80) {
      out += c;
    } else {
      absl::StrAppendFormat(&out, "\\%06x ", static_cast<unsigned char>(c));
    }
  }
  return out + "\"";
}

std::string StyleFor(const PrintMeta& meta, std::string_view title) {
  return absl::StrCat(Absl(kPrintStyle), "@page { @bottom-left { content: ",
                      CssString(meta.task_id.empty() ? "" : "Task " + meta.task_id),
                      "; } @top-left { content: ", CssString(title.substr(0, 300)), "; } }\n");
}

absl::Status CheckSize(std::string_view text, absl::string_view field) {
  if (absl::StripAsciiWhitespace(Absl(text)).empty()) {
    return status::FieldError(field, "is empty; there is nothing to print");
  }
  if (text.size() > kMaxInputBytes) {
    return status::FieldError(field, "is longer than 1 MiB; split the document");
  }
  return absl::OkStatus();
}

std::string MetaTag(absl::string_view name, std::string_view content) {
  if (content.empty()) return "";
  return absl::StrCat("<meta name=\"", name, "\" content=\"", HtmlEscape(content), "\">\n");
}

}  // namespace

std::string HtmlEscape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

absl::StatusOr<PrintDocument> FromMarkdown(std::string_view markdown, const PrintMeta& meta) {
  if (absl::Status size = CheckSize(markdown, "markdown"); !size.ok()) return size;
  std::map<std::string, std::string> fields = TakeFrontMatter(&markdown);
  auto document = CmarkDocument::Parse(markdown, CmarkDocument::Tables::kOn);
  if (!document.ok()) return document.status();

  PrintDocument out;
  const std::string own_title = document->TakeLeadingTitle();
  out.title = !meta.title.empty() ? meta.title : !own_title.empty() ? own_title : fields["title"];
  if (out.title.empty()) out.title = "Document";
  // The draft's heading is printed once: under the title only when it says something else.
  const std::string second =
      own_title.empty() || own_title == out.title
          ? ""
          : absl::StrCat("<p class=\"subtitle\">", HtmlEscape(own_title), "</p>\n");
  const std::string date =
      meta.date.empty() ? "" : absl::StrCat("<p class=\"date\">", HtmlEscape(meta.date), "</p>\n");
  out.html = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>",
      HtmlEscape(out.title), "</title>\n", MetaTag("description", fields["note"]),
      MetaTag("keywords", fields["keywords"]), MetaTag("generator", "Slipstream"),
      "</head>\n<body>\n<header class=\"title-block\">\n<h1>", HtmlEscape(out.title), "</h1>\n",
      second, date, "</header>\n", document->ToHtml(), "</body>\n</html>\n");
  out.css = StyleFor(meta, out.title);
  return out;
}

absl::StatusOr<PrintDocument> FromHtml(std::string_view html, const PrintMeta& meta) {
  if (absl::Status size = CheckSize(html, "html"); !size.ok()) return size;
  PrintDocument out;
  out.html = std::string(html);
  out.title = meta.title.empty() ? "Document" : meta.title;
  out.css = StyleFor(meta, meta.title);
  return out;
}

}  // namespace slipstream::worker::pdf
