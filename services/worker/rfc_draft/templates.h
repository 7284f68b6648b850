// The three shapes of an RFC, as data. A new template is a new table and an entry in kTemplates.
//
// Thread safety: constants.
#ifndef SERVICES_WORKER_RFC_DRAFT_TEMPLATES_H_
#define SERVICES_WORKER_RFC_DRAFT_TEMPLATES_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "services/worker/rfc_draft/roles.h"

namespace slipstream::worker::rfc_draft {

enum class Fill {
  kSummary,       // the most telling sentences
  kSentences,     // the prompt's sentences of the section's roles
  kRequirements,  // the same as a numbered table with levels
  kFigures,       // numbers with units
  kVerbatim,      // code and tables of the prompt
  kQuestions,     // asked in the prompt, and what it leaves out
};

struct Section {
  std::string_view heading;  // {subject} stands for the subject
  Fill fill;
  uint32_t roles;            // bits of Role
  std::string_view missing;  // the question when nothing fills it; empty: the section is left out
};

struct Template {
  std::string_view name;
  std::string_view label;  // "Standard RFC"
  std::string_view kind;   // begins the title: "RFC"
  std::span<const Section> sections;
};

constexpr uint32_t Bit(Role role) { return 1u << static_cast<int>(role); }

// nullptr for an unknown name.
const Template* FindTemplate(std::string_view name);
std::vector<std::string_view> TemplateNames();

}  // namespace slipstream::worker::rfc_draft

#endif  // SERVICES_WORKER_RFC_DRAFT_TEMPLATES_H_
