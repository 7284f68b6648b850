// The task llm_generate_rfc: a prompt becomes an RFC in Markdown, kept as an artifact and cached.
//
// Thread safety: RunGenerateRfc may run for several tasks at once; `deps` must outlive it.
#ifndef SERVICES_WORKER_HANDLERS_GENERATE_RFC_H_
#define SERVICES_WORKER_HANDLERS_GENERATE_RFC_H_

#include <string>

#include "services/worker/handlers/seams.h"
#include "services/worker/rfc_draft/drafter.h"
#include "slipstream/task_queue/v1/task_type.pb.h"

namespace slipstream::worker {

inline constexpr size_t kMaxResultMarkdownBytes = 200 << 10;

struct GenerateRfcDeps {
  rfc_draft::Drafter* drafter = nullptr;
  CacheGet cache_get;  // empty: nothing is cached
  CacheSet cache_set;
  UploadArtifact upload;
  Warn warn;  // may be empty
};

// Name, description, schema, example and limits, for the worker's hello and /examples.
task_queue::v1::TaskType GenerateRfcType();

absl::StatusOr<rfc_draft::DraftRequest> ParseGenerateRfcArgs(const google::protobuf::Struct& args);

// The cache key of a draft: a hash of the drafter and its version, the template, title and prompt.
std::string DraftCacheKey(const rfc_draft::Drafter& drafter,
                          const rfc_draft::DraftRequest& request);

// Result: markdown (at most 200 KiB; `markdown_truncated` tells), title, subject, template,
// sections, key_phrases, words, cached, drafter, note, artifact_id.
Async<absl::StatusOr<TaskOutput>> RunGenerateRfc(rfc_draft::DraftRequest request,
                                                 const GenerateRfcDeps& deps, TaskContext context);

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_HANDLERS_GENERATE_RFC_H_
