// One byte range of RFC 9110, section 14.
#ifndef SERVICES_TASK_QUEUE_ARTIFACT_BYTE_RANGE_H_
#define SERVICES_TASK_QUEUE_ARTIFACT_BYTE_RANGE_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"

namespace slipstream::artifact {

struct ByteRange {
  int64_t first = 0;
  int64_t size_bytes = 0;
};

// nullopt (the whole file) for an empty, malformed or multiple range. OUT_OF_RANGE when it begins
// beyond the file's end.
absl::StatusOr<std::optional<ByteRange>> ParseRange(std::string_view header, int64_t file_bytes);

}  // namespace slipstream::artifact

#endif  // SERVICES_TASK_QUEUE_ARTIFACT_BYTE_RANGE_H_
