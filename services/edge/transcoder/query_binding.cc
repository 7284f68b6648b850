#include "services/edge/transcoder/query_binding.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/edge/transcoder/field_path.h"
#include "services/edge/transcoder/near_name.h"
#include "services/edge/transcoder/percent.h"
#include "services/edge/transcoder/request_binder.h"
#include "services/edge/transcoder/scalar_text.h"

namespace slipstream::edge {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void AddNames(const Descriptor& type, const std::string& prefix, int depth,
              const std::vector<std::string>& taken, std::vector<std::string>* names) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    std::string name = prefix + field.name();
    if (std::find(taken.begin(), taken.end(), name) != taken.end()) continue;
    if (IsTextual(field)) {
      names->push_back(std::move(name));
    } else if (!field.is_repeated() && depth < kMaxQueryNameDepth_count &&
               field.message_type()->well_known_type() == Descriptor::WELLKNOWNTYPE_UNSPECIFIED) {
      AddNames(*field.message_type(), name + ".", depth + 1, taken, names);
    }
  }
}

class QueryBinder {
 public:
  QueryBinder(const std::vector<std::string>& names, Message* request)
      : names_(names), request_(request) {}

  absl::Status Bind(std::string_view parameter) {
    const size_t equals = parameter.find('=');
    std::string name, value;
    if (!PercentDecode(parameter.substr(0, equals), PercentDecoding::kQuery, &name) ||
        (equals != std::string_view::npos &&
         !PercentDecode(parameter.substr(equals + 1), PercentDecoding::kQuery, &value))) {
      return status::FieldError(name.substr(0, 64),
                                "has an invalid percent escape or is not UTF-8 (in the query)");
    }
    const FieldPath path = ResolveFieldPath(*request_->GetDescriptor(), name);
    const std::string canonical = JoinFieldPath(path);
    if (path.empty() || !std::binary_search(names_.begin(), names_.end(), canonical)) {
      return status::FieldError(name, absl::StrCat("is not a query parameter of this route; ",
                                                   KnownNamesHint(name, names_)));
    }
    const FieldDescriptor& field = *path.back();
    if (!field.is_repeated() && !seen_.insert(canonical).second) {
      return status::FieldError(name, "is given twice in the query");
    }
    Message* parent = MutableParent(path, request_);
    if (const auto* oneof = field.real_containing_oneof();
        oneof != nullptr && parent->GetReflection()->HasOneof(*parent, oneof)) {
      return status::FieldError(
          name,
          absl::StrCat("excludes `",
                       parent->GetReflection()->GetOneofFieldDescriptor(*parent, oneof)->name(),
                       "`: only one of the two may be given"));
    }
    const std::string wrong = SetFromText(field, value, parent);
    if (wrong.empty()) return absl::OkStatus();
    return status::FieldError(name, absl::StrCat(wrong, " (in the query)"));
  }

 private:
  const std::vector<std::string>& names_;
  Message* request_;
  absl::flat_hash_set<std::string> seen_;
};

}  // namespace

std::vector<std::string> QueryNames(const Descriptor& type, const std::vector<std::string>& taken) {
  std::vector<std::string> names;
  AddNames(type, "", 0, taken, &names);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status BindQueryParameters(std::string_view query, const std::vector<std::string>& names,
                                 Message* request) {
  if (query.size() > kMaxQuery_bytes) {
    return status::FieldError("",
                              absl::StrCat("the query is longer than ", kMaxQuery_bytes, " bytes"));
  }
  QueryBinder binder(names, request);
  size_t parameter_count = 0;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view parameter = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (parameter.empty()) continue;
    if (++parameter_count > kMaxQueryParameter_count) {
      return status::FieldError(
          "", absl::StrCat("the query has more than ", kMaxQueryParameter_count, " parameters"));
    }
    if (absl::Status bound = binder.Bind(parameter); !bound.ok()) return bound;
  }
  return absl::OkStatus();
}

}  // namespace slipstream::edge
