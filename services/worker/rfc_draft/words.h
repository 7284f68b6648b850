// Words of a text in any script: what counts as a word, how it is folded, and which words say
// little.
//
// Thread safety: pure functions.
#ifndef SERVICES_WORKER_RFC_DRAFT_WORDS_H_
#define SERVICES_WORKER_RFC_DRAFT_WORDS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace slipstream::worker::rfc_draft {

// Decodes the code point at `at` and moves `at` past it. Invalid bytes read as U+FFFD, one each.
uint32_t NextCodePoint(std::string_view text, size_t* at);
void AppendCodePoint(uint32_t code_point, std::string* out);

// Valid UTF-8 without control, bidirectional-override and private-use characters; CRLF becomes LF.
std::string CleanText(std::string_view text);

// Lower case of Latin, Greek and Cyrillic letters; other scripts are unchanged.
std::string Fold(std::string_view text);

// At most `max_code_points`, cut at a character (and at a space where one is near), with "…".
std::string Shorten(std::string_view text, size_t max_code_points);

struct Word {
  std::string text;
  std::string folded;
  bool after_break = false;  // punctuation stands between this and the word before
  size_t begin = 0;          // byte offsets in the text
  size_t end = 0;
};
std::vector<Word> SplitWords(std::string_view text);

// " folded words joined by one space ", so that a cue is found as " cue ".
std::string NormalizedForCues(std::string_view text);

// Articles, pronouns, common verbs and adverbs, numbers: words that no key phrase is made of.
bool SaysLittle(std::string_view folded);
// The part of those that may stand inside a topic ("the fate of the export").
bool IsGlue(std::string_view folded);

}  // namespace slipstream::worker::rfc_draft

#endif  // SERVICES_WORKER_RFC_DRAFT_WORDS_H_
