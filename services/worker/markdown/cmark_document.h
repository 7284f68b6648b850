// A parsed Markdown document: RAII around cmark-gfm.
//
// Purpose: the one place that knows how the library is set up (tables, task lists, strikethrough)
// and what is kept from it: raw HTML never survives as HTML, it is shown as the text that was
// typed. Thread safety: Parse and ToHtml from any thread; one Document belongs to one thread.
// Errors: INVALID_ARGUMENT when the text is longer than kMaxMarkdownBytes.
#ifndef SERVICES_WORKER_MARKDOWN_CMARK_DOCUMENT_H_
#define SERVICES_WORKER_MARKDOWN_CMARK_DOCUMENT_H_

#include <cmark-gfm.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace slipstream::worker {

inline constexpr size_t kMaxMarkdownBytes = 1 << 20;

class CmarkDocument {
 public:
  enum class Tables { kOff, kOn };

  static absl::StatusOr<CmarkDocument> Parse(std::string_view markdown, Tables tables);

  cmark_node* root() const { return root_.get(); }

  // Takes the first heading of level 1 out of the document when nothing stands before it, and
  // returns its text; empty when the document does not begin with one.
  std::string TakeLeadingTitle();

  // The body as HTML. Raw HTML is escaped, comments are dropped, and links to javascript:, file:
  // and data: are emptied.
  std::string ToHtml() const;

 private:
  struct NodeFree {
    void operator()(cmark_node* node) const { cmark_node_free(node); }
  };
  explicit CmarkDocument(cmark_node* root) : root_(root) {}

  std::unique_ptr<cmark_node, NodeFree> root_;
};

// The plain text below `node`: what a reader sees, without markup.
std::string PlainText(cmark_node* node);

}  // namespace slipstream::worker

#endif  // SERVICES_WORKER_MARKDOWN_CMARK_DOCUMENT_H_
