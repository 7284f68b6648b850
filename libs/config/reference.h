// Writes the configuration reference, REFERENCE.md, from the settings and the comments of the
// proto.
#ifndef SLIPSTREAM_LIBS_CONFIG_REFERENCE_H_
#define SLIPSTREAM_LIBS_CONFIG_REFERENCE_H_

#include <string>

#include "absl/status/statusor.h"

namespace slipstream::config {

// `descriptor_set` is a serialized FileDescriptorSet with source info (//protos:descriptor_set):
// the descriptors compiled into a binary carry no comments. INVALID_ARGUMENT when it is not one, or
// lacks the comment of a setting.
absl::StatusOr<std::string> Reference(const std::string& descriptor_set);

}  // namespace slipstream::config

#endif  // SLIPSTREAM_LIBS_CONFIG_REFERENCE_H_
