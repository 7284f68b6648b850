// What a prompt is about: its subject and its key phrases, by frequency and position.
//
// The score is in the manner of RAKE (Rose et al. 2010): candidates are runs of telling words
// between words that say little; here weighted by where they stand. Thread safety: pure functions.
#ifndef SERVICES_WORKER_RFC_DRAFT_SUBJECT_H_
#define SERVICES_WORKER_RFC_DRAFT_SUBJECT_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "services/worker/rfc_draft/prompt.h"

namespace slipstream::worker::rfc_draft {

inline constexpr size_t kMaxKeyPhrases = 8;

struct Topic {
  std::string subject;                     // never empty for a prompt with a visible character
  std::vector<std::string> key_phrases;    // most telling first
  std::map<std::string, int> word_counts;  // folded telling word -> times
};

Topic FindTopic(const Prompt& prompt, std::string_view title);

// True for a sentence that only says what to write ("Write an RFC about X.").
bool IsInstruction(std::string_view sentence);

}  // namespace slipstream::worker::rfc_draft

#endif  // SERVICES_WORKER_RFC_DRAFT_SUBJECT_H_
