#include "services/worker/rfc_draft/subject.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "services/worker/rfc_draft/roles.h"
#include "services/worker/rfc_draft/words.h"

namespace slipstream::worker::rfc_draft {
namespace {

constexpr size_t kMaxPhraseWords = 3;
constexpr size_t kMaxSubjectWords = 7;
constexpr size_t kMaxSubjectCodePoints = 64;

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool IsDocumentNoun(std::string_view w) {
  return IsOneOf(w, {"rfc", "adr", "proposal", "document", "doc", "plan", "spec", "specification",
                     "record", "memo", "outline", "draft"});
}

// Prefixes such as "RFC:" or "ADR 12 -" say the kind of document, not its subject.
std::string WithoutKind(std::string_view text) {
  const std::vector<Word> words = SplitWords(text);
  size_t at = 0;
  while (at < words.size() &&
         (IsDocumentNoun(words[at].folded) ||
          (at > 0 && words[at].folded.find_first_not_of("0123456789") == std::string::npos))) {
    ++at;
  }
  if (at == 0 || at >= words.size() || !words[at].after_break) return std::string(text);
  return std::string(text.substr(words[at].begin));
}

// The words from `from` on as they stand in `text`, to the end of the clause, without a tail that
// says little.
std::string ClauseFrom(std::string_view text, const std::vector<Word>& words, size_t from) {
  while (from < words.size() && SaysLittle(words[from].folded) && !words[from].after_break &&
         IsGlue(words[from].folded)) {
    ++from;
  }
  size_t end = from;
  for (size_t i = from; i < words.size() && i < from + kMaxSubjectWords; ++i) {
    if (i > from && words[i].after_break) break;
    if (i > from && IsOneOf(words[i].folded, {"that", "which", "who", "so", "because", "when",
                                              "where", "if", "while", "but", "is", "are"})) {
      break;
    }
    end = i + 1;
  }
  while (end > from && IsGlue(words[end - 1].folded)) --end;
  if (end == from) return "";
  return Shorten(text.substr(words[from].begin, words[end - 1].end - words[from].begin),
                 kMaxSubjectCodePoints);
}

// "Write an RFC for X", "a proposal to do X": X.
std::string AskedTopic(const Prompt& prompt) {
  for (size_t i = 0; i < std::min<size_t>(prompt.sentences.size(), 2); ++i) {
    const std::string text = WithoutCodeMarks(prompt.sentences[i].text);
    const std::vector<Word> words = SplitWords(text);
    for (size_t w = 0; w + 1 < words.size() && w < 12; ++w) {
      if (IsDocumentNoun(words[w].folded) &&
          IsOneOf(words[w + 1].folded,
                  {"for", "about", "on", "to", "describing", "covering", "proposing"})) {
        const std::string clause = ClauseFrom(text, words, w + 2);
        if (!clause.empty()) return clause;
      }
    }
  }
  return "";
}

// "Background" or "Risks" names a part of any document.
bool IsGenericHeading(std::string_view heading) {
  const std::vector<Word> words = SplitWords(heading);
  return words.size() <= 1 ? words.empty() || RoleOf("", heading) != Role::kContext ||
                                 IsOneOf(words[0].folded, {"background", "context", "introduction",
                                                           "overview", "summary", "motivation"})
                           : false;
}

struct Candidate {
  std::string shown;  // as first written
  std::string folded;
  size_t word_count = 0;
  int times = 0;
  size_t order = 0;  // of first occurrence
  double place = 1;  // the best place it stands in
  bool whole_run = false;
  double score = 0;
};

class Candidates {
 public:
  void AddText(std::string_view text, double place) {
    std::vector<Word> run;
    for (Word& word : SplitWords(text)) {
      if (word.after_break) Flush(&run, place);
      if (SaysLittle(word.folded)) {
        Flush(&run, place);
      } else {
        ++word_counts_[Key(word.folded)];
        run.push_back(std::move(word));
      }
    }
    Flush(&run, place);
  }

  // Best first; ties in the order of the prompt.
  std::vector<Candidate> Ranked() {
    std::vector<Candidate> out;
    for (auto& [folded, candidate] : by_text_) {
      double words = 0;
      for (const Word& word : SplitWords(candidate.folded)) words += word_counts_[word.folded];
      // A phrase that comes again is a term of the trade; a word that comes again may be chance.
      const double again = candidate.word_count > 1 ? 3.0 * (candidate.times - 1) : 0;
      candidate.score = (words / std::pow(candidate.word_count, 0.35) + again) * candidate.place *
                        (candidate.whole_run ? 1.15 : 1.0);
      out.push_back(candidate);
    }
    std::sort(out.begin(), out.end(), [](const Candidate& a, const Candidate& b) {
      return a.score != b.score ? a.score > b.score : a.order < b.order;
    });
    return out;
  }

  const std::map<std::string, int>& word_counts() const { return word_counts_; }

