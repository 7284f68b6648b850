#include "services/worker/rfc_draft/prompt.h"

#include <algorithm>
#include <memory>

#include "absl/strings/ascii.h"
#include "libs/utf8/utf8.h"
#include "services/worker/markdown/cmark_document.h"
#include "services/worker/rfc_draft/words.h"

namespace slipstream::worker::rfc_draft {
namespace {

constexpr size_t kMaxHeadingBytes = 80;

std::string Trim(std::string_view text) {
  return std::string(absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size())));
}

// The inline content of a block as text; line breaks become '\n'.
std::string InlineText(cmark_node* block) {
  std::string out;
  std::string url;
  for (cmark_node* at = cmark_node_first_child(block); at != nullptr;) {
    const cmark_node_type type = cmark_node_get_type(at);
    const char* literal = cmark_node_get_literal(at);
    if (type == CMARK_NODE_TEXT && literal != nullptr) out += literal;
    if (type == CMARK_NODE_CODE && literal != nullptr) {
      out += std::string(kCodeOpen) + literal + std::string(kCodeClose);
    }
    if (type == CMARK_NODE_SOFTBREAK || type == CMARK_NODE_LINEBREAK) out += '\n';
    if (cmark_node* child = cmark_node_first_child(at)) {
      at = child;
      continue;
    }
    // Up and to the right. On leaving a link its address is told, unless the text is the address.
    while (at != nullptr && at != block) {
      const cmark_node_type left = cmark_node_get_type(at);
      if (left == CMARK_NODE_LINK || left == CMARK_NODE_IMAGE) {
        url = cmark_node_get_url(at);
        const bool told =
            out.size() >= url.size() && out.compare(out.size() - url.size(), url.size(), url) == 0;
        if (!url.empty() && !told) out += " (" + url + ")";
      }
      if (cmark_node* next = cmark_node_next(at)) {
        at = next;
        break;
      }
      at = cmark_node_parent(at);
    }
    if (at == block) break;
  }
  return out;
}

std::string SafeLanguage(const char* info) {
  std::string out;
  for (const char* c = info; c != nullptr && *c != '\0' && out.size() < 20; ++c) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(*c)) && *c != '+' && *c != '-') break;
    out += *c;
  }
  return out;
}

bool IsInListItem(cmark_node* node) {
  for (; node != nullptr; node = cmark_node_parent(node)) {
    if (cmark_node_get_type(node) == CMARK_NODE_ITEM) return true;
  }
  return false;
}

bool EndsInAbbreviation(std::string_view text) {
  static constexpr std::string_view kAbbreviations[] = {
      "approx", "cf", "dr",  "e.g", "eg", "etc", "fig", "i.e",  "ie",  "incl", "max",
      "min",    "mr", "mrs", "ms",  "no", "nr",  "p",   "resp", "sec", "st",   "vs"};
  const size_t space = text.find_last_of(" (\n");
  const std::string last = Fold(text.substr(space == std::string_view::npos ? 0 : space + 1));
  return std::find(std::begin(kAbbreviations), std::end(kAbbreviations), last) !=
             std::end(kAbbreviations) ||
         (last.size() == 1 && last[0] >= 'a' && last[0] <= 'z');
}

bool IsClosing(uint32_t c) {
  return c == '"' || c == '\'' || c == ')' || c == ']' || c == 0x201D || c == 0x2019 || c == 0x300D;
}

class Collector {
 public:
  explicit Collector(Prompt* prompt) : prompt_(prompt) {}

  void Heading(std::string text) {
    heading_ = std::move(text);
    while (!heading_.empty() && heading_.back() == ':') heading_.pop_back();
    heading_ = Trim(heading_);
    if (heading_.empty()) return;
    if (prompt_->headings.empty() && prompt_->sentences.empty())
      prompt_->opening_heading = heading_;
    prompt_->headings.push_back(heading_);
  }

  void Paragraph(const std::string& text, bool list_item) {
    // Lines that are a table stay as they are; "Risks:" alone on a line is a heading of plain text.
    std::string running, table;
    for (size_t begin = 0; begin <= text.size();) {
      size_t end = text.find('\n', begin);
      if (end == std::string::npos) end = text.size();
      const std::string line = Trim(std::string_view(text).substr(begin, end - begin));
      begin = end + 1;
      if (line.size() > 1 && line.front() == '|' && line.back() == '|') {
        table += WithoutCodeMarks(line) + "\n";
        continue;
      }
      if (!list_item && line.size() > 1 && line.back() == ':' && line.size() <= kMaxHeadingBytes &&
          running.empty() && IsShortLabel(line)) {
        Heading(line);
        continue;
      }
      if (!running.empty() && !line.empty()) running += ' ';
      running += line;
    }
    Sentences(running, list_item);
    if (!table.empty()) AddVerbatim({"", table});
  }

