// What a call to another service carries. Light: no gRPC type.
#ifndef LIBS_RPC_CALL_OPTIONS_H_
#define LIBS_RPC_CALL_OPTIONS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "libs/rpc/call_context.h"

namespace slipstream::rpc {

struct CallOptions {
  // Unary calls always have a deadline; streams may be without.
  absl::Duration timeout = absl::Seconds(10);
  std::string bearer_token;
  // Whom a service acts for; empty: itself.
  std::string act_as_user;
  std::string act_as_tenant;
  std::string traceparent;
  std::string correlation_id;
  std::vector<std::pair<std::string, std::string>> metadata;
  // The incoming call that this one serves: its cancellation ends this one too. Not owned; it must
  // live until this call has been started.
  CallContext* parent = nullptr;
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_CALL_OPTIONS_H_
