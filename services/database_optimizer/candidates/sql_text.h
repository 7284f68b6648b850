// SQL text from names and values. Every name of the database that goes into a statement goes
// through here, so that none can end its quotes and go on as SQL.
//
// Thread safety: pure functions. Nothing fails.
#ifndef SERVICES_DATABASE_OPTIMIZER_CANDIDATES_SQL_TEXT_H_
#define SERVICES_DATABASE_OPTIMIZER_CANDIDATES_SQL_TEXT_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace slipstream::database_optimizer {

// PostgreSQL cuts longer names.
inline constexpr size_t kMaxNameBytes = 63;

// "name", with the quotes inside doubled. Always quoted: no list of keywords to keep up.
inline std::string QuoteName(absl::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '\0') continue;
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

inline std::string QuoteName(absl::string_view schema, absl::string_view name) {
  return absl::StrCat(QuoteName(schema), ".", QuoteName(name));
}

// 'value', whatever standard_conforming_strings says.
inline std::string QuoteValue(absl::string_view value) {
  std::string out;
  bool escaped = false;
  for (const char c : value) {
    if (c == '\0') continue;
    if (c == '\'' || c == '\\') out += c;
    escaped |= c == '\\';
    out += c;
  }
  return absl::StrCat(escaped ? "E'" : "'", out, "'");
}

}  // namespace slipstream::database_optimizer

#endif  // SERVICES_DATABASE_OPTIMIZER_CANDIDATES_SQL_TEXT_H_
