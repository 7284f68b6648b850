// Query parameters -> fields of a request message.
// Thread safety: free functions.
#ifndef SERVICES_EDGE_TRANSCODER_QUERY_BINDING_H_
#define SERVICES_EDGE_TRANSCODER_QUERY_BINDING_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace slipstream::edge {

// Nested messages are offered down to this many dots; a recursive type would never end.
inline constexpr int kMaxQueryNameDepth_count = 3;

// The dotted proto names that may be query parameters of `type`, sorted; `taken` are the paths
// bound elsewhere.
std::vector<std::string> QueryNames(const google::protobuf::Descriptor& type,
                                    const std::vector<std::string>& taken);

// INVALID_ARGUMENT with the parameter's name: unknown (with the known ones), given twice, or not a
// value of its field.
absl::Status BindQueryParameters(std::string_view query, const std::vector<std::string>& names,
                                 google::protobuf::Message* request);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_QUERY_BINDING_H_