 private:
  // "exports" and "export" are one word; "process" and "status" keep their s.
  static std::string Key(std::string word) {
    if (word.size() > 3 && word.back() == 's' && word[word.size() - 2] != 's' &&
        word[word.size() - 2] != 'u' && word[word.size() - 2] != 'i') {
      word.pop_back();
    }
    return word;
  }

  void Flush(std::vector<Word>* run, double place) {
    for (size_t begin = 0; begin < run->size(); ++begin) {
      std::string shown, folded;
      for (size_t n = 0; n < kMaxPhraseWords && begin + n < run->size(); ++n) {
        const Word& word = (*run)[begin + n];
        shown += (n ? " " : "") + word.text;
        folded += (n ? " " : "") + Key(word.folded);
        Candidate& candidate = by_text_[folded];
        if (candidate.times++ == 0) {
          candidate.shown = shown;
          candidate.folded = folded;
          candidate.word_count = n + 1;
          candidate.order = by_text_.size();
        }
        candidate.place = std::max(candidate.place, place);
        if (begin == 0 && n + 1 == run->size()) candidate.whole_run = true;
      }
    }
    run->clear();
  }

  std::map<std::string, Candidate> by_text_;
  std::map<std::string, int> word_counts_;
};

// Leaves out what a better phrase says already ("invoice" after "invoice export").
std::vector<std::string> Distinct(const std::vector<Candidate>& ranked) {
  std::vector<std::string> shown, taken;
  for (const Candidate& candidate : ranked) {
    if (shown.size() == kMaxKeyPhrases) break;
    const bool covered = std::any_of(taken.begin(), taken.end(), [&](const std::string& other) {
      return (" " + other + " ").find(" " + candidate.folded + " ") != std::string::npos ||
             (" " + candidate.folded + " ").find(" " + other + " ") != std::string::npos;
    });
    const bool by_chance = candidate.word_count == 1 && candidate.times == 1 && !shown.empty();
    if (covered || by_chance) continue;
    taken.push_back(candidate.folded);
    shown.push_back(Shorten(candidate.shown, kMaxSubjectCodePoints));
  }
  return shown;
}

std::string FirstVisible(const Prompt& prompt) {
  std::string text;
  if (!prompt.headings.empty()) text = prompt.headings[0];
  if (text.empty() && !prompt.sentences.empty()) {
    text = WithoutCodeMarks(prompt.sentences[0].text);
  }
  if (text.empty() && !prompt.verbatim.empty()) {
    text = prompt.verbatim[0].text.substr(0, prompt.verbatim[0].text.find('\n'));
  }
  return Shorten(text, 40);
}

}  // namespace

bool IsInstruction(std::string_view sentence) {
  const std::vector<Word> words = SplitWords(sentence);
  if (words.empty()) return false;
  const size_t first = words[0].folded == "please" ? 1 : 0;
  if (first >= words.size() ||
      !IsOneOf(words[first].folded, {"write", "draft", "create", "prepare", "produce", "generate",
                                     "compose", "give", "make"})) {
    return false;
  }
  for (size_t i = first + 1; i < words.size() && i < first + 8; ++i) {
    if (IsDocumentNoun(words[i].folded)) return true;
  }
  return false;
}

Topic FindTopic(const Prompt& prompt, std::string_view title) {
  Candidates candidates;
  if (!title.empty()) candidates.AddText(title, 2.0);
  for (const std::string& heading : prompt.headings) candidates.AddText(heading, 1.3);
  for (size_t i = 0; i < prompt.sentences.size(); ++i) {
    const double place = i == 0 ? 1.8 : i < 3 ? 1.2 : 1.0;
    candidates.AddText(WithoutCodeMarks(prompt.sentences[i].text), place);
  }
  if (prompt.sentences.empty()) {
    for (const Verbatim& block : prompt.verbatim) candidates.AddText(block.text, 1.0);
  }
  Topic topic;
  topic.key_phrases = Distinct(candidates.Ranked());
  topic.word_counts = candidates.word_counts();

  const std::string bare_title = WithoutKind(title);
  if (!bare_title.empty() && SplitWords(bare_title).size() <= kMaxSubjectWords) {
    topic.subject = Shorten(bare_title, kMaxSubjectCodePoints);
  }
  if (topic.subject.empty() && title.empty()) {
    topic.subject = Shorten(WithoutKind(prompt.opening_heading), kMaxSubjectCodePoints);
    if (IsGenericHeading(topic.subject)) topic.subject.clear();
  }
  if (topic.subject.empty() && title.empty()) topic.subject = AskedTopic(prompt);
  if (topic.subject.empty() && !topic.key_phrases.empty()) topic.subject = topic.key_phrases[0];
  if (topic.subject.empty()) topic.subject = FirstVisible(prompt);
  return topic;
}

}  // namespace slipstream::worker::rfc_draft