  // "... in parallel:" before a block of code refers to it by its number.
  void AddVerbatim(Verbatim block) {
    prompt_->verbatim.push_back(std::move(block));
    if (prompt_->sentences.empty() || prompt_->sentences.back().text.back() != ':') return;
    std::string& text = prompt_->sentences.back().text;
    text.back() = ' ';
    text += "(listing " + std::to_string(prompt_->verbatim.size()) + ").";
  }

  void Sentences(std::string_view text, bool list_item) {
    ++block_;
    for (std::string& sentence : SplitSentences(text)) {
      prompt_->sentences.push_back({std::move(sentence), heading_, block_, list_item});
    }
  }

 private:
  static bool IsShortLabel(std::string_view line) {
    return SplitWords(line).size() <= 6 && line.find_first_of(".,?!;") == std::string_view::npos;
  }

  Prompt* prompt_;
  std::string heading_;
  int block_ = 0;
};

}  // namespace

std::string WithoutCodeMarks(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    if (rest.rfind(kCodeOpen, 0) == 0 || rest.rfind(kCodeClose, 0) == 0) {
      at += kCodeOpen.size();
    } else {
      out += text[at++];
    }
  }
  return out;
}

std::vector<std::string> SplitSentences(std::string_view text) {
  std::vector<std::string> out;
  auto emit = [&out](std::string_view piece) {
    for (std::string rest = Trim(piece); !rest.empty();) {
      if (rest.size() <= kMaxSentenceBytes) {
        out.push_back(std::move(rest));
        return;
      }
      size_t cut = rest.rfind(' ', kMaxSentenceBytes);
      if (cut == std::string::npos || cut < kMaxSentenceBytes / 2) {
        cut = utf8::CutAt(rest, kMaxSentenceBytes);
      }
      out.push_back(Trim(std::string_view(rest).substr(0, cut)));
      rest = Trim(std::string_view(rest).substr(cut));
    }
  };
  size_t begin = 0;
  bool in_code = false;
  for (size_t at = 0; at < text.size();) {
    const size_t before = at;
    const uint32_t c = NextCodePoint(text, &at);
    if (c == 0xE000) in_code = true;
    if (c == 0xE001) in_code = false;
    if (in_code) continue;
    const bool wide = c == 0x3002 || c == 0xFF01 || c == 0xFF1F;
    if (!wide && c != '.' && c != '!' && c != '?' && c != 0x2026) continue;
    size_t end = at;
    for (size_t ahead = at; ahead < text.size();) {
      const uint32_t next = NextCodePoint(text, &ahead);
      if (next != '.' && next != '!' && next != '?' && !IsClosing(next)) break;
      end = ahead;
    }
    if (end < text.size() && !wide) {
      if (text[end] != ' ' && text[end] != '\n') continue;
      if (c == '.' && EndsInAbbreviation(text.substr(begin, before - begin))) continue;
      const size_t next = text.find_first_not_of(" \n", end);
      // "approx. five" or "... and so on": the sentence goes on in lower case.
      if (next != std::string_view::npos && text[next] >= 'a' && text[next] <= 'z' && c != '?' &&
          c != '!') {
        continue;
      }
    }
    emit(text.substr(begin, end - begin));
    begin = at = end;
  }
  emit(text.substr(begin));
  return out;
}

absl::StatusOr<Prompt> ParsePrompt(std::string_view text) {
  auto document = CmarkDocument::Parse(text, CmarkDocument::Tables::kOff);
  if (!document.ok()) return document.status();
  Prompt prompt;
  Collector collector(&prompt);
  std::unique_ptr<cmark_iter, decltype(&cmark_iter_free)> iter(cmark_iter_new(document->root()),
                                                               &cmark_iter_free);
  for (cmark_event_type event; (event = cmark_iter_next(iter.get())) != CMARK_EVENT_DONE;) {
    if (event != CMARK_EVENT_ENTER) continue;
    cmark_node* node = cmark_iter_get_node(iter.get());
    switch (cmark_node_get_type(node)) {
      case CMARK_NODE_HEADING:
        collector.Heading(WithoutCodeMarks(InlineText(node)));
        break;
      case CMARK_NODE_PARAGRAPH:
        collector.Paragraph(InlineText(node), IsInListItem(node));
        break;
      case CMARK_NODE_CODE_BLOCK:
        collector.AddVerbatim(
            {SafeLanguage(cmark_node_get_fence_info(node)), cmark_node_get_literal(node)});
        break;
      default:
        break;
    }
  }
  if (prompt.sentences.empty() && prompt.headings.empty() && prompt.verbatim.empty()) {
    // Nothing but markup ("> >", a lone link definition): it is still what was asked for.
    std::string plain(text);
    std::replace(plain.begin(), plain.end(), '\n', ' ');
    collector.Sentences(plain, false);
  }
  for (const Sentence& sentence : prompt.sentences) {
    prompt.word_count += static_cast<int>(SplitWords(sentence.text).size());
  }
  return prompt;
}

}  // namespace slipstream::worker::rfc_draft
