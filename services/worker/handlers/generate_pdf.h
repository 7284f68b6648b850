// The task generate_pdf: Markdown or HTML becomes a PDF artifact.
//
// Thread safety: RunGeneratePdf may run for several tasks at once; `deps` must outlive it.
#ifndef SERVICES_WORKER_HANDLERS_GENERATE_PDF_H_
#define SERVICES_WORKER_HANDLERS_GENERATE_PDF_H_

#include <string>

#include "libs/clock/clock.h"
#include "services/worker/handlers/seams.h"
#include "services/worker/pdf/renderer.h"
#include "slipstream/task_queue/v1/task_type.pb.h"

namespace slipstream::worker {

// Exactly one of markdown, html and artifact_id is set.
struct GeneratePdfArgs {
  std::string markdown;
  std::string html;
  std::string artifact_id;  // an artifact of the owner: Markdown, plain text or HTML
  std::string title;
  std::string file_name;  // empty: from the title
};

struct GeneratePdfDeps {
  pdf::PdfRenderer* renderer = nullptr;
  const clock::Clock* clock = nullptr;
  UploadArtifact upload;
  DownloadArtifact download;
};

task_queue::v1::TaskType GeneratePdfType();

absl::StatusOr<GeneratePdfArgs> ParseGeneratePdfArgs(const google::protobuf::Struct& args);

// Result: artifact_id, file_name, title, pages, bytes, refused_resources (references to outside the
// document that were not fetched).
Async<absl::StatusOr<TaskOutput>> RunGeneratePdf(GeneratePdfArgs args, const GeneratePdfDeps& deps,
                                                 TaskContext context);

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_HANDLERS_GENERATE_PDF_H_
