#include "services/worker/rfc_draft/markdown_text.h"

#include <algorithm>

#include "services/worker/rfc_draft/prompt.h"

namespace slipstream::worker::rfc_draft {
namespace {

size_t LongestRun(std::string_view text, char of) {
  size_t longest = 0, run = 0;
  for (char c : text) longest = std::max(longest, run = c == of ? run + 1 : 0);
  return longest;
}

bool IsWordByte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::string CodeSpan(std::string_view code) {
  std::string text;
  for (char c : code) {
    text += c == '\n' ? ' ' : c;
  }
  const std::string ticks(LongestRun(text, '`') + 1, '`');
  const bool pad = text.empty() || text.front() == '`' || text.back() == '`' || text.front() == ' ';
  return ticks + (pad ? " " : "") + text + (pad ? " " : "") + ticks;
}

void EscapePlain(std::string_view text, std::string* out) {
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    switch (c) {
      case '<':
        *out += "&lt;";
        break;
      case '>':
        *out += "&gt;";
        break;
      case '&':
        *out += "&amp;";
        break;
      case '\\':
      case '`':
      case '*':
      case '[':
      case ']':
      case '|':
      case '~':
        *out += '\\';
        *out += c;
        break;
      case '_': {
        const bool inside =
            i > 0 && i + 1 < text.size() && IsWordByte(text[i - 1]) && IsWordByte(text[i + 1]);
        if (!inside) *out += '\\';
        *out += c;
        break;
      }
      case '\n':
      case '\t':
        *out += ' ';
        break;
      default:
        *out += c;
    }
  }
}

// What begins a block only at the start of a line: headings, lists, quotes, rules, fences.
void EscapeLineStart(std::string* line) {
  if (line->empty()) return;
  const char first = line->front();
  const char second = line->size() > 1 ? (*line)[1] : ' ';
  const bool bullet = (first == '-' || first == '+') && (second == ' ' || second == first);
  if (first == '#' || first == '=' || bullet) {
    line->insert(0, "\\");
    return;
  }
  size_t digits = 0;
  while (digits < line->size() && (*line)[digits] >= '0' && (*line)[digits] <= '9') ++digits;
  if (digits > 0 && digits < line->size() && ((*line)[digits] == '.' || (*line)[digits] == ')') &&
      (digits + 1 == line->size() || (*line)[digits + 1] == ' ')) {
    line->insert(digits, "\\");
  }
}

}  // namespace

std::string EscapeInline(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t open = text.find(kCodeOpen);
    EscapePlain(WithoutCodeMarks(text.substr(0, open)), &out);
    if (open == std::string_view::npos) break;
    text.remove_prefix(open + kCodeOpen.size());
    const size_t close = text.find(kCodeClose);
    const std::string_view code = text.substr(0, close);
    // A code span with a pipe cannot be written the same way inside and outside a table.
    if (code.find('|') != std::string_view::npos) {
      EscapePlain(code, &out);
    } else {
      out += CodeSpan(code);
    }
    if (close == std::string_view::npos) break;
    text.remove_prefix(close + kCodeClose.size());
  }
  EscapeLineStart(&out);
  return out;
}

std::string FencedBlock(std::string_view language, std::string_view text) {
  const std::string fence(std::max<size_t>(3, LongestRun(text, '`') + 1), '`');
  std::string out = fence + std::string(language) + "\n" + std::string(text);
  if (out.back() != '\n') out += '\n';
  return out + fence + "\n";
}

std::string YamlQuoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' || c == '\t' ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace slipstream::worker::rfc_draft
