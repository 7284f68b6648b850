// The OpenAPI 3.1 document of a method catalog: a new annotated RPC is in it. Only what no RPC
// answers is written by hand.
//
// Paths carry no trailing slash; names are snake_case; comments of the protos are the descriptions;
// every operation lists its success and the application/problem+json answers. Server streams are
// text/event-stream and application/x-ndjson.
//
// Thread safety: a free function.
#ifndef SERVICES_EDGE_TRANSCODER_OPENAPI_H_
#define SERVICES_EDGE_TRANSCODER_OPENAPI_H_

#include <string>
#include <vector>

#include "services/edge/transcoder/method_catalog.h"

namespace slipstream::edge {

struct OpenApiInfo {
  std::string title = "Slipstream";
  std::string version = "1";
  std::string description;
  std::string server_url = "/";
  // What the edge answers by itself: a JSON object of paths, as the document has them. Empty: none.
  std::string own_paths_json;
};

// Several catalogs (the suite's and mounted upstreams') make one document; the first one's path
// wins, and own_paths_json before all.
std::string MakeOpenApi(const std::vector<const MethodCatalog*>& catalogs, const OpenApiInfo& info);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_OPENAPI_H_
