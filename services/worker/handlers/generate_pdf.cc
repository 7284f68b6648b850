#include "services/worker/handlers/generate_pdf.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/status/status.h"
#include "services/worker/handlers/args_reader.h"
#include "services/worker/handlers/task_type_data.h"

namespace slipstream::worker {
namespace {

constexpr size_t kMaxTitleBytes = 200;
constexpr size_t kMaxArtifactIdBytes = 36;
constexpr size_t kMaxFileNameBytes = 255;

constexpr char kSchema[] = R"json({
  "type": "object",
  "oneOf": [{"required": ["markdown"]}, {"required": ["html"]}, {"required": ["artifact_id"]}],
  "additionalProperties": false,
  "properties": {
    "markdown": {"type": "string", "maxLength": 1048576,
      "description": "The document as Markdown (CommonMark with tables), at most 1 MiB and what the queue takes as arguments; upload a longer one. Exactly one of markdown, html and artifact_id is given."},
    "html": {"type": "string", "maxLength": 1048576,
      "description": "The document as HTML with its own styles, at most 1 MiB. Only data: URLs are loaded."},
    "artifact_id": {"type": "string", "maxLength": 36,
      "description": "An artifact of yours that holds the document: Markdown, plain text or HTML, at most 1 MiB."},
    "title": {"type": "string", "maxLength": 200,
      "description": "Title on the first page and in the PDF's properties; without one, the document's first heading."},
    "file_name": {"type": "string", "maxLength": 255,
      "description": "Name of the PDF; without one, made from the title."}
  }
})json";

constexpr char kExample[] = R"json({
  "markdown": "# Quarterly report\n\nThe export ran **91 times**.\n\n| Month | Runs |\n| --- | ---: |\n| May | 31 |\n| June | 30 |\n",
  "title": "Quarterly report",
  "file_name": "quarterly-report.pdf"
})json";

constexpr TaskTypeData kType = {"generate_pdf",
                                "generate_pdf_async",
                                "Prints Markdown or HTML as a PDF, in a sandbox without network. "
                                "The PDF is an artifact that only "
                                "its owner can download.",
                                kSchema,
                                kExample,
                                absl::Seconds(5),
                                absl::Seconds(10),
                                absl::Minutes(5),
                                3};

bool IsHtml(const ArtifactFile& file) {
  return absl::StartsWith(file.content_type, "text/html") ||
         absl::EndsWithIgnoreCase(file.name, ".html") ||
         absl::EndsWithIgnoreCase(file.name, ".htm");
}

absl::Status CheckDocumentType(const ArtifactFile& file) {
  for (const char* type : {"text/markdown", "text/x-markdown", "text/plain", "text/html"}) {
    if (absl::StartsWith(file.content_type, type)) return absl::OkStatus();
  }
  return status::FieldError(
      "args.artifact_id",
      absl::StrCat("is of type ", file.content_type, "; Markdown, plain text or HTML is needed"));
}

// Puts the artifact's text where an inline argument would stand.
Async<absl::Status> LoadDocument(GeneratePdfArgs* args, const GeneratePdfDeps& deps) {
  auto file = co_await deps.download(args->artifact_id, pdf::kMaxInputBytes);
  if (!file.ok()) co_return file.status();
  if (absl::Status type = CheckDocumentType(*file); !type.ok()) co_return type;
  if (file->bytes.size() > pdf::kMaxInputBytes) {
    co_return status::FieldError("args.artifact_id", "is larger than 1 MiB; split the document");
  }
  (IsHtml(*file) ? args->html : args->markdown) = std::move(file->bytes);
  co_return absl::OkStatus();
}

}  // namespace

task_queue::v1::TaskType GeneratePdfType() { return BuildTaskType(kType); }

absl::StatusOr<GeneratePdfArgs> ParseGeneratePdfArgs(const google::protobuf::Struct& args) {
  ArgsReader reader(args);
  GeneratePdfArgs out;
  out.markdown = reader.String("markdown", pdf::kMaxInputBytes);
  out.html = reader.String("html", pdf::kMaxInputBytes);
  out.artifact_id = reader.String("artifact_id", kMaxArtifactIdBytes);
  out.title = reader.String("title", kMaxTitleBytes);
  out.file_name = reader.String("file_name", kMaxFileNameBytes);
  int sources = 0;
  for (const char* field : {"markdown", "html", "artifact_id"})
    sources += reader.Has(field) ? 1 : 0;
  if (sources != 1) {
    reader.Complain("markdown", "give exactly one of markdown, html and artifact_id");
  } else if (absl::StripAsciiWhitespace(absl::StrCat(out.markdown, out.html, out.artifact_id))
                 .empty()) {
    const char* field = reader.Has("html")       ? "html"
                        : reader.Has("markdown") ? "markdown"
                                                 : "artifact_id";
    reader.Complain(field, "is empty, too long or not a string; there is nothing to print");
  }
  if (!out.file_name.empty()) {
    if (std::string problem = FileNameProblem(out.file_name); !problem.empty()) {
      reader.Complain("file_name", problem);
    } else if (!absl::EndsWithIgnoreCase(out.file_name, ".pdf")) {
      out.file_name += out.file_name.size() + 4 <= kMaxFileNameBytes ? ".pdf" : "";
    }
  }
  if (absl::Status checked = reader.Finish(); !checked.ok()) return checked;
  return out;
}

Async<absl::StatusOr<TaskOutput>> RunGeneratePdf(GeneratePdfArgs args, const GeneratePdfDeps& deps,
                                                 TaskContext context) {
  const auto report = [&context](int percent, std::string_view message) {
    if (context.progress) context.progress(percent, message);
  };
  if (!args.artifact_id.empty()) {
    report(1, "fetching the document");
    if (absl::Status loaded = co_await LoadDocument(&args, deps); !loaded.ok()) co_return loaded;
  }
  report(3, "preparing the document");
  pdf::PrintMeta meta{args.title, context.task_id,
                      absl::FormatTime("%Y-%m-%d", deps.clock->Now(), absl::UTCTimeZone())};
  auto document =
      args.html.empty() ? pdf::FromMarkdown(args.markdown, meta) : pdf::FromHtml(args.html, meta);
  if (!document.ok()) co_return document.status();
  const std::string title = document->title;

  // The rendering is 5-90 % of the task.
  auto rendered = co_await deps.renderer->Render(
      *std::move(document),
      [&report](int percent, std::string_view stage) { report(5 + percent * 85 / 100, stage); },
      context.cancel);
  if (!rendered.ok()) co_return rendered.status();

  report(93, "keeping the PDF");
  const size_t byte_count = rendered->bytes.size();
  ArtifactFile file{args.file_name.empty() ? FileNameFor(title, ".pdf") : args.file_name,
                    "application/pdf", std::move(rendered->bytes)};
  const std::string file_name = file.name;
  auto kept = co_await deps.upload(std::move(file));
  if (!kept.ok()) co_return kept.status();

  TaskOutput output;
  auto& fields = *output.result.mutable_fields();
  fields["artifact_id"].set_string_value(kept->artifact_id());
  fields["file_name"].set_string_value(file_name);
  fields["title"].set_string_value(title);
  fields["pages"].set_number_value(rendered->page_count);
  fields["bytes"].set_number_value(static_cast<double>(byte_count));
  fields["refused_resources"].set_number_value(rendered->refused_resource_count);
  output.artifacts.push_back(*std::move(kept));
  report(100, "done");
  co_return output;
}

}  // namespace slipstream::worker
