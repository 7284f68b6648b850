#include "services/worker/handlers/generate_rfc.h"

#include <openssl/evp.h>

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/worker/handlers/args_reader.h"
#include "services/worker/handlers/task_type_data.h"

namespace slipstream::worker {
namespace {

using google::protobuf::Struct;
using rfc_draft::Draft;
using rfc_draft::DraftRequest;

constexpr char kSchema[] = R"json({
  "type": "object",
  "required": ["prompt"],
  "additionalProperties": false,
  "properties": {
    "prompt": {"type": "string", "minLength": 1, "maxLength": 65536,
      "description": "What the RFC is about, as text or Markdown: problem, goals, requirements, proposal, risks. At most 64 KiB."},
    "title": {"type": "string", "maxLength": 200,
      "description": "Title of the RFC; without one, the prompt's subject."},
    "template": {"type": "string", "enum": ["standard", "technical", "decision"],
      "description": "Shape of the RFC; standard unless given."}
  }
})json";

constexpr char kExample[] = R"json({
  "prompt": "The nightly invoice export fails twice a week and takes 4 hours. It must finish within 90 minutes. We propose one task per invoice, run by 40 workers. A risk is the load on the shared database. Success is measured by the p95 of the run time.",
  "title": "Invoice export by task queue",
  "template": "standard"
})json";

constexpr TaskTypeData kType = {
    "llm_generate_rfc",
    "",
    "Drafts an RFC in Markdown from a prompt. Without a configured language model, an offline "
    "outline "
    "that sorts the prompt's own sentences into the template, and says so at its top.",
    kSchema,
    kExample,
    absl::Minutes(2),
    absl::Minutes(5),
    absl::Minutes(15),
    3};

// Length before each part, so that no two requests run together to the same bytes.
std::string WithLength(absl::string_view part) { return absl::StrCat(part.size(), ":", part); }

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

void SetList(Struct* to, const char* field, const std::vector<std::string>& values) {
  auto* list = (*to->mutable_fields())[field].mutable_list_value();
  for (const std::string& value : values) list->add_values()->set_string_value(value);
}

void SetString(Struct* to, const char* field, const std::string& value) {
  (*to->mutable_fields())[field].set_string_value(value);
}

std::string StringOf(const Struct& from, const char* field) {
  const auto found = from.fields().find(field);
  return found == from.fields().end() ? "" : found->second.string_value();
}

// What is the same for every task with this draft, and what the cache keeps.
Struct Describe(const Draft& draft, const DraftRequest& request,
                const rfc_draft::Drafter& drafter) {
  Struct out;
  SetString(&out, "markdown", draft.markdown);
  SetString(&out, "title", draft.title);
  SetString(&out, "subject", draft.subject);
  SetString(&out, "template", request.template_name);
  SetString(&out, "drafter", std::string(drafter.Name()));
  SetString(&out, "note", std::string(drafter.Label()));
  SetList(&out, "sections", draft.section_headings);
  SetList(&out, "key_phrases", draft.key_phrases);
  (*out.mutable_fields())["words"].set_number_value(draft.word_count);
  return out;
}

Async<std::optional<Struct>> FromCache(const GenerateRfcDeps& deps, std::string key) {
  if (!deps.cache_get) co_return std::nullopt;
  auto found = co_await deps.cache_get(key);
  if (!found.ok()) {
    // A cache that is away costs time, never the task.
    if (deps.warn) deps.warn(absl::StrCat("draft cache: ", found.status().message()));
    co_return std::nullopt;
  }
  Struct stored;
  if (!found->has_value() || !stored.ParseFromString(**found)) co_return std::nullopt;
  if (StringOf(stored, "markdown").empty()) co_return std::nullopt;
  co_return stored;
}

