#include "services/worker/rfc_draft/composer.h"

#include <openssl/evp.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "services/worker/rfc_draft/figures.h"
#include "services/worker/rfc_draft/markdown_text.h"
#include "services/worker/rfc_draft/offline_drafter.h"
#include "services/worker/rfc_draft/words.h"

namespace slipstream::worker::rfc_draft {
namespace {

constexpr size_t kFigureContextCodePoints = 200;

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

std::string Sha256Hex(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
  return absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), size));
}

std::string Capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 32);
  return text;
}

}  // namespace

Composer::Composer(const DraftRequest& request, const Template& shape, const Prompt& prompt,
                   const Topic& topic, const std::string& title)
    : request_(request), shape_(shape), prompt_(prompt), topic_(topic), title_(title) {
  for (const Sentence& sentence : prompt.sentences) {
    sorted_.push_back({&sentence, RoleOf(sentence.text, sentence.heading),
                       IsInstruction(WithoutCodeMarks(sentence.text))});
  }
}

std::string Composer::WithSubject(std::string_view text) const {
  return absl::StrReplaceAll(Absl(text), {{"{subject}", topic_.subject}});
}

std::string Composer::AddSection(const Section& section) {
  std::string body = Body(section);
  if (body.empty()) {
    if (section.missing.empty()) return "";
    missing_.push_back(WithSubject(section.missing));
    body = absl::StrCat("*Open: the prompt does not say ", EscapeInline(missing_.back()), ".*\n");
  }
  const std::string heading = WithSubject(section.heading);
  draft_.section_headings.push_back(heading);
  absl::StrAppend(&body_, "## ", EscapeInline(heading), "\n\n", body, "\n");
  return heading;
}

std::string Composer::Body(const Section& section) {
  switch (section.fill) {
    case Fill::kSummary:
      return SummaryBody();
    case Fill::kSentences:
      return SentencesBody(section.roles);
    case Fill::kRequirements:
      return RequirementsBody(section.roles);
    case Fill::kFigures:
      return FiguresBody();
    case Fill::kVerbatim:
      return VerbatimBody();
    case Fill::kQuestions:
      return QuestionsBody(section.roles);
  }
  return "";
}

// One sentence each on what is wrong, what is wanted and what is proposed: of each kind the one
// that holds the most telling words for its length. The prompt's first sentence counts more.
std::string Composer::SummaryBody() const {
  static constexpr uint32_t kKinds[] = {Bit(Role::kContext) | Bit(Role::kProblem), Bit(Role::kGoal),
                                        Bit(Role::kProposal)};
  if (sorted_.size() < 4) return "";  // the sections below say it all
  std::vector<size_t> chosen;
  for (const uint32_t kind : kKinds) {
    double best_score = -1;
    size_t best = 0;
    for (size_t i = 0; i < sorted_.size(); ++i) {
      if (sorted_[i].instruction || (kind & Bit(sorted_[i].role)) == 0) continue;
      double score = 0;
      const std::vector<Word> words = SplitWords(WithoutCodeMarks(sorted_[i].sentence->text));
      for (const Word& word : words) {
        const auto found = topic_.word_counts.find(word.folded);
        if (found != topic_.word_counts.end()) score += std::min(found->second, 8);
      }
      score /= 6.0 + static_cast<double>(words.size());
      if (i == 0) score *= 2;
      if (score > best_score) {
        best_score = score;
        best = i;
      }
    }
    if (best_score >= 0) chosen.push_back(best);
  }
  if (chosen.size() < 2) return "";
  std::string out;
  for (const size_t index : chosen) {
    std::string text = EscapeInline(sorted_[index].sentence->text);
    absl::StrAppend(&out, out.empty() ? "" : " ", text);
  }
  return out + "\n";
}

std::string Composer::SentencesBody(uint32_t roles) const {
  std::string out;
  int block = -1;
  bool bullet = false;
  for (const Sorted& one : sorted_) {
    if (one.instruction || (roles & Bit(one.role)) == 0) continue;
    const std::string text = EscapeInline(one.sentence->text);
    if (one.sentence->block == block) {
      absl::StrAppend(&out, " ", text);
      continue;
    }
    const bool item = one.sentence->list_item;
    if (block >= 0) absl::StrAppend(&out, bullet && item ? "\n" : "\n\n");
    absl::StrAppend(&out, item ? "- " : "", text);
    block = one.sentence->block;
    bullet = item;
  }
  return out.empty() ? out : out + "\n";
}

std::string Composer::RequirementsBody(uint32_t roles) {
  std::string rows;
  int number = 0;
  for (const Sorted& one : sorted_) {
    if (one.instruction || (roles & Bit(one.role)) == 0) continue;
    const std::string plain = WithoutCodeMarks(one.sentence->text);
    const std::string_view level = RequirementLevel(plain);
    absl::StrAppend(&rows, "| R", ++number, " | ", level.empty() ? "MUST" : Absl(level), " | ",
                    EscapeInline(one.sentence->text), " |\n");
    const std::string_view vague = VagueWord(plain);
    if (!vague.empty() && vague_.size() < kMaxVagueQuestions) {
      vague_.push_back(absl::StrCat("R", number, " says \"", Absl(vague),
                                    "\" without a figure: how much is enough?"));
    }
  }
  if (rows.empty()) return rows;
  return absl::StrCat("| No. | Level | Requirement |\n| --- | --- | --- |\n", rows);
}

