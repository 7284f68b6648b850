// Reads a configuration file: slipstream.config.v1.Config in protobuf's text format.
#ifndef SLIPSTREAM_LIBS_CONFIG_CONFIG_FILE_H_
#define SLIPSTREAM_LIBS_CONFIG_CONFIG_FILE_H_

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/config/setting.h"

namespace slipstream::config {

inline constexpr std::size_t kMaxConfigFileBytes = 1048576;
inline constexpr std::size_t kMaxSecretFileBytes = 65536;

struct ConfigFile {
  v1::Config config;
  std::map<std::string, std::string> origins;  // by Setting::path: "file:line"
};

// INVALID_ARGUMENT with "file:line: what is wrong": not readable, not text format, unknown or
// repeated settings.
absl::StatusOr<ConfigFile> ReadConfigFile(const std::string& path,
                                          const std::vector<Setting>& settings);

// The whole file. NOT_FOUND or FAILED_PRECONDITION, with the path and the system's reason, when it
// cannot be read, is a folder, or is larger than `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes);

}  // namespace slipstream::config

#endif  // SLIPSTREAM_LIBS_CONFIG_CONFIG_FILE_H_
