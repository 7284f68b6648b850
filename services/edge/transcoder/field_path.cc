#include "services/edge/transcoder/field_path.h"

#include "absl/strings/str_cat.h"
#include "services/edge/transcoder/near_name.h"

namespace slipstream::edge {

FieldPath ResolveFieldPath(const google::protobuf::Descriptor& type, std::string_view path) {
  FieldPath fields;
  const google::protobuf::Descriptor* at = &type;
  for (;;) {
    const size_t dot = path.find('.');
    const auto* field = at == nullptr ? nullptr : FindField(*at, path.substr(0, dot));
    if (field == nullptr || fields.size() == kMaxFieldPath_count) return {};
    fields.push_back(field);
    if (dot == std::string_view::npos) return fields;
    at = field->is_repeated() ? nullptr : field->message_type();
    path.remove_prefix(dot + 1);
  }
}

std::string JoinFieldPath(const FieldPath& path) {
  std::string joined;
  for (const auto* field : path) absl::StrAppend(&joined, joined.empty() ? "" : ".", field->name());
  return joined;
}

google::protobuf::Message* MutableParent(const FieldPath& path, google::protobuf::Message* root) {
  google::protobuf::Message* at = root;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    at = at->GetReflection()->MutableMessage(at, path[i]);
  }
  return at;
}

}  // namespace slipstream::edge
