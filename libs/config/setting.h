// The list of settings, derived from the descriptors of slipstream.config.v1: what each is called
// in a file, in the environment and as a flag, and what it may be.
//
// Pure functions, safe from any thread. Nothing here reads a file or the environment.
#ifndef SLIPSTREAM_LIBS_CONFIG_SETTING_H_
#define SLIPSTREAM_LIBS_CONFIG_SETTING_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "slipstream/config/v1/config.pb.h"
#include "slipstream/config/v1/options.pb.h"

namespace slipstream::config {

// One leaf: a scalar, a list of scalars, or a list of messages (such as auth.roles), which is set
// as a whole.
struct Setting {
  std::string path;  // task_queue.artifact.ttl_ms; as a flag: --task_queue.artifact.ttl_ms=VALUE
  std::string env;   // SLIPSTREAM_TASK_QUEUE_ARTIFACT_TTL_MS
  std::vector<const google::protobuf::FieldDescriptor*> parents;  // from Config to the holder
  const google::protobuf::FieldDescriptor* field;                 // in the holder
  v1::ConfigField options;
};

// In the order of the proto.
std::vector<Setting> AllSettings();

// The message that holds the setting's field, made when it is absent.
google::protobuf::Message* MutableHolder(const Setting& setting, v1::Config* config);
bool IsSet(const Setting& setting, const v1::Config& config);

// Whether the setting names a file that holds a secret or keys (`..._file`, `..._files`).
bool NamesSecretFile(const Setting& setting);
// The values of a string setting, one or many; empty ones are left out.
std::vector<std::string> StringValues(const Setting& setting, const v1::Config& config);

// "a whole number from 100 to 3600000", "true or false", "one of DEBUG, INFO".
std::string AllowedValues(const google::protobuf::FieldDescriptor& field,
                          const v1::ConfigField& options);

// Replaces the setting's value by what `text` says, in the form that ConfigField.default has.
// INVALID_ARGUMENT: it does not say a value of the setting's type; the message is
// `PATH is "abc"; allowed: ...`, without the value when the setting is secret.
absl::Status SetFromText(const Setting& setting, std::string_view text, v1::Config* config);

// INVALID_ARGUMENT when the value is out of its range, worded as above.
absl::Status CheckRange(const Setting& setting, const v1::Config& config);

}  // namespace slipstream::config

#endif  // SLIPSTREAM_LIBS_CONFIG_SETTING_H_
