#include "services/edge/transcoder/near_name.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace slipstream::edge {

namespace {

constexpr size_t kMaxCompared_bytes = 64;
constexpr size_t kMaxHint_bytes = 180;

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string NearestName(std::string_view name, const std::vector<std::string>& known) {
  if (name.empty() || name.size() > kMaxCompared_bytes) return "";
  std::string best;
  size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;
  for (const std::string& candidate : known) {
    if (candidate.size() > kMaxCompared_bytes) continue;
    const size_t distance = EditDistance(name, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string KnownNamesHint(std::string_view name, const std::vector<std::string>& known) {
  if (const std::string near = NearestName(name, known); !near.empty()) {
    return absl::StrCat("did you mean `", near, "`?");
  }
  if (known.empty()) return "none are known here";
  std::string hint = "known:";
  for (const std::string& one : known) {
    if (hint.size() + one.size() > kMaxHint_bytes) return hint + " ...";
    absl::StrAppend(&hint, hint.back() == ':' ? " " : ", ", one);
  }
  return hint;
}

std::string KnownFieldsHint(std::string_view name, const google::protobuf::Descriptor& type) {
  std::vector<std::string> known;
  for (int i = 0; i < type.field_count(); ++i) known.push_back(type.field(i)->name());
  return KnownNamesHint(name, known);
}

const google::protobuf::FieldDescriptor* FindField(const google::protobuf::Descriptor& type,
                                                   std::string_view name) {
  if (const auto* field = type.FindFieldByName(std::string(name)); field != nullptr) return field;
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->json_name() == name) return type.field(i);
  }
  return nullptr;
}

}  // namespace slipstream::edge
