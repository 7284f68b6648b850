// Redis's error replies and lost connections as absl::Status. The reasons are in client.h's list.
//
// Thread safety: pure functions.
#ifndef LIBS_REDIS_ERRORS_H_
#define LIBS_REDIS_ERRORS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "libs/redis/url.h"

namespace slipstream::redis {

inline constexpr absl::string_view kUnavailable = "REDIS_UNAVAILABLE";
inline constexpr absl::string_view kNotReplicated = "REDIS_NOT_REPLICATED";
inline constexpr absl::string_view kQueueFull = "REDIS_QUEUE_FULL";
inline constexpr absl::string_view kOutOfMemory = "REDIS_OUT_OF_MEMORY";
inline constexpr absl::string_view kUnauthenticated = "REDIS_UNAUTHENTICATED";
inline constexpr absl::string_view kNoPermission = "REDIS_NO_PERMISSION";
inline constexpr absl::string_view kTls = "REDIS_TLS";
inline constexpr absl::string_view kError = "REDIS_ERROR";
inline constexpr absl::string_view kUrlInvalid = "REDIS_URL_INVALID";
inline constexpr absl::string_view kOptionInvalid = "REDIS_OPTION_INVALID";
inline constexpr absl::string_view kTooOld = "REDIS_TOO_OLD";
inline constexpr absl::string_view kNotPrimary = "REDIS_NOT_PRIMARY";
inline constexpr absl::string_view kEvicts = "REDIS_EVICTS";

// ErrorInfo metadata of UNAVAILABLE: "true" when the server may have run the command.
inline constexpr const char* kSent = "sent";

enum class ErrorKind {
  kOther,
  kNoScript,
  kMoved,
  kAsk,
  kTryAgain,
  kReadOnly,
  kClusterDown,
  kLoading,      // LOADING, MASTERDOWN, BUSY, MISCONF, NOREPLICAS: not now
  kOutOfMemory,  // OOM
  kNoAuth,       // NOAUTH, WRONGPASS
  kNoPermission,
};

// By the first word of an error reply; Redis 6 hides it in the text of a script's error.
ErrorKind KindOf(std::string_view error_text);

absl::Status FromErrorReply(std::string_view error_text);
// Of one command of a transaction whose others were run.
absl::Status FromErrorWithin(std::string_view error_text);

// UNAVAILABLE with a retry delay. `what` is a sentence without a full stop.
absl::Status Unavailable(std::string_view what, bool sent);

// UNAVAILABLE with a retry delay: a commit that `have` of `wanted` replicas had in time.
absl::Status NotReplicated(int64_t have, int wanted);

// The `what` of an Unavailable, to be part of another one; any other status's message as it is.
std::string WhatOf(const absl::Status& status);

struct Redirect {
  bool ask = false;  // for this command only
  int slot = 0;
  Endpoint to;  // host empty: that of the node which said so
};
// "MOVED 3999 127.0.0.1:6381"; none when it is not one.
std::optional<Redirect> ParseRedirect(std::string_view error_text);

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_ERRORS_H_
