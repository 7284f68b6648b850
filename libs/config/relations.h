// What must hold between settings, beyond each one's own range.
#ifndef SLIPSTREAM_LIBS_CONFIG_RELATIONS_H_
#define SLIPSTREAM_LIBS_CONFIG_RELATIONS_H_

#include "absl/status/status.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::config {

// INVALID_ARGUMENT with the settings and the rule. REQUIRES: defaults are filled in.
absl::Status CheckRelations(const v1::Config& config);

}  // namespace slipstream::config

#endif  // SLIPSTREAM_LIBS_CONFIG_RELATIONS_H_
