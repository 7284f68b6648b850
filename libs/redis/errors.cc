#include "libs/redis/errors.h"

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

constexpr absl::Duration kRetryDelay = absl::Milliseconds(500);
constexpr absl::string_view kPrefix = "Redis: ";
constexpr absl::string_view kSuffix = "; try again";
constexpr int kSlotsCount = 16384;

absl::string_view Abseil(std::string_view text) { return {text.data(), text.size()}; }

constexpr std::array<std::pair<std::string_view, ErrorKind>, 15> kWords = {{
    {"NOSCRIPT", ErrorKind::kNoScript},
    {"MOVED", ErrorKind::kMoved},
    {"ASK", ErrorKind::kAsk},
    {"TRYAGAIN", ErrorKind::kTryAgain},
    {"READONLY", ErrorKind::kReadOnly},
    {"CLUSTERDOWN", ErrorKind::kClusterDown},
    {"LOADING", ErrorKind::kLoading},
    {"MASTERDOWN", ErrorKind::kLoading},
    {"BUSY", ErrorKind::kLoading},
    {"MISCONF", ErrorKind::kLoading},
    {"NOREPLICAS", ErrorKind::kLoading},
    {"OOM", ErrorKind::kOutOfMemory},
    {"NOAUTH", ErrorKind::kNoAuth},
    {"WRONGPASS", ErrorKind::kNoAuth},
    {"NOPERM", ErrorKind::kNoPermission},
}};

std::string_view FirstWord(std::string_view text) { return text.substr(0, text.find(' ')); }

// Redis 6: "ERR Error running script (call to f_..): @user_script:1: @user_script: 1: -OOM ...".
std::string_view InnerError(std::string_view text) {
  constexpr std::string_view kScriptError = "ERR Error running script";
  if (text.substr(0, kScriptError.size()) != kScriptError) return text;
  const size_t at = text.find(": -");
  return at == std::string_view::npos ? text : text.substr(at + 3);
}

}  // namespace

ErrorKind KindOf(std::string_view error_text) {
  const std::string_view word = FirstWord(InnerError(error_text));
  for (const auto& [name, kind] : kWords) {
    if (word == name) return kind;
  }
  return ErrorKind::kOther;
}

absl::Status Unavailable(std::string_view what, bool sent) {
  return status::WithRetryAfter(status::Error(absl::StatusCode::kUnavailable, kUnavailable,
                                              absl::StrCat(kPrefix, Abseil(what), kSuffix),
                                              {{kSent, sent ? "true" : "false"}}),
                                kRetryDelay);
}

absl::Status NotReplicated(int64_t have, int wanted) {
  return status::WithRetryAfter(
      status::Error(
          absl::StatusCode::kUnavailable, kNotReplicated,
          absl::StrCat("Redis: the change was made, but in time ", have, " of the ", wanted,
                       " replicas that must have it had it; look after the replicas, or ask for "
                       "fewer. Until then a repeated change meets the one that was made"),
          {{kSent, "true"}}),
      kRetryDelay);
}

std::string WhatOf(const absl::Status& status) {
  absl::string_view text = status.message();
  if (status::Reason(status) == kUnavailable) {
    absl::ConsumePrefix(&text, kPrefix);
    absl::ConsumeSuffix(&text, kSuffix);
  }
  return std::string(text);
}

absl::Status FromErrorReply(std::string_view error_text) {
  const absl::string_view text = Abseil(error_text);
  switch (KindOf(error_text)) {
    case ErrorKind::kTryAgain:
    case ErrorKind::kReadOnly:
    case ErrorKind::kClusterDown:
    case ErrorKind::kLoading:
    case ErrorKind::kMoved:
    case ErrorKind::kAsk:
      return Unavailable(absl::StrCat("it refused for now (", text, ")"), false);
    case ErrorKind::kOutOfMemory:
      return status::WithRetryAfter(
          status::Error(
              absl::StatusCode::kResourceExhausted, kOutOfMemory,
              absl::StrCat("Redis has reached its maxmemory and takes no writes: raise maxmemory "
                           "or let data expire (",
                           text, ")"),
              {{kSent, "false"}}),
          kRetryDelay);
    case ErrorKind::kNoAuth:
      return status::Error(absl::StatusCode::kUnauthenticated, kUnauthenticated,
                           absl::StrCat("Redis refused the user or password: check those of the "
                                        "Redis URL (",
                                        text, ")"));
    case ErrorKind::kNoPermission:
      return status::Error(absl::StatusCode::kPermissionDenied, kNoPermission,
                           absl::StrCat("Redis's ACL forbids it: give the user the right with ACL "
                                        "SETUSER (",
                                        text, ")"));
    case ErrorKind::kNoScript:
    case ErrorKind::kOther:
      break;
  }
  return status::Error(absl::StatusCode::kInternal, kError,
                       absl::StrCat("Redis answered an error: ", text));
}

absl::Status FromErrorWithin(std::string_view error_text) {
  return status::Error(absl::StatusCode::kInternal, kError,
                       absl::StrCat("Redis ran a transaction, and one of its commands failed: ",
                                    Abseil(error_text)));
}

std::optional<Redirect> ParseRedirect(std::string_view error_text) {
  const std::vector<std::string> words = absl::StrSplit(Abseil(error_text), ' ');
  if (words.size() < 3 || (words[0] != "MOVED" && words[0] != "ASK")) return std::nullopt;
  Redirect out;
  out.ask = words[0] == "ASK";
  const size_t colon = words[2].rfind(':');  // an IPv6 address comes without brackets
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(words[1], &out.slot) || out.slot < 0 ||
      out.slot >= kSlotsCount || !absl::SimpleAtoi(words[2].substr(colon + 1), &port) || port < 1 ||
      port > 65535) {
    return std::nullopt;
  }
  out.to = {words[2].substr(0, colon), static_cast<uint16_t>(port)};
  return out;
}

}  // namespace slipstream::redis
