// The word lists of the offline drafter, as data. Each list is sorted by bytes (words_test checks
// it).
#ifndef SERVICES_WORKER_RFC_DRAFT_WORD_LISTS_H_
#define SERVICES_WORKER_RFC_DRAFT_WORD_LISTS_H_

#include <string_view>

namespace slipstream::worker::rfc_draft {

// Words that say little in any text.
inline constexpr std::string_view kStopWords[] = {
    "a",         "able",       "about",      "above",        "across",    "actually",
    "after",     "afterwards", "again",      "against",      "ago",       "all",
    "almost",    "alone",      "along",      "already",      "also",      "although",
    "always",    "am",         "among",      "an",           "and",       "another",
    "any",       "anybody",    "anyone",     "anything",     "anyway",    "anywhere",
    "are",       "aren't",     "around",     "as",           "aside",     "at",
    "away",      "back",       "bad",        "be",           "became",    "because",
    "been",      "before",     "beforehand", "behind",       "being",     "below",
    "beside",    "besides",    "best",       "better",       "between",   "beyond",
    "big",       "both",       "but",        "by",           "can",       "can't",
    "cannot",    "certain",    "could",      "couldn't",     "current",   "day",
    "days",      "did",        "didn't",     "different",    "do",        "does",
    "doesn't",   "doing",      "don't",      "done",         "down",      "due",
    "during",    "e.g",        "each",       "eight",        "either",    "else",
    "elsewhere", "enough",     "etc",        "even",         "ever",      "every",
    "everybody", "everyone",   "everything", "everywhere",   "except",    "existing",
    "fast",      "few",        "first",      "five",         "for",       "former",
    "four",      "from",       "further",    "gb",           "ghz",       "gib",
    "good",      "had",        "hadn't",     "half",         "has",       "hasn't",
    "have",      "haven't",    "having",     "he",           "hence",     "her",
    "here",      "hers",       "herself",    "high",         "him",       "himself",
    "his",       "hour",       "hours",      "how",          "however",   "hz",
    "i",         "i.e",        "if",         "impossible",   "in",        "indeed",
    "instead",   "into",       "is",         "isn't",        "it",        "its",
    "itself",    "just",       "kb",         "kib",          "large",     "last",
    "later",     "latter",     "least",      "less",         "let",       "likely",
    "long",      "lot",        "lots",       "low",          "main",      "mainly",
    "many",      "may",        "maybe",      "mb",           "me",        "mib",
    "might",     "mine",       "minute",     "minutes",      "month",     "months",
    "more",      "moreover",   "morning",    "most",         "mostly",    "ms",
    "much",      "must",       "my",         "myself",       "namely",    "near",
    "nearly",    "neither",    "never",      "nevertheless", "new",       "next",
    "night",     "nine",       "no",         "nobody",       "none",      "nor",
    "not",       "nothing",    "now",        "nowhere",      "number",    "numbers",
    "of",        "off",        "often",      "old",          "on",        "once",
    "one",       "ones",       "only",       "onto",         "open",      "or",
    "other",     "others",     "otherwise",  "ought",        "our",       "ours",
    "ourselves", "out",        "over",       "own",          "per",       "percent",
    "perhaps",   "please",     "possible",   "quarter",      "quite",     "rather",
    "really",    "roughly",    "same",       "second",       "seconds",   "seven",
    "several",   "shall",      "she",        "short",        "should",    "shouldn't",
    "simply",    "since",      "single",     "six",          "slow",      "small",
    "so",        "some",       "somebody",   "someone",      "something", "sometimes",
    "somewhere", "soon",       "still",      "such",         "sure",      "tb",
    "ten",       "than",       "that",       "the",          "their",     "theirs",
    "them",      "themselves", "then",       "there",        "therefore", "these",
    "they",      "thing",      "things",     "third",        "this",      "those",
    "though",    "three",      "through",    "throughout",   "thus",      "time",
    "times",     "to",         "today",      "together",     "tomorrow",  "tonight",
    "too",       "toward",     "towards",    "twice",        "two",       "under",
    "unless",    "unlike",     "unlikely",   "until",        "up",        "upon",
    "us",        "usually",    "utc",        "very",         "via",       "vs",
    "was",       "wasn't",     "way",        "ways",         "we",        "week",
    "weeks",     "well",       "were",       "weren't",      "what",      "whatever",
    "when",      "whenever",   "where",      "whereas",      "wherever",  "whether",
    "which",     "while",      "who",        "whoever",      "whole",     "whom",
    "whose",     "why",        "will",       "with",         "within",    "without",
    "won't",     "would",      "wouldn't",   "year",         "years",     "yes",
    "yesterday", "yet",        "you",        "your",         "yours",     "yourself",
    "zero",
};

// Verbs that are common in requests; inflected forms are derived from them.
inline constexpr std::string_view kVerbs[] = {
    "abuse",     "accept",      "access",   "achieve",   "add",       "adds",       "agree",
    "aim",       "allow",       "answer",   "appear",    "apply",     "approve",    "ask",
    "avoid",     "become",      "begin",    "believe",   "break",     "bring",      "build",
    "buy",       "call",        "carry",    "cause",     "change",    "check",      "choose",
    "collect",   "come",        "compare",  "complain",  "complete",  "connect",    "consider",
    "consist",   "contain",     "continue", "copy",      "cost",      "cover",      "create",
    "cut",       "decide",      "define",   "deliver",   "depend",    "describe",   "design",
    "detect",    "develop",     "differ",   "disappear", "discuss",   "draft",      "drop",
    "eat",       "edit",        "enable",   "end",       "ensure",    "enter",      "exist",
    "expect",    "expire",      "explain",  "expose",    "extend",    "fail",       "fall",
    "feel",      "fetch",       "fill",     "find",      "finish",    "fix",        "follow",
    "forget",    "gain",        "gave",     "generate",  "get",       "give",       "given",
    "go",        "goes",        "got",      "grow",      "guarantee", "handle",     "happen",
    "help",      "hold",        "hope",     "implement", "improve",   "include",    "increase",
    "introduce", "investigate", "involve",  "issue",     "jump",      "keep",       "kept",
    "know",      "known",       "lack",     "lead",      "learn",     "leave",      "left",
    "lets",      "like",        "limit",    "list",      "live",      "look",       "lose",
    "lost",      "made",        "make",     "mean",      "measure",   "meet",       "mention",
    "miss",      "move",        "need",     "notice",    "occur",     "offer",      "open",
    "overload",  "own",         "pass",     "pay",       "pick",      "plan",       "prefer",
    "prepare",   "prevent",     "process",  "produce",   "propose",   "protect",    "prove",
    "provide",   "publish",     "pull",     "push",      "put",       "raise",      "ran",
    "reach",     "read",        "receive",  "recommend", "reduce",    "refuse",     "regret",
    "rely",      "remain",      "remember", "remove",    "render",    "replace",    "reply",
    "require",   "resolve",     "respond",  "retry",     "return",    "rewrite",    "rise",
    "rotate",    "run",         "running",  "said",      "save",      "saw",        "say",
    "see",       "seem",        "seen",     "select",    "send",      "sent",       "serve",
    "set",       "share",       "show",     "shown",     "shrink",    "sign",       "sit",
    "solve",     "speak",       "spend",    "stand",     "start",     "stay",       "stop",
    "store",     "submit",      "suffer",   "suggest",   "support",   "suppose",    "switch",
    "take",      "taken",       "talk",     "tell",      "tend",      "think",      "told",
    "took",      "touch",       "try",      "turn",      "type",      "understand", "use",
    "verify",    "wait",        "want",     "warn",      "watch",     "went",       "win",
    "wonder",    "work",        "write",    "written",   "wrote",
};

// Words that may stand inside a topic, never at its end.
inline constexpr std::string_view kGlueWords[] = {
    "a",     "an",  "and",   "as",  "at",   "by",     "for",     "from", "in",
    "into",  "its", "of",    "on",  "onto", "our",    "over",    "per",  "the",
    "their", "to",  "under", "via", "with", "within", "without", "your",
};

}  // namespace slipstream::worker::rfc_draft

#endif  // SERVICES_WORKER_RFC_DRAFT_WORD_LISTS_H_
