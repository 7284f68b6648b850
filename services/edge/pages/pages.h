// What the edge serves that is not an RPC: the dashboard, the API's documents.
#ifndef SERVICES_EDGE_PAGES_PAGES_H_
#define SERVICES_EDGE_PAGES_PAGES_H_

#include <map>
#include <string>
#include <string_view>

#include "services/edge/edge_handler.h"

namespace slipstream::edge {

// "/", "/dashboard", "/docs", "/openapi.json" by path.
std::map<std::string, StaticPage, std::less<>> MakePages(std::string openapi_json);

// Files built into the binary (see the genrule in this package's BUILD).
std::string_view DescriptorSetBytes();
std::string_view DashboardHtml();
std::string_view DashboardScript();
std::string_view DocsHtml();
std::string_view DocsScript();
std::string_view OwnOperationsJson();

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_PAGES_PAGES_H_
