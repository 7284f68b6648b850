#include "services/task_queue/task_type_registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"

namespace slipstream::task_queue {

namespace {

constexpr size_t kMaxNameBytes = 64;
constexpr int kMaxAliasesCount = 8;
constexpr size_t kMaxDescriptionBytes = 1024;
constexpr size_t kMaxSchemaBytes = 64 << 10;
constexpr size_t kMaxExampleBytes = 16 << 10;
constexpr int kMaxDurationMs = 86'400'000;
constexpr int kMaxAttemptsCount = 100;

bool Within(int value, int least, int most) { return value >= least && value <= most; }

absl::StatusOr<std::shared_ptr<const KnownType>> Check(const v1::TaskType& type) {
  const std::string at = absl::StrCat("task_types[", type.name(), "].");
  if (!IsTaskTypeName(type.name())) {
    return status::FieldError("task_types.name", "must be 1-64 characters of [a-z0-9_.-]");
  }
  if (type.aliases_size() > kMaxAliasesCount) {
    return status::FieldError(at + "aliases", "may be at most 8");
  }
  for (const std::string& alias : type.aliases()) {
    if (!IsTaskTypeName(alias)) {
      return status::FieldError(at + "aliases", "must each be 1-64 characters of [a-z0-9_.-]");
    }
  }
  if (type.description().size() > kMaxDescriptionBytes) {
    return status::FieldError(at + "description", "may have at most 1,024 bytes");
  }
  if (type.args_schema().ByteSizeLong() > kMaxSchemaBytes) {
    return status::FieldError(at + "args_schema", "may have at most 64 KiB");
  }
  if (type.example_args().ByteSizeLong() > kMaxExampleBytes) {
    return status::FieldError(at + "example_args", "may have at most 16 KiB");
  }
  if (!Within(type.deadline_ms(), 0, kMaxDurationMs) ||
      !Within(type.expected_min_ms(), 0, kMaxDurationMs) ||
      !Within(type.expected_max_ms(), 0, kMaxDurationMs)) {
    return status::FieldError(at + "deadline_ms", "and expected times must be 0-86,400,000 ms");
  }
  if (!Within(type.max_attempts(), 0, kMaxAttemptsCount)) {
    return status::FieldError(at + "max_attempts", "must be 0-100");
  }
  absl::StatusOr<JsonSchema> schema = JsonSchema::Compile(type.args_schema());
  if (!schema.ok()) return schema.status();
  if (type.has_example_args()) {
    const auto wrong = schema->Check(type.example_args());
    if (!wrong.empty()) {
      return status::FieldError(
          at + "example_args",
          absl::StrCat("does not meet the schema: ", wrong[0].field, " ", wrong[0].message));
    }
  }
  const bool sensitive = schema->has_sensitive();
  return std::make_shared<const KnownType>(KnownType{type, *std::move(schema), sensitive});
}

}  // namespace

bool IsTaskTypeName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                  c == '-';
         });
}

absl::Status TaskTypeRegistry::Announce(const std::vector<v1::TaskType>& types) {
  std::vector<std::shared_ptr<const KnownType>> checked;
  for (const v1::TaskType& type : types) {
    auto known = Check(type);
    if (!known.ok()) return known.status();
    checked.push_back(*std::move(known));
  }
  sync::MutexLock lock(mu_);
  auto merged = types_;
  for (const auto& known : checked) merged[known->type.name()] = known;
  if (merged.size() > kMaxKnownTypesCount) {
    return status::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_TASK_TYPES",
                         absl::StrCat("the queue knows at most ", kMaxKnownTypesCount,
                                      " task types; restart it to forget old ones"));
  }
  std::map<std::string, std::string, std::less<>> aliases;
  for (const auto& [name, known] : merged) {
    for (const std::string& alias : known->type.aliases()) {
      if (alias == name) continue;
      if (merged.contains(alias) || !aliases.emplace(alias, name).second) {
        return status::FieldError("task_types.aliases",
                                  absl::StrCat("\"", alias, "\" already names another type"));
      }
    }
  }
  types_ = std::move(merged);
  aliases_ = std::move(aliases);
  version_.fetch_add(1, std::memory_order_acq_rel);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const KnownType>> TaskTypeRegistry::Find(
    std::string_view name_or_alias) const {
  sync::MutexLock lock(mu_);
  auto alias = aliases_.find(name_or_alias);
  auto it = types_.find(alias == aliases_.end() ? name_or_alias : alias->second);
  if (it != types_.end()) return it->second;
  if (types_.empty()) {
    return status::WithRetryAfter(
        status::Error(absl::StatusCode::kUnavailable, "NO_WORKER_YET",
                      "no worker has connected since the queue started, so no task type is known; "
                      "start a worker, or try again after the delay given"),
        absl::Seconds(1));
  }
  std::string names;
  for (const auto& [name, known] : types_) absl::StrAppend(&names, names.empty() ? "" : ", ", name);
  const std::string asked =
      status::BoundedText({name_or_alias.data(), name_or_alias.size()}, kMaxNameBytes);
  return status::Error(absl::StatusCode::kInvalidArgument, kUnknownTaskType,
                       absl::StrCat("task_type \"", asked, "\" is not known; known are: ", names),
                       {{"field", "task_type"}, {"known_task_types", names}});
}

std::vector<std::shared_ptr<const KnownType>> TaskTypeRegistry::All() const {
  sync::MutexLock lock(mu_);
  std::vector<std::shared_ptr<const KnownType>> all;
  for (const auto& [name, known] : types_) all.push_back(known);
  return all;
}

}  // namespace slipstream::task_queue
