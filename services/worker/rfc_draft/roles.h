// Which part of an RFC a sentence belongs to, by cue words.
//
// Thread safety: pure functions.
#ifndef SERVICES_WORKER_RFC_DRAFT_ROLES_H_
#define SERVICES_WORKER_RFC_DRAFT_ROLES_H_

#include <string>
#include <string_view>

namespace slipstream::worker::rfc_draft {

enum class Role {
  kContext,  // no cue: background
  kProblem,
  kGoal,
  kRequirement,  // must, should, shall, has to
  kConstraint,
  kProposal,
  kAlternative,
  kRisk,
  kMeasure,
  kRollout,
  kQuestion,
};
inline constexpr int kRoleCount = 11;

// `heading` is the prompt's own heading above the sentence; it counts more than a cue in the text.
Role RoleOf(std::string_view sentence, std::string_view heading);

// "MUST", "MUST NOT", "SHOULD", "SHOULD NOT" or "" when the sentence demands nothing (RFC 2119's
// words).
std::string_view RequirementLevel(std::string_view sentence);

// A word that asks for a figure and has none ("fast", "scalable"); empty when there is no such
// word.
std::string_view VagueWord(std::string_view sentence);

}  // namespace slipstream::worker::rfc_draft

#endif  // SERVICES_WORKER_RFC_DRAFT_ROLES_H_
