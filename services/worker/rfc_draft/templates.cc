#include "services/worker/rfc_draft/templates.h"

namespace slipstream::worker::rfc_draft {
namespace {

constexpr Section kStandard[] = {
    {"Summary", Fill::kSummary, 0, ""},
    {"Background", Fill::kSentences, Bit(Role::kContext), ""},
    {"Problem: {subject}", Fill::kSentences, Bit(Role::kProblem),
     "what problem “{subject}” is to solve, for whom, and how often it occurs"},
    {"Goals", Fill::kSentences, Bit(Role::kGoal), "what is better once “{subject}” is done"},
    {"Requirements for {subject}", Fill::kRequirements, Bit(Role::kRequirement),
     "what “{subject}” must and should do"},
    {"Constraints", Fill::kSentences, Bit(Role::kConstraint),
     "what limits “{subject}”: time, money, law, systems that must stay"},
    {"Proposal: {subject}", Fill::kSentences, Bit(Role::kProposal),
     "how “{subject}” is to be built"},
    {"Alternatives considered", Fill::kSentences, Bit(Role::kAlternative),
     "which alternatives to “{subject}” were looked at, and why they fall behind"},
    {"Risks", Fill::kSentences, Bit(Role::kRisk),
     "what may go wrong with “{subject}”, and what is done then"},
    {"Rollout", Fill::kSentences, Bit(Role::kRollout),
     "in which steps “{subject}” is rolled out, and how it is taken back"},
    {"Measures of success", Fill::kSentences, Bit(Role::kMeasure),
     "how one will know that “{subject}” worked"},
    {"Figures in the prompt", Fill::kFigures, 0, ""},
    {"Material from the prompt", Fill::kVerbatim, 0, ""},
    {"Open questions", Fill::kQuestions, Bit(Role::kQuestion), ""},
};

constexpr Section kTechnical[] = {
    {"Summary", Fill::kSummary, 0, ""},
    {"Context and problem: {subject}", Fill::kSentences, Bit(Role::kContext) | Bit(Role::kProblem),
     "which technical problem “{subject}” is to solve"},
    {"Goals and measures", Fill::kSentences, Bit(Role::kGoal) | Bit(Role::kMeasure),
     "which figures (latency, throughput, errors, cost) “{subject}” is to reach"},
    {"Requirements for {subject}", Fill::kRequirements, Bit(Role::kRequirement),
     "what “{subject}” must and should do"},
    {"Limits and assumptions", Fill::kSentences, Bit(Role::kConstraint),
     "which load, data sizes and dependencies “{subject}” may assume"},
    {"Design: {subject}", Fill::kSentences, Bit(Role::kProposal),
     "which components “{subject}” has and how data flows through them"},
    {"Interfaces and data", Fill::kVerbatim, 0,
     "which interfaces, schemas and messages “{subject}” adds or changes"},
    {"Failure modes", Fill::kSentences, Bit(Role::kRisk),
     "how “{subject}” behaves when a dependency is slow, down or answers twice"},
    {"Designs set aside", Fill::kSentences, Bit(Role::kAlternative),
     "which other designs for “{subject}” were weighed"},
    {"Rollout and operation", Fill::kSentences, Bit(Role::kRollout),
     "how “{subject}” is deployed, watched and taken back"},
    {"Figures in the prompt", Fill::kFigures, 0,
     "any figure (load, size, latency, cost) for “{subject}”"},
    {"Open questions", Fill::kQuestions, Bit(Role::kQuestion), ""},
};

constexpr Section kDecision[] = {
    {"The decision in short", Fill::kSummary, 0, ""},
    {"Context: {subject}", Fill::kSentences, Bit(Role::kContext) | Bit(Role::kProblem),
     "why a decision on “{subject}” is needed now"},
    {"Decision drivers", Fill::kSentences, Bit(Role::kGoal) | Bit(Role::kConstraint),
     "what weighs most in the decision on “{subject}”"},
    {"Criteria that any option meets", Fill::kRequirements, Bit(Role::kRequirement),
     "which criteria an option for “{subject}” must meet"},
    {"Options for {subject}", Fill::kSentences, Bit(Role::kAlternative),
     "which options there are for “{subject}”, with doing nothing among them"},
    {"Proposed decision", Fill::kSentences, Bit(Role::kProposal) | Bit(Role::kRollout),
     "which option is proposed for “{subject}”"},
    {"Consequences and risks", Fill::kSentences, Bit(Role::kRisk),
     "what becomes harder once “{subject}” is decided, and whom it affects"},
    {"How the decision is checked", Fill::kSentences, Bit(Role::kMeasure),
     "when and by which measure the decision on “{subject}” is looked at again"},
    {"Figures in the prompt", Fill::kFigures, 0, ""},
    {"Material from the prompt", Fill::kVerbatim, 0, ""},
    {"Open questions", Fill::kQuestions, Bit(Role::kQuestion), ""},
};

constexpr Template kTemplates[] = {
    {"standard", "Standard RFC", "RFC", kStandard},
    {"technical", "Technical design RFC", "Technical RFC", kTechnical},
    {"decision", "Decision record", "Decision", kDecision},
};

}  // namespace

const Template* FindTemplate(std::string_view name) {
  for (const Template& one : kTemplates) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

std::vector<std::string_view> TemplateNames() {
  std::vector<std::string_view> names;
  for (const Template& one : kTemplates) names.push_back(one.name);
  return names;
}

}  // namespace slipstream::worker::rfc_draft