Async<void> ToCache(const GenerateRfcDeps& deps, std::string key, std::string value) {
  if (!deps.cache_set) co_return;
  const absl::Status kept = co_await deps.cache_set(std::move(key), std::move(value));
  if (!kept.ok() && deps.warn) deps.warn(absl::StrCat("draft cache: ", kept.message()));
}

absl::Status Cancelled() {
  return status::Error(absl::StatusCode::kCancelled, "TASK_CANCELLED", "The task was cancelled.");
}

}  // namespace

task_queue::v1::TaskType GenerateRfcType() { return BuildTaskType(kType); }

absl::StatusOr<DraftRequest> ParseGenerateRfcArgs(const Struct& args) {
  ArgsReader reader(args);
  DraftRequest request;
  request.prompt = reader.String("prompt", rfc_draft::kMaxPromptBytes);
  request.title = reader.String("title", rfc_draft::kMaxTitleBytes);
  if (std::string name = reader.String("template", 32); !name.empty()) {
    request.template_name = std::move(name);
  }
  if (request.template_name != "standard" && request.template_name != "technical" &&
      request.template_name != "decision") {
    reader.Complain("template", "is not one of standard, technical, decision");
  }
  if (absl::Status checked = reader.Finish(); !checked.ok()) return checked;
  if (absl::StripAsciiWhitespace(request.prompt).empty()) {
    return status::FieldError("args.prompt",
                              "is empty; say in a few sentences what the RFC is about");
  }
  return request;
}

std::string DraftCacheKey(const rfc_draft::Drafter& drafter, const DraftRequest& request) {
  const std::string whole = absl::StrCat(
      WithLength(Absl(drafter.Name())), WithLength(Absl(drafter.Version())),
      WithLength(request.template_name), WithLength(request.title), WithLength(request.prompt));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(whole.data(), whole.size(), digest, &size, EVP_sha256(), nullptr);
  return absl::StrCat("rfc:", absl::BytesToHexString(
                                  absl::string_view(reinterpret_cast<const char*>(digest), size)));
}

Async<absl::StatusOr<TaskOutput>> RunGenerateRfc(DraftRequest request, const GenerateRfcDeps& deps,
                                                 TaskContext context) {
  const auto report = [&context](int percent, std::string_view message) {
    if (context.progress) context.progress(percent, message);
  };
  report(1, "looking for the same draft in the cache");
  const std::string key = DraftCacheKey(*deps.drafter, request);
  std::optional<Struct> stored = co_await FromCache(deps, key);
  const bool cached = stored.has_value();
  if (cached) {
    report(85, "taken from the cache");
  } else {
    // The draft is 5-85 % of the task.
    const auto progress = [&report](int percent, std::string_view stage) {
      report(5 + percent * 80 / 100, stage);
    };
    auto draft = co_await deps.drafter->Write(request, progress, context.cancel);
    if (!draft.ok()) co_return draft.status();
    stored = Describe(*draft, request, *deps.drafter);
    co_await ToCache(deps, key, stored->SerializeAsString());
  }
  if (context.cancel.stop_requested()) co_return Cancelled();

  report(90, "keeping the draft");
  TaskOutput output;
  output.result = *std::move(stored);
  std::string markdown = StringOf(output.result, "markdown");
  ArtifactFile file{FileNameFor(StringOf(output.result, "title"), ".md"), "text/markdown",
                    markdown};
  auto kept = co_await deps.upload(std::move(file));
  if (!kept.ok()) co_return kept.status();
  const bool truncated = markdown.size() > kMaxResultMarkdownBytes;
  if (truncated) {
    SetString(&output.result, "markdown", status::BoundedText(markdown, kMaxResultMarkdownBytes));
  }
  auto& fields = *output.result.mutable_fields();
  fields["markdown_truncated"].set_bool_value(truncated);
  fields["cached"].set_bool_value(cached);
  fields["artifact_id"].set_string_value(kept->artifact_id());
  output.artifacts.push_back(*std::move(kept));
  report(100, "done");
  co_return output;
}

}  // namespace slipstream::worker
