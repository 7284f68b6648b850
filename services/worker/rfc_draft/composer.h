// Fills a template's sections from a sorted prompt and writes the Markdown.
//
// Thread safety: one Composer belongs to one thread; what it is built from must outlive it.
#ifndef SERVICES_WORKER_RFC_DRAFT_COMPOSER_H_
#define SERVICES_WORKER_RFC_DRAFT_COMPOSER_H_

#include <string>
#include <vector>

#include "services/worker/rfc_draft/drafter.h"
#include "services/worker/rfc_draft/prompt.h"
#include "services/worker/rfc_draft/roles.h"
#include "services/worker/rfc_draft/subject.h"
#include "services/worker/rfc_draft/templates.h"

namespace slipstream::worker::rfc_draft {

inline constexpr int kMaxFigureCount = 60;
inline constexpr int kMaxVagueQuestions = 8;

class Composer {
 public:
  Composer(const DraftRequest& request, const Template& shape, const Prompt& prompt,
           const Topic& topic, const std::string& title);

  // Appends the section and returns its heading; empty when nothing fills it and it may be left
  // out.
  std::string AddSection(const Section& section);

  // Call once, after all sections.
  Draft Finish();

 private:
  struct Sorted {
    const Sentence* sentence;
    Role role;
    bool instruction;  // "Write an RFC about X": shown at the top, in no section
  };

  std::string Body(const Section& section);
  std::string SummaryBody() const;
  std::string SentencesBody(uint32_t roles) const;
  std::string RequirementsBody(uint32_t roles);
  std::string FiguresBody() const;
  std::string VerbatimBody() const;
  std::string QuestionsBody(uint32_t roles) const;
  std::string Head() const;
  std::string WithSubject(std::string_view text) const;

  const DraftRequest& request_;
  const Template& shape_;
  const Prompt& prompt_;
  const Topic& topic_;
  const std::string title_;
  std::vector<Sorted> sorted_;
  std::vector<std::string> missing_;  // what the prompt does not say, in order of the sections
  std::vector<std::string> vague_;    // questions about requirements without a figure
  std::string body_;
  Draft draft_;
};

}  // namespace slipstream::worker::rfc_draft

#endif  // SERVICES_WORKER_RFC_DRAFT_COMPOSER_H_
