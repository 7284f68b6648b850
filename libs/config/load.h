// Loads the configuration of a process. main() begins with
//
//   const auto loaded = config::LoadConfig(argc, argv, config::ProcessEnvironment());
//   if (const auto exit_code = config::ExitCode(loaded)) return *exit_code;
//   const config::v1::Config& config = loaded->config;
//
// Precedence: flag, environment variable, file, default.
//   --config=FILE (or SLIPSTREAM_CONFIG)   a file of slipstream.config.v1.Config in text format
//   --section.field=VALUE                  a setting; --section.field alone means true
//   --print_config                         prints the effective configuration, secrets as ***
//   --help                                 lists every setting
//
// Whatever is wrong stops the process with one line that names where it stands (file:line,
// variable or flag) and what is allowed. Unknown flags and unknown SLIPSTREAM_ variables count as
// wrong. No values of secret settings appear in messages.
#ifndef SLIPSTREAM_LIBS_CONFIG_LOAD_H_
#define SLIPSTREAM_LIBS_CONFIG_LOAD_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "libs/config/environment.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::config {

struct Loaded {
  // Every setting has a value; files that are named in `..._file` settings could be read.
  v1::Config config;
  // Of --help and --print_config: to be printed instead of running.
  std::optional<std::string> print;
};

// INVALID_ARGUMENT with one line, see above. Reads files, so not for threads that must not block.
absl::StatusOr<Loaded> LoadConfig(int argc, const char* const* argv, const Environment& env);

// Prints what there is to print: to stdout what was asked for, to stderr what is wrong. The code to
// exit with, or nothing when the process is to run.
std::optional<int> ExitCode(const absl::StatusOr<Loaded>& loaded);

// All defaults, as a process without file, variables and flags has them. For tests.
v1::Config DefaultConfig();

}  // namespace slipstream::config

#endif  // SLIPSTREAM_LIBS_CONFIG_LOAD_H_
