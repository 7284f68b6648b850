// What each path of the admin server answers. No I/O: a request's method and path in, an answer
// out.
#ifndef SLIPSTREAM_LIBS_ADMIN_HTTP_RESPONSES_H_
#define SLIPSTREAM_LIBS_ADMIN_HTTP_RESPONSES_H_

#include <string>
#include <string_view>

#include "libs/admin_http/readiness.h"

namespace slipstream::metrics {
class Registry;
}

namespace slipstream::admin_http {

struct Answer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
};

// `target` is the request target; a query is ignored.
Answer AnswerTo(std::string_view method, std::string_view target, const metrics::Registry& registry,
                const Readiness& readiness);

}  // namespace slipstream::admin_http

#endif  // SLIPSTREAM_LIBS_ADMIN_HTTP_RESPONSES_H_
