// Untrusted text as Markdown that shows exactly that text: no markup, no HTML, no links of its own.
//
// Thread safety: pure functions.
#ifndef SERVICES_WORKER_RFC_DRAFT_MARKDOWN_TEXT_H_
#define SERVICES_WORKER_RFC_DRAFT_MARKDOWN_TEXT_H_

#include <string>
#include <string_view>

namespace slipstream::worker::rfc_draft {

// One line of text, with the code marks of prompt.h as code spans. Safe in a paragraph, a list
// item, a heading and (pipes are escaped) a table cell.
std::string EscapeInline(std::string_view text);

// A fenced code block that its content cannot close.
std::string FencedBlock(std::string_view language, std::string_view text);

// A double-quoted YAML scalar on one line.
std::string YamlQuoted(std::string_view text);

}  // namespace slipstream::worker::rfc_draft

#endif  // SERVICES_WORKER_RFC_DRAFT_MARKDOWN_TEXT_H_
