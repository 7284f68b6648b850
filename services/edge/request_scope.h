// What the edge knows of one request beside its bytes: ids, and who asks.
#ifndef SERVICES_EDGE_REQUEST_SCOPE_H_
#define SERVICES_EDGE_REQUEST_SCOPE_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "libs/auth/principal.h"
#include "libs/trace/trace_context.h"

namespace slipstream::edge {

struct RequestScope {
  std::string correlation_id;  // x-request-id, the caller's or ours
  trace::TraceContext trace;
  absl::Time started_at;
  std::string route = "none";  // metrics label: the RPC's name or the page's
  // An answer without a length of time of its own: events, or a download at the client's pace.
  bool streamed = false;
  // Empty when no token was sent.
  std::string bearer_token;
  std::shared_ptr<const auth::Principal> principal;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_REQUEST_SCOPE_H_
