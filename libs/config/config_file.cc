#include "libs/config/config_file.h"

#include <errno.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "libs/config/nearest.h"

namespace slipstream::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::TextFormat;

constexpr int kMaxNesting = 32;

class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int, const std::string& message) override {
    if (!message_.empty()) return;
    line_ = line;
    message_ = message;
  }
  int line() const { return line_; }
  const std::string& message() const { return message_; }

 private:
  int line_ = 0;
  std::string message_;
};

// The part of `text` between two marks, or empty.
std::string_view Between(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t at = text.find(before);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + before.size());
  return text.substr(0, text.find(after));
}

// protobuf says: Message type "slipstream.config.v1.CacheConfig" has no field named "l1_bytes".
std::string Explain(const std::string& message) {
  const std::string_view type = Between(message, "Message type \"", "\"");
  const std::string_view name = Between(message, "has no field named \"", "\"");
  // Anything else without the token that stood there: it may be (part of) a secret.
  if (type.empty() || name.empty()) return message.substr(0, message.find(", got:"));
  const Descriptor* descriptor =
      v1::Config::descriptor()->file()->pool()->FindMessageTypeByName(std::string(type));
  std::vector<std::string> known;
  for (int i = 0; descriptor != nullptr && i < descriptor->field_count(); ++i) {
    known.push_back(descriptor->field(i)->name());
  }
  return absl::StrCat("unknown setting \"", std::string(name), "\"", DidYouMean(name, known));
}

// The line, from 1, on which the setting stands; 0 when it does not.
int LineOf(const Setting& setting, const TextFormat::ParseInfoTree& root) {
  const TextFormat::ParseInfoTree* tree = &root;
  for (const auto* parent : setting.parents) {
    tree = tree->GetTreeForNested(parent, -1);
    if (tree == nullptr) return 0;
  }
  return tree->GetLocation(setting.field, setting.field->is_repeated() ? 0 : -1).line + 1;
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  const auto refuse = [&](std::string_view why) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot read ", path, ": ", std::string(why)));
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"),
                                                             &std::fclose);
  if (file == nullptr) {
    const int error = errno;
    if (error == ENOENT) return absl::NotFoundError(absl::StrCat("there is no file ", path));
    return refuse(std::strerror(error));
  }
  std::string text(max_bytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return refuse(std::strerror(errno));
  if (text.size() > max_bytes)
    return refuse(absl::StrCat("it has more than ", max_bytes, " bytes"));
  return text;
}

absl::StatusOr<ConfigFile> ReadConfigFile(const std::string& path,
                                          const std::vector<Setting>& settings) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxConfigFileBytes);
  if (!text.ok()) return absl::InvalidArgumentError(text.status().message());
  ConfigFile result;
  FirstError error;
  TextFormat::ParseInfoTree lines;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.WriteLocationsTo(&lines);
  parser.SetRecursionLimit(kMaxNesting);
  if (!parser.ParseFromString(*text, &result.config)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ":", error.line() + 1, ": ", Explain(error.message())));
  }
  for (const Setting& setting : settings) {
    const int line = LineOf(setting, lines);
    if (line > 0) result.origins[setting.path] = absl::StrCat(path, ":", line);
  }
  return result;
}

}  // namespace slipstream::config
