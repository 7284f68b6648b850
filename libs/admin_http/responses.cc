#include "libs/admin_http/responses.h"

#include "libs/logging/json_escape.h"
#include "libs/metrics/registry.h"

namespace slipstream::admin_http {
namespace {

using Reasons = std::vector<std::pair<std::string, absl::Status>>;

void AppendReasons(const Reasons& reasons, std::string* out) {
  const char* separator = "";
  for (const auto& [name, status] : reasons) {
    *out += separator;
    *out += "{\"name\":" + logging::JsonQuote(name) + ",\"reason\":" +
            logging::JsonQuote(std::string_view(status.message().data(), status.message().size())) +
            "}";
    separator = ",";
  }
}

Answer Ready(const Readiness& readiness) {
  const Readiness::Report report = readiness.Evaluate();
  Answer answer;
  answer.status = report.ready() ? 200 : 503;
  answer.body = "{\"status\":\"";
  answer.body += report.ready() ? "ready" : report.draining ? "draining" : "not_ready";
  answer.body += "\",\"failing\":[";
  AppendReasons(report.failing, &answer.body);
  if (!report.degraded.empty()) {
    answer.body += "],\"degraded\":[";
    AppendReasons(report.degraded, &answer.body);
  }
  answer.body += "]}\n";
  return answer;
}

}  // namespace

Answer AnswerTo(std::string_view method, std::string_view target, const metrics::Registry& registry,
                const Readiness& readiness) {
  const std::string_view path = target.substr(0, target.find('?'));
  const bool known = path == "/metrics" || path == "/healthz" || path == "/readyz";
  if (!known) {
    return {.status = 404,
            .body = "{\"error\":\"not found: this port serves /metrics, /healthz and /readyz\"}\n"};
  }
  if (method != "GET") return {.status = 405, .body = "{\"error\":\"only GET is served here\"}\n"};
  if (path == "/metrics") {
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = registry.Expose()};
  }
  if (path == "/healthz") return {.body = "{\"status\":\"ok\"}\n"};
  return Ready(readiness);
}

}  // namespace slipstream::admin_http
