#include "services/database_optimizer/candidates/index_definition.h"

#include <algorithm>
#include <cctype>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "libs/hash/fnv1a.h"
#include "services/database_optimizer/candidates/sql_text.h"

namespace slipstream::database_optimizer {

namespace {

// Letters, digits and _ of a name: what needs no quotes in a shell or a log.
std::string Plain(absl::string_view name) {
  std::string out;
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) != 0 || c == '_') out += static_cast<char>(std::tolower(u));
  }
  return out;
}

}  // namespace

std::string IndexDefinition::Target() const {
  const std::string columns = absl::StrJoin(keys, ", ", [](std::string* out, const IndexKey& key) {
    absl::StrAppend(out, QuoteName(key.column), key.descending ? " DESC" : "");
  });
  std::string out = absl::StrCat("ON ", QuoteName(schema, table), " USING btree (", columns, ")");
  if (!include.empty()) {
    absl::StrAppend(&out, " INCLUDE (",
                    absl::StrJoin(include, ", ",
                                  [](std::string* text, const std::string& column) {
                                    absl::StrAppend(text, QuoteName(column));
                                  }),
                    ")");
  }
  if (!predicate.empty()) absl::StrAppend(&out, " WHERE ", predicate);
  return out;
}

std::string IndexDefinition::CreateSql(const std::string& name) const {
  return absl::StrCat("CREATE INDEX CONCURRENTLY ", QuoteName(name), " ", Target());
}

std::string IndexDefinition::HypotheticalSql() const {
  return absl::StrCat("CREATE INDEX ", Target());
}

std::string IndexDefinition::Name(const std::string& prefix) const {
  const std::string end =
      absl::StrFormat("_%08x", static_cast<uint32_t>(hash::Fnv1a(Target()) >> 16));
  std::string middle = Plain(table);
  for (const auto& key : keys) absl::StrAppend(&middle, "_", Plain(key.column));
  const size_t room = kMaxNameBytes - std::min(kMaxNameBytes, prefix.size() + end.size());
  return absl::StrCat(prefix, middle.substr(0, room), end);
}

std::string DropIndexSql(const std::string& schema, const std::string& name) {
  return absl::StrCat("DROP INDEX CONCURRENTLY ", QuoteName(schema, name));
}

bool IsServedBy(const IndexDefinition& wanted, const IndexInfo& there) {
  if (!there.valid || there.method != "btree" || !there.predicate.empty()) return false;
  if (there.keys.size() < wanted.keys.size()) return false;
  for (size_t i = 0; i < wanted.keys.size(); ++i) {
    if (there.keys[i] != wanted.keys[i].column) return false;
  }
  const auto has = [&](const std::string& column) {
    return std::count(there.keys.begin(), there.keys.end(), column) > 0 ||
           std::count(there.include.begin(), there.include.end(), column) > 0;
  };
  // A single direction can be read backwards; mixed ones are taken as served only when alone.
  const bool mixed = std::any_of(wanted.keys.begin(), wanted.keys.end(), [&](const IndexKey& key) {
    return key.descending != wanted.keys[0].descending;
  });
  return !mixed && std::all_of(wanted.include.begin(), wanted.include.end(), has);
}

}  // namespace slipstream::database_optimizer
