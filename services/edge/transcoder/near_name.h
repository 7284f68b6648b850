// "Did you mean": the known name nearest to one that is not known.
// Thread safety: free functions.
#ifndef SERVICES_EDGE_TRANSCODER_NEAR_NAME_H_
#define SERVICES_EDGE_TRANSCODER_NEAR_NAME_H_

#include <string>
#include <string_view>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace slipstream::edge {

// The nearest by edit distance if it is near enough to be a slip of the pen, otherwise "".
std::string NearestName(std::string_view name, const std::vector<std::string>& known);

// "did you mean `task_type`?" or "known: a, b, c" (bounded), for a field that `type` does not have.
std::string KnownFieldsHint(std::string_view name, const google::protobuf::Descriptor& type);
std::string KnownNamesHint(std::string_view name, const std::vector<std::string>& known);

// A field by its proto name or its JSON name, or null.
const google::protobuf::FieldDescriptor* FindField(const google::protobuf::Descriptor& type,
                                                   std::string_view name);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_NEAR_NAME_H_
