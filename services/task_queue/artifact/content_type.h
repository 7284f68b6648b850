// What kind of file some bytes are, against the list of kinds that are kept.
//
// Signatures as in the WHATWG MIME Sniffing Standard (https://mimesniff.spec.whatwg.org) for the
// kinds of the list; a text kind is accepted for bytes that are text and carry no other signature.
//
// Thread safety: pure functions.
#ifndef SERVICES_TASK_QUEUE_ARTIFACT_CONTENT_TYPE_H_
#define SERVICES_TASK_QUEUE_ARTIFACT_CONTENT_TYPE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace slipstream::artifact {

// Bytes from the start of a file that are enough to tell.
inline constexpr size_t kSniffBytes = 4096;

// The kind to keep: `declared` (empty: none) when the bytes agree with it, else an error.
// INVALID_ARGUMENT on "content_type" for a kind that is not on the list or not that of the bytes.
absl::StatusOr<std::string> ContentTypeOf(std::string_view declared, std::string_view head);

}  // namespace slipstream::artifact

#endif  // SERVICES_TASK_QUEUE_ARTIFACT_CONTENT_TYPE_H_
