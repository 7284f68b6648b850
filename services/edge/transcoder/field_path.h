// Dotted paths of fields through a message type: "filter.status".
// Thread safety: free functions.
#ifndef SERVICES_EDGE_TRANSCODER_FIELD_PATH_H_
#define SERVICES_EDGE_TRANSCODER_FIELD_PATH_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace slipstream::edge {

inline constexpr size_t kMaxFieldPath_count = 8;  // parts of a path

using FieldPath = std::vector<const google::protobuf::FieldDescriptor*>;

// The fields along `path`, by proto or JSON names; all but the last are singular messages. Empty
// when there is none.
FieldPath ResolveFieldPath(const google::protobuf::Descriptor& type, std::string_view path);

// The proto names, joined by dots.
std::string JoinFieldPath(const FieldPath& path);

// The message that holds the last field, created along the way.
google::protobuf::Message* MutableParent(const FieldPath& path, google::protobuf::Message* root);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_FIELD_PATH_H_
