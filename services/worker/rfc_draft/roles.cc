#include "services/worker/rfc_draft/roles.h"

#include <array>

#include "services/worker/rfc_draft/prompt.h"
#include "services/worker/rfc_draft/words.h"

namespace slipstream::worker::rfc_draft {
namespace {

struct Cue {
  std::string_view words;
  Role role;
  int weight;
};

constexpr int kHeadingWeight = 5;
constexpr int kRequirementWeight = 4;

constexpr Cue kCues[] = {
    {"problem", Role::kProblem, 3},
    {"problems", Role::kProblem, 3},
    {"issue", Role::kProblem, 2},
    {"issues", Role::kProblem, 2},
    {"fails", Role::kProblem, 3},
    {"failed", Role::kProblem, 3},
    {"failing", Role::kProblem, 3},
    {"breaks", Role::kProblem, 3},
    {"broken", Role::kProblem, 3},
    {"broke", Role::kProblem, 3},
    {"outage", Role::kProblem, 3},
    {"outages", Role::kProblem, 3},
    {"incident", Role::kProblem, 3},
    {"incidents", Role::kProblem, 3},
    {"slow", Role::kProblem, 3},
    {"slows", Role::kProblem, 3},
    {"too long", Role::kProblem, 3},
    {"too many", Role::kProblem, 3},
    {"too much", Role::kProblem, 3},
    {"complain", Role::kProblem, 3},
    {"complained", Role::kProblem, 3},
    {"complaints", Role::kProblem, 3},
    {"lose", Role::kProblem, 2},
    {"lost", Role::kProblem, 2},
    {"pain", Role::kProblem, 2},
    {"painful", Role::kProblem, 2},
    {"by hand", Role::kProblem, 2},
    {"manually", Role::kProblem, 2},
    {"errors", Role::kProblem, 2},
    {"timeouts", Role::kProblem, 2},
    {"bottleneck", Role::kProblem, 3},
    {"unable", Role::kProblem, 2},
    {"stale", Role::kProblem, 2},
    {"duplicate", Role::kProblem, 1},
    {"today", Role::kProblem, 2},
    {"currently", Role::kProblem, 2},
    {"twice", Role::kProblem, 1},
    {"overloaded", Role::kProblem, 3},
    {"wakes", Role::kProblem, 2},
    {"nobody", Role::kProblem, 2},
    {"abused", Role::kProblem, 4},
    {"theft", Role::kProblem, 2},
    {"grown to", Role::kProblem, 4},
    {"has grown", Role::kProblem, 2},
    {"expensive", Role::kProblem, 3},
    {"confusing", Role::kProblem, 3},
    {"difficult", Role::kProblem, 2},
    {"hard to", Role::kProblem, 2},
    {"crash", Role::kProblem, 3},
    {"crashes", Role::kProblem, 3},
    {"goal", Role::kGoal, 4},
    {"goals", Role::kGoal, 4},
    {"aim", Role::kGoal, 3},
    {"objective", Role::kGoal, 4},
    {"want", Role::kGoal, 3},
    {"we want", Role::kGoal, 2},
    {"wants", Role::kGoal, 2},
    {"would like", Role::kGoal, 3},
    {"so that", Role::kGoal, 2},
    {"in order to", Role::kGoal, 2},
    {"improve", Role::kGoal, 2},
    {"reduce", Role::kGoal, 2},
    {"cut", Role::kGoal, 1},
    {"hope", Role::kGoal, 2},
    {"intend", Role::kGoal, 3},
    {"vision", Role::kGoal, 3},
    {"budget", Role::kConstraint, 2},
    {"deadline", Role::kConstraint, 3},
    {"constraint", Role::kConstraint, 4},
    {"constraints", Role::kConstraint, 4},
    {"limit", Role::kConstraint, 2},
    {"limited", Role::kConstraint, 3},
    {"cannot", Role::kConstraint, 2},
    {"can't", Role::kConstraint, 2},
    {"at most", Role::kConstraint, 3},
    {"no more than", Role::kConstraint, 3},
    {"only", Role::kConstraint, 1},
    {"without", Role::kConstraint, 2},
    {"gdpr", Role::kConstraint, 3},
    {"compliance", Role::kConstraint, 3},
    {"regulation", Role::kConstraint, 3},
    {"not allowed", Role::kConstraint, 3},
    {"may not", Role::kConstraint, 3},
    {"fixed", Role::kConstraint, 1},
    {"out of scope", Role::kConstraint, 5},
    {"non-goal", Role::kConstraint, 5},
    {"non-goals", Role::kConstraint, 5},
    {"by law", Role::kConstraint, 4},
    {"propose", Role::kProposal, 4},
    {"proposal", Role::kProposal, 3},
    {"proposed", Role::kProposal, 4},
    {"suggest", Role::kProposal, 3},
    {"plan to", Role::kProposal, 3},
    {"we will", Role::kProposal, 3},
    {"we would", Role::kProposal, 2},
    {"will be", Role::kProposal, 2},
    {"idea", Role::kProposal, 3},
    {"approach", Role::kProposal, 3},
    {"solution", Role::kProposal, 3},
    {"design", Role::kProposal, 2},
    {"introduce", Role::kProposal, 3},
    {"replace", Role::kProposal, 3},
    {"migrate", Role::kProposal, 2},
    {"move", Role::kProposal, 1},
    {"add", Role::kProposal, 1},
    {"build", Role::kProposal, 1},
    {"each", Role::kProposal, 1},
    {"becomes", Role::kProposal, 2},
    {"would become", Role::kProposal, 2},
    {"recommend", Role::kProposal, 4},
    {"alternative", Role::kAlternative, 5},
    {"alternatives", Role::kAlternative, 5},
    {"alternatively", Role::kAlternative, 5},
    {"instead of", Role::kAlternative, 2},
    {"option", Role::kAlternative, 4},
    {"options", Role::kAlternative, 4},
    {"we considered", Role::kAlternative, 5},
    {"considered", Role::kAlternative, 3},
    {"another way", Role::kAlternative, 4},
    {"could also", Role::kAlternative, 4},
    {"rejected", Role::kAlternative, 4},
    {"compared with", Role::kAlternative, 2},
    {"risk", Role::kRisk, 4},
    {"risks", Role::kRisk, 4},
    {"risky", Role::kRisk, 4},
    {"danger", Role::kRisk, 4},
    {"worry", Role::kRisk, 4},
    {"worried", Role::kRisk, 4},
    {"concern", Role::kRisk, 3},
    {"concerns", Role::kRisk, 3},
    {"afraid", Role::kRisk, 4},
    {"might", Role::kRisk, 2},
    {"could fail", Role::kRisk, 4},
    {"what if", Role::kRisk, 3},
    {"if it fails", Role::kRisk, 3},
    {"downside", Role::kRisk, 4},
    {"trade-off", Role::kRisk, 3},
    {"security", Role::kRisk, 1},
    {"metric", Role::kMeasure, 4},
    {"metrics", Role::kMeasure, 3},
    {"measure", Role::kMeasure, 4},
    {"measured", Role::kMeasure, 4},
    {"success", Role::kMeasure, 4},
    {"successful", Role::kMeasure, 3},
    {"slo", Role::kMeasure, 4},
    {"slos", Role::kMeasure, 4},
    {"sla", Role::kMeasure, 3},
    {"kpi", Role::kMeasure, 4},
    {"dashboard", Role::kMeasure, 2},
    {"p50", Role::kMeasure, 2},
    {"p95", Role::kMeasure, 3},
    {"p99", Role::kMeasure, 3},
    {"target", Role::kMeasure, 3},
    {"percentile", Role::kMeasure, 3},
    {"we know it worked", Role::kMeasure, 6},
    {"acceptance", Role::kMeasure, 3},
    {"roll out", Role::kRollout, 5},
    {"rollout", Role::kRollout, 5},
    {"rolled out", Role::kRollout, 5},
    {"roll back", Role::kRollout, 5},
    {"rollback", Role::kRollout, 5},
    {"migration", Role::kRollout, 2},
    {"pilot", Role::kRollout, 3},
    {"phase", Role::kRollout, 3},
    {"phases", Role::kRollout, 3},
    {"canary", Role::kRollout, 4},
    {"feature flag", Role::kRollout, 4},
    {"behind a flag", Role::kRollout, 4},
    {"first week", Role::kRollout, 3},
    {"timeline", Role::kRollout, 4},
    {"milestone", Role::kRollout, 4},
    {"milestones", Role::kRollout, 4},
    {"launch", Role::kRollout, 3},
    {"side by side", Role::kRollout, 3},
    {"unclear", Role::kQuestion, 5},
    {"don't know", Role::kQuestion, 5},
    {"do not know", Role::kQuestion, 5},
    {"not decided", Role::kQuestion, 5},
    {"undecided", Role::kQuestion, 5},
    {"open question", Role::kQuestion, 6},
    {"open questions", Role::kQuestion, 6},
    {"not sure", Role::kQuestion, 5},
    {"tbd", Role::kQuestion, 5},
    {"background", Role::kContext, 3},
    {"context", Role::kContext, 3},
    {"requirements", Role::kRequirement, 3},
};

struct Level {
  std::string_view words;
  std::string_view level;
};
// Longer phrases first: "must not" before "must".
constexpr Level kLevels[] = {
    {"must not", "MUST NOT"},
    {"mustn't", "MUST NOT"},
    {"shall not", "MUST NOT"},
    {"should not", "SHOULD NOT"},
    {"shouldn't", "SHOULD NOT"},
    {"must never", "MUST NOT"},
    {"should never", "SHOULD NOT"},
    {"must", "MUST"},
    {"shall", "MUST"},
    {"has to", "MUST"},
    {"have to", "MUST"},
    {"needs to", "MUST"},
    {"need to", "MUST"},
    {"is required", "MUST"},
    {"are required", "MUST"},
    {"should", "SHOULD"},
    {"ought to", "SHOULD"},
};

constexpr std::string_view kVague[] = {
    "fast",        "faster",         "quickly",  "quick",  "scalable",
    "scale",       "reliable",       "reliably", "robust", "performant",
    "responsive",  "cheap",          "cheaply",  "soon",   "promptly",
    "secure",      "easy",           "simple",   "large",  "high availability",
    "low latency", "near real time", "timely"};

bool Has(std::string_view normalized, std::string_view words) {
  return normalized.find(" " + std::string(words) + " ") != std::string_view::npos;
}

}  // namespace

std::string_view RequirementLevel(std::string_view sentence) {
  const std::string normalized = NormalizedForCues(sentence);
  for (const Level& level : kLevels) {
    if (Has(normalized, level.words)) return level.level;
  }
  return "";
}

std::string_view VagueWord(std::string_view sentence) {
  if (sentence.find_first_of("0123456789") != std::string_view::npos) return "";
  const std::string normalized = NormalizedForCues(sentence);
  for (std::string_view word : kVague) {
    if (Has(normalized, word)) return word;
  }
  return "";
}

Role RoleOf(std::string_view sentence, std::string_view heading) {
  const std::string plain = WithoutCodeMarks(sentence);
  const size_t last = plain.find_last_not_of(" \"')]");
  if (last != std::string::npos && plain[last] == '?') return Role::kQuestion;
  if (last != std::string::npos && last >= 2 && plain.compare(last - 2, 3, "？") == 0) {
    return Role::kQuestion;
  }
  const std::string text = NormalizedForCues(plain);
  const std::string above = NormalizedForCues(heading);
  std::array<int, kRoleCount> scores{};
  for (const Cue& cue : kCues) {
    int& score = scores[static_cast<size_t>(cue.role)];
    if (Has(text, cue.words)) score += cue.weight;
    // "Background" above a sentence says little about it.
    const int heading_weight = cue.role == Role::kContext ? 0 : kHeadingWeight;
    if (Has(above, cue.words)) score += cue.weight + heading_weight;
  }
  if (!RequirementLevel(plain).empty()) {
    scores[static_cast<size_t>(Role::kRequirement)] += kRequirementWeight;
  }
  size_t best = 0;
  for (size_t role = 1; role < scores.size(); ++role) {
    if (scores[role] > scores[best]) best = role;
  }
  return static_cast<Role>(best);
}

}  // namespace slipstream::worker::rfc_draft
