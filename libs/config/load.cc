#include "libs/config/load.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "libs/config/config_file.h"
#include "libs/config/nearest.h"
#include "libs/config/relations.h"
#include "libs/config/setting.h"

namespace slipstream::config {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::string_view kEnvPrefix = "SLIPSTREAM_";
constexpr std::string_view kFileEnv = "SLIPSTREAM_CONFIG";
constexpr int kBadConfigExitCode = 2;

struct Flags {
  std::string file;
  bool help = false;
  bool print_config = false;
  std::vector<std::pair<const Setting*, std::string>> values;
};

absl::Status Wrong(std::string_view where, std::string_view what) {
  std::string line = absl::StrCat(std::string(where), ": ", std::string(what));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return absl::InvalidArgumentError(line);
}

absl::Status Wrong(std::string_view where, const absl::Status& status) {
  return Wrong(where, std::string_view(status.message().data(), status.message().size()));
}

class Loader {
 public:
  absl::StatusOr<Loaded> Load(int argc, const char* const* argv, const Environment& env) {
    absl::StatusOr<Flags> flags = ParseFlags(argc, argv);
    if (!flags.ok()) return flags.status();
    if (flags->help) return Loaded{{}, Help(argc > 0 ? argv[0] : "slipstream")};
    absl::Status status = ApplyFile(flags->file, env);
    if (status.ok()) status = ApplyEnvironment(env);
    if (status.ok()) status = ApplyFlags(*flags);
    if (status.ok()) status = ApplyDefaults();
    if (status.ok()) status = CheckRanges();
    if (status.ok()) status = CheckSecretFiles();
    if (status.ok()) {
      const absl::Status relations = CheckRelations(config_);
      if (!relations.ok()) status = Wrong("configuration", relations);
    }
    if (!status.ok()) return status;
    Loaded loaded{config_, std::nullopt};
    if (flags->print_config) loaded.print = Redacted();
    return loaded;
  }

 private:
  absl::StatusOr<Flags> ParseFlags(int argc, const char* const* argv) const {
    Flags flags;
    for (int i = 1; i < argc; ++i) {
      const std::string_view arg = argv[i];
      if (!arg.starts_with("--")) {
        return Wrong(arg, "not a flag; settings are given as --section.field=value, see --help");
      }
      const std::size_t equals = arg.find('=');
      const std::string_view name = arg.substr(2, equals == arg.npos ? arg.npos : equals - 2);
      std::optional<std::string> value;
      if (equals != arg.npos) value = std::string(arg.substr(equals + 1));
      if (name == "config" && !value.has_value() && i + 1 < argc) value = argv[++i];
      if (const absl::Status status = TakeFlag(name, std::move(value), &flags); !status.ok()) {
        return status;
      }
    }
    return flags;
  }

  absl::Status TakeFlag(std::string_view name, std::optional<std::string> value,
                        Flags* flags) const {
    const std::string where = absl::StrCat("--", std::string(name));
    if (name == "help" || name == "print_config") {
      if (value.has_value()) return Wrong(where, "takes no value");
      (name == "help" ? flags->help : flags->print_config) = true;
      return absl::OkStatus();
    }
    if (name == "config") {
      if (!value.has_value() || value->empty()) return Wrong(where, "needs a file");
      if (!flags->file.empty()) return Wrong(where, "is given twice");
      flags->file = *std::move(value);
      return absl::OkStatus();
    }
    const auto setting = std::find_if(settings_.begin(), settings_.end(),
                                      [&](const Setting& s) { return s.path == name; });
    if (setting == settings_.end()) {
      std::vector<std::string> known = {"--config", "--print_config", "--help"};
      for (const Setting& s : settings_) known.push_back("--" + s.path);
      return Wrong(where, "unknown flag" + DidYouMean(where, known));
    }
    for (const auto& [other, text] : flags->values) {
      if (other == &*setting) return Wrong(where, "is given twice");
    }
    if (!value.has_value()) {
      if (setting->field->cpp_type() != FieldDescriptor::CPPTYPE_BOOL) {
        return Wrong(where, absl::StrCat("needs a value, as in ", where, "=VALUE; allowed: ",
                                         AllowedValues(*setting->field, setting->options)));
      }
      value = "true";
    }
    flags->values.emplace_back(&*setting, *std::move(value));
    return absl::OkStatus();
  }

  absl::Status ApplyFile(std::string path, const Environment& env) {
    std::string source = "--config";
    if (path.empty()) {
      const auto it = env.find(kFileEnv);
      if (it == env.end() || it->second.empty()) return absl::OkStatus();
      path = it->second;
      source = std::string(kFileEnv);
    }
    absl::StatusOr<ConfigFile> file = ReadConfigFile(path, settings_);
    if (!file.ok()) {
      const absl::Status& status = file.status();
      const bool has_line = std::string_view(status.message().data(), status.message().size())
                                .starts_with(path + ":");
      return has_line ? Wrong("config file", status) : Wrong(source, status);
    }
    config_ = std::move(file->config);
    origins_ = std::move(file->origins);
    return absl::OkStatus();
  }

