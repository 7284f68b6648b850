// What is printed: a complete HTML document and the print stylesheet that goes with it.
//
// Purpose: Markdown (with or without front matter) or a caller's HTML becomes one PrintDocument
// with a title block, page numbers and a footer that names the task. Thread safety: pure functions.
// Errors: INVALID_ARGUMENT (empty, too long).
#ifndef SERVICES_WORKER_PDF_PRINT_DOCUMENT_H_
#define SERVICES_WORKER_PDF_PRINT_DOCUMENT_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace slipstream::worker::pdf {

inline constexpr size_t kMaxInputBytes = 1 << 20;

struct PrintMeta {
  std::string title;    // empty: the document's own title
  std::string task_id;  // in the footer
  std::string date;     // shown in the title block; empty for none
};

struct PrintDocument {
  std::string html;
  std::string css;
  std::string title;
};

// Raw HTML in the Markdown is shown as text. A front matter's `title`, `note` and `keywords` go
// into the title block and the PDF's metadata.
absl::StatusOr<PrintDocument> FromMarkdown(std::string_view markdown, const PrintMeta& meta);

// The caller's HTML as it is; its own styles win over the print stylesheet. What it refers to
// outside itself is never fetched (see renderer.h).
absl::StatusOr<PrintDocument> FromHtml(std::string_view html, const PrintMeta& meta);

// `text` for HTML text and double-quoted attributes.
std::string HtmlEscape(std::string_view text);

}  // namespace slipstream::worker::pdf

#endif  // SERVICES_WORKER_PDF_PRINT_DOCUMENT_H_