std::string Composer::FiguresBody() const {
  std::string rows;
  int count = 0;
  for (const Sorted& one : sorted_) {
    if (one.instruction) continue;
    const std::string plain = WithoutCodeMarks(one.sentence->text);
    for (const Figure& figure : FindFigures(plain)) {
      if (++count > kMaxFigureCount) break;
      absl::StrAppend(&rows, "| ", EscapeInline(figure.value), " | ", EscapeInline(figure.unit),
                      " | ", EscapeInline(Shorten(plain, kFigureContextCodePoints)), " |\n");
    }
  }
  if (rows.empty()) return rows;
  if (count > kMaxFigureCount) {
    absl::StrAppend(&rows, "\nThe first ", kMaxFigureCount, " figures are listed.\n");
  }
  return absl::StrCat("| Figure | Unit | Said in |\n| ---: | --- | --- |\n", rows);
}

std::string Composer::VerbatimBody() const {
  std::string out;
  int number = 0;
  for (const Verbatim& block : prompt_.verbatim) {
    absl::StrAppend(&out, out.empty() ? "" : "\n", "Listing ", ++number, ":\n\n",
                    FencedBlock(block.language, block.text));
  }
  return out;
}

std::string Composer::QuestionsBody(uint32_t roles) const {
  std::string out;
  int number = 0;
  for (const Sorted& one : sorted_) {
    if (one.instruction || (roles & Bit(one.role)) == 0) continue;
    absl::StrAppend(&out, ++number, ". ", EscapeInline(one.sentence->text), "\n");
  }
  for (const std::string& question : vague_) {
    absl::StrAppend(&out, ++number, ". ", EscapeInline(question), "\n");
  }
  for (const std::string& what : missing_) {
    absl::StrAppend(&out, ++number, ". The prompt does not say ", EscapeInline(what), ".\n");
  }
  return out.empty() ? "The prompt leaves no question of this template open.\n" : out;
}

std::string Composer::Head() const {
  const std::string_view label = kOfflineLabel;
  std::string out =
      absl::StrCat("---\ntitle: ", YamlQuoted(draft_.title), "\nnote: ", YamlQuoted(label),
                   "\ndrafter: offline\ntemplate: ", Absl(shape_.name),
                   "\nsubject: ", YamlQuoted(topic_.subject),
                   "\nkeywords: ", YamlQuoted(absl::StrJoin(topic_.key_phrases, ", ")),
                   "\nprompt_sha256: ", Sha256Hex(request_.prompt), "\n---\n\n");
  absl::StrAppend(&out, "# ", EscapeInline(draft_.title), "\n\n> **", Absl(label),
                  ".** Every statement below is a sentence of the prompt, sorted by cue words. "
                  "What the prompt leaves out is asked under Open questions.\n\n");
  absl::StrAppend(&out, "| | |\n| --- | --- |\n| Subject | ", EscapeInline(topic_.subject),
                  " |\n| Template | ", Absl(shape_.label), " |\n");
  if (!topic_.key_phrases.empty()) {
    absl::StrAppend(&out, "| Key phrases | ", EscapeInline(absl::StrJoin(topic_.key_phrases, ", ")),
                    " |\n");
  }
  for (const Sorted& one : sorted_) {
    if (one.instruction) {
      absl::StrAppend(&out, "| Asked for | ", EscapeInline(one.sentence->text), " |\n");
    }
  }
  absl::StrAppend(&out, "| Prompt | ", sorted_.size(),
                  sorted_.size() == 1 ? " sentence, " : " sentences, ", prompt_.word_count,
                  prompt_.word_count == 1 ? " word" : " words", " |\n\n");
  return out;
}

Draft Composer::Finish() {
  const std::string kind(shape_.kind);
  if (title_.empty()) {
    draft_.title = absl::StrCat(kind, ": ", Capitalised(topic_.subject));
  } else {
    // "RFC: x" given as the title is not made "RFC: RFC: x".
    const bool has_kind = Fold(title_).rfind("rfc", 0) == 0 || Fold(title_).rfind("adr", 0) == 0 ||
                          Fold(title_).rfind(Fold(kind), 0) == 0;
    draft_.title = has_kind ? title_ : absl::StrCat(kind, ": ", title_);
  }
  draft_.subject = topic_.subject;
  draft_.key_phrases = topic_.key_phrases;
  draft_.markdown = Head() + body_;
  while (draft_.markdown.size() > 1 &&
         draft_.markdown.rfind("\n\n") == draft_.markdown.size() - 2) {
    draft_.markdown.pop_back();
  }
  draft_.word_count = static_cast<int>(SplitWords(draft_.markdown).size());
  return std::move(draft_);
}

}  // namespace slipstream::worker::rfc_draft