  absl::Status ApplyEnvironment(const Environment& env) {
    for (auto it = env.lower_bound(kEnvPrefix); it != env.end(); ++it) {
      const auto& [name, value] = *it;
      if (!name.starts_with(kEnvPrefix)) break;
      if (name == kFileEnv) continue;
      const auto known = std::any_of(settings_.begin(), settings_.end(),
                                     [&](const Setting& s) { return s.env == name; });
      if (known || IsKubernetesServiceLink(name, value)) continue;
      std::vector<std::string> names = {std::string(kFileEnv)};
      for (const Setting& s : settings_) names.push_back(s.env);
      return Wrong(name, "no setting has this environment variable" + DidYouMean(name, names));
    }
    for (const Setting& setting : settings_) {
      const auto it = env.find(setting.env);
      if (it == env.end()) continue;
      const absl::Status status = Apply(setting, it->second, setting.env);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status ApplyFlags(const Flags& flags) {
    for (const auto& [setting, value] : flags.values) {
      const absl::Status status = Apply(*setting, value, "--" + setting->path);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status ApplyDefaults() {
    for (const Setting& setting : settings_) {
      if (IsSet(setting, config_)) continue;
      // An explicitly empty list (of a flag or variable) stays empty.
      if (setting.field->is_repeated() && origins_.contains(setting.path)) continue;
      if (setting.options.has_default_()) {
        const absl::Status status =
            Apply(setting, setting.options.default_(), "default of " + setting.path);
        if (!status.ok()) return status;
      } else {
        MutableHolder(setting, &config_);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Apply(const Setting& setting, std::string_view value, std::string origin) {
    const absl::Status status = SetFromText(setting, value, &config_);
    if (!status.ok()) return Wrong(origin, status);
    origins_[setting.path] = std::move(origin);
    return absl::OkStatus();
  }

  absl::Status CheckRanges() const {
    for (const Setting& setting : settings_) {
      const absl::Status status = CheckRange(setting, config_);
      if (!status.ok()) return Wrong(OriginOf(setting), status);
    }
    return absl::OkStatus();
  }

  absl::Status CheckSecretFiles() const {
    for (const Setting& setting : settings_) {
      if (!NamesSecretFile(setting)) continue;
      for (const std::string& path : StringValues(setting, config_)) {
        const absl::StatusOr<std::string> content = ReadFile(path, kMaxSecretFileBytes);
        std::string why;
        if (!content.ok()) {
          why = std::string(content.status().message());
        } else if (content->empty()) {
          why = absl::StrCat(path, " is empty");
        } else {
          continue;
        }
        return Wrong(OriginOf(setting),
                     absl::StrCat(setting.path, ": ", why,
                                  "; allowed: a file that this process's user can read"));
      }
    }
    return absl::OkStatus();
  }

  std::string OriginOf(const Setting& setting) const {
    const auto it = origins_.find(setting.path);
    return it == origins_.end() ? "configuration" : it->second;
  }

  std::string Redacted() const {
    v1::Config copy = config_;
    for (const Setting& setting : settings_) {
      if (!setting.options.secret() || StringValues(setting, copy).empty()) continue;
      Message* holder = MutableHolder(setting, &copy);
      holder->GetReflection()->ClearField(holder, setting.field);
      // A secret is text; a list of them shows as one ***.
      if (setting.field->is_repeated()) {
        holder->GetReflection()->AddString(holder, setting.field, "***");
      } else {
        holder->GetReflection()->SetString(holder, setting.field, "***");
      }
    }
    std::string text;
    google::protobuf::TextFormat::PrintToString(copy, &text);
    return text;
  }

  std::string Help(std::string_view program) const {
    std::string text = absl::StrCat(
        "usage: ", std::string(program), " [--config=FILE] [--section.field=VALUE ...]\n\n",
        "  --config=FILE   settings in text format (or ", std::string(kFileEnv), "=FILE)\n",
        "  --print_config  print the effective configuration, secrets as ***, and exit\n",
        "  --help          print this and exit\n\n",
        "Settings. A flag wins over the environment variable, that over the file.\n");
    for (const Setting& setting : settings_) {
      absl::StrAppend(&text, "  --", setting.path, "=VALUE\n      ",
                      AllowedValues(*setting.field, setting.options), "; ", setting.env);
      if (!setting.options.default_().empty()) {
        absl::StrAppend(&text, "; default: ", setting.options.default_());
      }
      text += '\n';
    }
    return text;
  }

  const std::vector<Setting> settings_ = AllSettings();
  v1::Config config_;
  std::map<std::string, std::string> origins_;  // by path: where the value stands
};

}  // namespace

absl::StatusOr<Loaded> LoadConfig(int argc, const char* const* argv, const Environment& env) {
  return Loader().Load(argc, argv, env);
}

std::optional<int> ExitCode(const absl::StatusOr<Loaded>& loaded) {
  if (!loaded.ok()) {
    const std::string line = absl::StrCat(loaded.status().message(), "\n");
    std::fwrite(line.data(), 1, line.size(), stderr);
    return kBadConfigExitCode;
  }
  if (!loaded->print.has_value()) return std::nullopt;
  std::fwrite(loaded->print->data(), 1, loaded->print->size(), stdout);
  return 0;
}

v1::Config DefaultConfig() {
  v1::Config config;
  for (const Setting& setting : AllSettings()) {
    MutableHolder(setting, &config);
    // The defaults are checked by a test.
    if (setting.options.has_default_()) {
      (void)SetFromText(setting, setting.options.default_(), &config);
    }
  }
  return config;
}

}  // namespace slipstream::config
