#include "services/edge/pages/pages.h"

#include <utility>

namespace slipstream::edge {

namespace {

// Scripts, styles and connections from the edge itself alone; nothing inline, nothing foreign.
constexpr char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

StaticPage Html(std::string_view body) {
  return {"text/html; charset=utf-8", std::string(body), kPolicy};
}
StaticPage Script(std::string_view body) {
  return {"text/javascript; charset=utf-8", std::string(body), ""};
}

}  // namespace

std::map<std::string, StaticPage, std::less<>> MakePages(std::string openapi_json) {
  std::map<std::string, StaticPage, std::less<>> pages;
  pages["/"] = Html(DashboardHtml());
  pages["/dashboard"] = Html(DashboardHtml());
  pages["/dashboard.js"] = Script(DashboardScript());
  pages["/docs"] = Html(DocsHtml());
  pages["/docs.js"] = Script(DocsScript());
  pages["/openapi.json"] = {"application/json", std::move(openapi_json), ""};
  return pages;
}

}  // namespace slipstream::edge
