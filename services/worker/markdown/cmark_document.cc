#include "services/worker/markdown/cmark_document.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm-extension_api.h>
#include <cmark-gfm.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>

#include "libs/status/status.h"

namespace slipstream::worker {
namespace {

// The table extension costs the square of the number of cells in a line, and fills short rows up to
// the width of the header. Above these the text is read without tables.
constexpr size_t kMaxPipesPerLine = 500;
constexpr size_t kMaxTableCells = 100'000;

struct IterFree {
  void operator()(cmark_iter* iter) const { cmark_iter_free(iter); }
};
using Iter = std::unique_ptr<cmark_iter, IterFree>;

struct ParserFree {
  void operator()(cmark_parser* parser) const { cmark_parser_free(parser); }
};

bool TablesAreAffordable(std::string_view text) {
  size_t widest = 0, rows = 0, pipes = 0;
  for (char c : text) {
    if (c == '|') {
      widest = std::max(widest, ++pipes);
    } else if (c == '\n') {
      if (pipes > 0) ++rows;
      pipes = 0;
    }
  }
  return widest <= kMaxPipesPerLine && (rows + 1) * widest <= kMaxTableCells;
}

// cmark-gfm keeps its extensions in a registry of the process, whose set-up is not thread-safe.
void RegisterExtensionsOnce() {
  static std::once_flag once;
  std::call_once(once, [] { cmark_gfm_core_extensions_ensure_registered(); });
}

std::string_view Literal(cmark_node* node) {
  const char* text = cmark_node_get_literal(node);
  return text == nullptr ? std::string_view() : std::string_view(text);
}

// Puts `text` where `node` stands and frees `node`.
void ReplaceByText(cmark_node* node, const std::string& text, bool block) {
  cmark_node* leaf = cmark_node_new(CMARK_NODE_TEXT);
  cmark_node_set_literal(leaf, text.c_str());
  cmark_node* replacement = leaf;
  if (block) {
    replacement = cmark_node_new(CMARK_NODE_PARAGRAPH);
    cmark_node_append_child(replacement, leaf);
  }
  if (cmark_node_replace(node, replacement)) {
    cmark_node_free(node);
  } else {
    cmark_node_free(replacement);
  }
}

void ShowRawHtmlAsText(cmark_node* root) {
  Iter iter(cmark_iter_new(root));
  for (cmark_event_type event; (event = cmark_iter_next(iter.get())) != CMARK_EVENT_DONE;) {
    cmark_node* node = cmark_iter_get_node(iter.get());
    const cmark_node_type type = cmark_node_get_type(node);
    if (type != CMARK_NODE_HTML_BLOCK && type != CMARK_NODE_HTML_INLINE) continue;
    std::string text(Literal(node));
    if (text.rfind("<!--", 0) == 0) text.clear();
    while (!text.empty() && text.back() == '\n') text.pop_back();
    // HTML nodes are leaves: the iterator has left the node already, so it may be freed.
    ReplaceByText(node, text, type == CMARK_NODE_HTML_BLOCK);
  }
}

}  // namespace

absl::StatusOr<CmarkDocument> CmarkDocument::Parse(std::string_view markdown, Tables tables) {
  if (markdown.size() > kMaxMarkdownBytes) {
    return status::FieldError("markdown", "is longer than 1 MiB; split the document");
  }
  RegisterExtensionsOnce();
  std::unique_ptr<cmark_parser, ParserFree> parser(cmark_parser_new(CMARK_OPT_VALIDATE_UTF8));
  if (tables == Tables::kOn) {
    for (const char* name : {"table", "strikethrough", "tasklist"}) {
      if (std::string_view(name) == "table" && !TablesAreAffordable(markdown)) continue;
      if (cmark_syntax_extension* extension = cmark_find_syntax_extension(name)) {
        cmark_parser_attach_syntax_extension(parser.get(), extension);
      }
    }
  }
  cmark_parser_feed(parser.get(), markdown.data(), markdown.size());
  CmarkDocument document(cmark_parser_finish(parser.get()));
  if (document.root_ == nullptr) {
    return status::Error(absl::StatusCode::kInternal, "MARKDOWN_UNREADABLE",
                         "The Markdown could not be read; report this with the document.");
  }
  ShowRawHtmlAsText(document.root());
  return document;
}

std::string CmarkDocument::TakeLeadingTitle() {
  cmark_node* first = cmark_node_first_child(root());
  if (first == nullptr || cmark_node_get_type(first) != CMARK_NODE_HEADING ||
      cmark_node_get_heading_level(first) != 1) {
    return "";
  }
  std::string text = PlainText(first);
  cmark_node_unlink(first);
  cmark_node_free(first);
  return text;
}

std::string CmarkDocument::ToHtml() const {
  std::unique_ptr<char, decltype(&std::free)> html(
      cmark_render_html(root(), CMARK_OPT_DEFAULT, nullptr), &std::free);
  return html == nullptr ? "" : std::string(html.get());
}

std::string PlainText(cmark_node* node) {
  std::string out;
  Iter iter(cmark_iter_new(node));
  for (cmark_event_type event; (event = cmark_iter_next(iter.get())) != CMARK_EVENT_DONE;) {
    if (event != CMARK_EVENT_ENTER) continue;
    cmark_node* at = cmark_iter_get_node(iter.get());
    const cmark_node_type type = cmark_node_get_type(at);
    if (type == CMARK_NODE_SOFTBREAK || type == CMARK_NODE_LINEBREAK) {
      out += ' ';
    } else if (type == CMARK_NODE_TEXT || type == CMARK_NODE_CODE ||
               type == CMARK_NODE_CODE_BLOCK) {
      out += Literal(at);
    }
  }
  return out;
}

}  // namespace slipstream::worker
