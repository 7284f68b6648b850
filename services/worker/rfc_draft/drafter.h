// The seam between the task llm_generate_rfc and whatever writes the draft.
//
// Purpose: the offline drafter (no language model) and a model behind an endpoint are told apart by
// configuration alone. Thread safety: Write may run for several requests at once.
// Errors: INVALID_ARGUMENT (a field of the request), CANCELLED (the token was triggered).
#ifndef SERVICES_WORKER_RFC_DRAFT_DRAFTER_H_
#define SERVICES_WORKER_RFC_DRAFT_DRAFTER_H_

#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/async.h"

namespace slipstream::worker::rfc_draft {

inline constexpr size_t kMaxPromptBytes = 64 << 10;
inline constexpr size_t kMaxTitleBytes = 200;

struct DraftRequest {
  std::string prompt;                      // 1 byte to 64 KiB of UTF-8, Markdown or plain text
  std::string title;                       // may be empty: then the prompt's subject is the title
  std::string template_name = "standard";  // one of TemplateNames()
};

struct Draft {
  std::string markdown;
  std::string title;
  std::string subject;
  std::vector<std::string> section_headings;
  std::vector<std::string> key_phrases;  // most telling first
  int word_count = 0;
};

// Percent (0-100, never falling) and what is being done. Not called after Write has returned.
using DraftProgress = std::function<void(int percent, std::string_view stage)>;

class Drafter {
 public:
  virtual ~Drafter() = default;

  // Short name for results, for example "offline".
  virtual std::string_view Name() const = 0;
  // Changes whenever the same request may give another draft; part of the cache key.
  virtual std::string_view Version() const = 0;
  // The label that every draft carries at its top and in its metadata; empty for none.
  virtual std::string_view Label() const = 0;

  virtual Async<absl::StatusOr<Draft>> Write(DraftRequest request, DraftProgress progress,
                                             std::stop_token cancel) = 0;
};

}  // namespace slipstream::worker::rfc_draft

#endif  // SERVICES_WORKER_RFC_DRAFT_DRAFTER_H_
