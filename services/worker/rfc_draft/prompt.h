// A prompt taken apart: sentences in reading order, headings, code and tables kept verbatim.
//
// Thread safety: pure functions; a Prompt is a value.
#ifndef SERVICES_WORKER_RFC_DRAFT_PROMPT_H_
#define SERVICES_WORKER_RFC_DRAFT_PROMPT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace slipstream::worker::rfc_draft {

// Marks around code spans in Sentence::text: private-use characters, which CleanText takes out of
// every prompt, so a prompt cannot forge them.
inline constexpr std::string_view kCodeOpen = "\uE000";
inline constexpr std::string_view kCodeClose = "\uE001";

inline constexpr size_t kMaxSentenceBytes = 1200;  // longer ones are cut into pieces at a space

struct Sentence {
  std::string text;     // without Markdown, except the marks around code spans
  std::string heading;  // the prompt's heading that it stands under; may be empty
  int block = 0;        // sentences of one paragraph or list item share a block
  bool list_item = false;
};

struct Verbatim {
  std::string language;  // info string of the fence, letters and digits only
  std::string text;
};

struct Prompt {
  std::vector<Sentence> sentences;
  std::string opening_heading;  // the heading that the prompt begins with; may be empty
  std::vector<std::string> headings;
  std::vector<Verbatim> verbatim;
  int word_count = 0;
};

absl::StatusOr<Prompt> ParsePrompt(std::string_view text);

// Splits running text at the ends of sentences, in Latin and CJK punctuation.
std::vector<std::string> SplitSentences(std::string_view text);

// The text without the marks around code spans.
std::string WithoutCodeMarks(std::string_view text);

}  // namespace slipstream::worker::rfc_draft

#endif  // SERVICES_WORKER_RFC_DRAFT_PROMPT_H_
