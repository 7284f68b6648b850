#include "libs/config/reference.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "libs/config/setting.h"

namespace slipstream::config {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::SourceLocation;

constexpr char kIntro[] =
    "# Configuration reference\n\n"
    "<!-- Generated from protos/slipstream/config/v1/config.proto; do not edit. Refresh it with\n"
    "     bazel run //libs/config:config_reference > libs/config/REFERENCE.md -->\n\n"
    "Every binary reads the same configuration and uses its own section and the shared ones. A "
    "flag "
    "wins over an\nenvironment variable, that over the file, that over the default:\n\n"
    "- flag: `--section.field=VALUE`; of a true-or-false setting `--section.field` alone means "
    "true;\n"
    "- environment variable: as listed; a `SLIPSTREAM_` variable that no setting has stops the "
    "process;\n"
    "- file: `--config=FILE` or `SLIPSTREAM_CONFIG=FILE`, in protobuf's text format, "
    "`section { field: VALUE }`.\n\n"
    "A list is given as values joined by commas in a flag or variable, and by repeating the field "
    "in the file. Files that\n`..._file` settings name are read at start. `--print_config` shows "
    "the effective configuration with secrets as `***`,\n`--help` lists the settings. What is "
    "wrong "
    "stops the process with exit code 2 and one line that says where it stands\nand what is "
    "allowed.\n";

std::string OneLine(const std::string& comment) {
  std::vector<std::string> words =
      absl::StrSplit(comment, absl::ByAnyChar(" \n\t"), absl::SkipEmpty());
  std::string text;
  for (const std::string& word : words) absl::StrAppend(&text, text.empty() ? "" : " ", word);
  return text;
}

std::string Cell(const std::string& text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}, {"\n", " "}});
}

std::string Code(const std::string& text) { return text.empty() ? "" : "`" + Cell(text) + "`"; }

// A list of messages is too long for a cell: its default stands with the message.
std::string DefaultCell(const Setting& setting) {
  if (setting.field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
    return Code(setting.options.default_());
  }
  return "see " + setting.field->message_type()->name();
}

class Writer {
 public:
  absl::Status Open(const std::string& descriptor_set) {
    google::protobuf::FileDescriptorSet set;
    if (!set.ParseFromString(descriptor_set)) {
      return absl::InvalidArgumentError("not a FileDescriptorSet");
    }
    for (const auto& file : set.file()) {
      const bool needed = file.name() == "google/protobuf/descriptor.proto" ||
                          std::string_view(file.name()).starts_with("slipstream/config/");
      if (needed && pool_.BuildFile(file) == nullptr) {
        return absl::InvalidArgumentError(absl::StrCat("cannot load ", file.name()));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Write() {
    std::string text = kIntro;
    std::string section;
    for (const Setting& setting : AllSettings()) {
      const std::string holder = setting.path.substr(0, setting.path.rfind('.'));
      if (holder != section) {
        section = holder;
        absl::StrAppend(&text, "\n## ", section, "\n\n", Comment(*setting.parents.back()),
                        "\n\n| setting | default | allowed | environment | meaning |\n"
                        "|---|---|---|---|---|\n");
      }
      const std::string comment = Comment(*setting.field);
      if (comment.empty()) {
        return absl::InvalidArgumentError(absl::StrCat(setting.path, " has no comment"));
      }
      absl::StrAppend(&text, "| ", Code(setting.field->name()), " | ", DefaultCell(setting), " | ",
                      Cell(AllowedValues(*setting.field, setting.options)),
                      setting.options.secret() ? "; secret" : "", " | ", Code(setting.env), " | ",
                      Cell(comment), EnumValues(*setting.field), " |\n");
      if (setting.field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        lists_.push_back(setting);
      }
    }
    for (const Setting& list : lists_) AppendMessage(list, &text);
    return text;
  }

 private:
  template <typename D>
  static std::string CommentOf(const D* descriptor) {
    SourceLocation location;
    if (descriptor == nullptr || !descriptor->GetSourceLocation(&location)) return "";
    return OneLine(location.leading_comments);
  }

  std::string Comment(const FieldDescriptor& field) const {
    return CommentOf(pool_.FindFieldByName(field.full_name()));
  }

  std::string EnumValues(const FieldDescriptor& field) const {
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) return "";
    std::string text;
    const auto* type = pool_.FindEnumTypeByName(field.enum_type()->full_name());
    for (int i = 0; type != nullptr && i < type->value_count(); ++i) {
      if (type->value(i)->number() == 0) continue;
      absl::StrAppend(&text, " `", type->value(i)->name(), "`: ", Cell(CommentOf(type->value(i))));
    }
    return text;
  }

  // The fields of the message that a list is made of, and the list's default as a file has it.
  void AppendMessage(const Setting& list, std::string* text) const {
    const Descriptor& message = *list.field->message_type();
    absl::StrAppend(text, "\n## ", message.name(), "\n\n",
                    CommentOf(pool_.FindMessageTypeByName(message.full_name())),
                    "\n\n| field | allowed | meaning |\n|---|---|---|\n");
    for (int i = 0; i < message.field_count(); ++i) {
      const FieldDescriptor& field = *message.field(i);
      absl::StrAppend(text, "| ", Code(field.name()), " | ",
                      Cell(AllowedValues(field, field.options().GetExtension(v1::setting))), " | ",
                      Cell(Comment(field)), " |\n");
    }
    v1::Config config;
    std::string value;
    if (SetFromText(list, list.options.default_(), &config).ok()) {
      google::protobuf::TextFormat::PrintToString(config, &value);
    }
    absl::StrAppend(text, "\nDefault of `", list.path, "`:\n\n```textproto\n", value, "```\n");
  }

  DescriptorPool pool_;
  std::vector<Setting> lists_;  // of messages
};

}  // namespace

absl::StatusOr<std::string> Reference(const std::string& descriptor_set) {
  Writer writer;
  const absl::Status status = writer.Open(descriptor_set);
  if (!status.ok()) return status;
  return writer.Write();
}

}  // namespace slipstream::config
