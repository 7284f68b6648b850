#include "services/edge/pages/pages.h"

#include <utility>

namespace slipstream::edge {

namespace {

// Scripts, styles and connections from the edge itself alone; nothing inline, nothing foreign.
constexpr char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// Three slopes, one behind the other.
constexpr char kIcon[] =
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><g fill='none' stroke='#2563eb' "
    "stroke-width='2' stroke-linecap='round'><path d='M2 12c4 0 4-8 8-8h4'/><path d='M6 12c3 0 3-4 "
    "5-4h3' opacity='.7'/><path d='M10 12h4' opacity='.5'/></g></svg>";

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
  pages["/favicon.svg"] = {"image/svg+xml", kIcon, ""};
  return pages;
}

}  // namespace slipstream::edge
