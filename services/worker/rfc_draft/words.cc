#include "services/worker/rfc_draft/words.h"

#include <algorithm>
#include <string>

#include "libs/utf8/utf8.h"
#include "services/worker/rfc_draft/word_lists.h"

namespace slipstream::worker::rfc_draft {
namespace {

bool InRange(uint32_t c, uint32_t low, uint32_t high) { return c >= low && c <= high; }

bool IsWordCodePoint(uint32_t c) {
  if (c < 0x80) {
    return InRange(c, '0', '9') || InRange(c, 'a', 'z') || InRange(c, 'A', 'Z') || c == '_';
  }
  if (InRange(c, 0x80, 0xBF)) return c == 0xAA || c == 0xB5 || c == 0xBA;
  if (c == 0xD7 || c == 0xF7) return false;
  return !InRange(c, 0x2000, 0x2BFF) && !InRange(c, 0x3000, 0x303F) &&
         !InRange(c, 0xFE00, 0xFE6F) && !InRange(c, 0xFF00, 0xFF0F) &&
         !InRange(c, 0xFF1A, 0xFF20) && !InRange(c, 0xFF3B, 0xFF40) &&
         !InRange(c, 0xFF5B, 0xFF65) && !InRange(c, 0xE000, 0xF8FF) &&
         !InRange(c, 0xFFF0, 0xFFFF) && !InRange(c, 0x1F000, 0x1FAFF);
}

// Joins two word characters into one word: well-known, O'Neil, task_queue.v1, and/or.
bool IsJoiner(uint32_t c) {
  return c == '-' || c == '\'' || c == 0x2019 || c == '.' || c == '/' || c == '+' || c == '&' ||
         c == 0x2011;
}

uint32_t FoldCodePoint(uint32_t c) {
  if (InRange(c, 'A', 'Z')) return c + 0x20;
  if (InRange(c, 0xC0, 0xDE) && c != 0xD7) return c + 0x20;
  if (InRange(c, 0x100, 0x137) || InRange(c, 0x14A, 0x177)) return c | 1;
  if (InRange(c, 0x391, 0x3A9)) return c + 0x20;
  if (InRange(c, 0x410, 0x42F)) return c + 0x20;
  if (InRange(c, 0x400, 0x40F)) return c + 0x50;
  return c;
}

template <size_t N>
bool InSorted(const std::string_view (&list)[N], std::string_view word) {
  return std::binary_search(std::begin(list), std::end(list), word);
}

bool IsCommonVerb(std::string_view w) {
  if (InSorted(kVerbs, w)) return true;
  auto stem_is_verb = [](std::string_view stem) {
    if (InSorted(kVerbs, stem)) return true;
    const std::string with_e = std::string(stem) + "e";
    if (InSorted(kVerbs, with_e)) return true;
    const size_t n = stem.size();  // stopped -> stop
    return n > 3 && stem[n - 1] == stem[n - 2] && InSorted(kVerbs, stem.substr(0, n - 1));
  };
  for (std::string_view ending : {"ing", "ed", "es", "s", "d"}) {
    if (w.size() > ending.size() + 2 && w.substr(w.size() - ending.size()) == ending &&
        stem_is_verb(w.substr(0, w.size() - ending.size()))) {
      return true;
    }
  }
  return false;
}

}  // namespace

uint32_t NextCodePoint(std::string_view text, size_t* at) {
  const utf8::Sequence sequence = utf8::First(text.substr(*at));
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[*at + i]); };
  if (!sequence.valid) {
    ++*at;
    return 0xFFFD;
  }
  // The lead byte's own bits are behind one more mark than there are bytes.
  uint32_t c = sequence.bytes == 1 ? byte(0) : byte(0) & (0x7F >> sequence.bytes);
  for (size_t i = 1; i < sequence.bytes; ++i) c = c << 6 | (byte(i) & 0x3F);
  *at += sequence.bytes;
  return c;
}

void AppendCodePoint(uint32_t c, std::string* out) {
  if (c < 0x80) {
    *out += static_cast<char>(c);
  } else if (c < 0x800) {
    *out += static_cast<char>(0xC0 | c >> 6);
    *out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    *out += static_cast<char>(0xE0 | c >> 12);
    *out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    *out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    *out += static_cast<char>(0xF0 | c >> 18);
    *out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    *out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    *out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

std::string CleanText(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const uint32_t c = NextCodePoint(text, &at);
    if (c == '\r') {
      if (at >= text.size() || text[at] != '\n') out += '\n';
      continue;
    }
    const bool control = (c < 0x20 && c != '\n' && c != '\t') || InRange(c, 0x7F, 0x9F);
    const bool direction = InRange(c, 0x202A, 0x202E) || InRange(c, 0x2066, 0x2069) ||
                           InRange(c, 0x200E, 0x200F) || c == 0xFEFF;
    const bool private_use = InRange(c, 0xE000, 0xF8FF) || c >= 0xF0000;
    if (control || direction || private_use) continue;
    if (c == 0x2028 || c == 0x2029) {
      out += '\n';
      continue;
    }
    AppendCodePoint(c, &out);
  }
  return out;
}

std::string Fold(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();)
    AppendCodePoint(FoldCodePoint(NextCodePoint(text, &at)), &out);
  return out;
}

std::string Shorten(std::string_view text, size_t max_code_points) {
  size_t count = 0, last_space = 0, end = 0;
  for (size_t at = 0; at < text.size(); ++count) {
    if (count == max_code_points) {
      const bool space_is_near = last_space > end * 2 / 3;
      return std::string(text.substr(0, space_is_near ? last_space : end)) + "…";
    }
    if (text[at] == ' ') last_space = at;
    NextCodePoint(text, &at);
    end = at;
  }
  return std::string(text);
}

std::vector<Word> SplitWords(std::string_view text) {
  std::vector<Word> words;
  bool broken = false;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const uint32_t first = NextCodePoint(text, &at);
    if (!IsWordCodePoint(first)) {
      if (first != ' ' && first != '\n' && first != '\t') broken = true;
      continue;
    }
    size_t end = at;
    while (at < text.size()) {
      const uint32_t c = NextCodePoint(text, &at);
      if (IsWordCodePoint(c)) {
        end = at;
        continue;
      }
      size_t ahead = at;
      if (!IsJoiner(c) || at >= text.size() || !IsWordCodePoint(NextCodePoint(text, &ahead))) break;
    }
    at = end;
    Word word;
    word.text = std::string(text.substr(begin, end - begin));
    word.folded = Fold(word.text);
    word.after_break = broken;
    word.begin = begin;
    word.end = end;
    words.push_back(std::move(word));
    broken = false;
  }
  return words;
}

std::string NormalizedForCues(std::string_view text) {
  std::string out = " ";
  for (const Word& word : SplitWords(text)) {
    out += word.folded;
    out += ' ';
  }
  return out;
}

bool SaysLittle(std::string_view w) {
  if (w.empty() || (w[0] >= '0' && w[0] <= '9')) return true;
  if (w.size() == 1 && static_cast<unsigned char>(w[0]) < 0x80) return true;
  if (InSorted(kStopWords, w)) return true;
  if (w.size() > 5 && w.substr(w.size() - 2) == "ly") return true;
  if (w.find('\'') != std::string_view::npos) {
    const std::string_view stem = w.substr(0, w.find('\''));
    if (w.substr(stem.size()) != "'s" || InSorted(kStopWords, stem)) return true;
  }
  return IsCommonVerb(w);
}

bool IsGlue(std::string_view w) { return InSorted(kGlueWords, w); }

}  // namespace slipstream::worker::rfc_draft
