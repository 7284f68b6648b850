// Serves one Subscribe call: a link with one subscriber, written event by event.
//
// How it ends: OK after `reconnect` (the node goes away); RESOURCE_EXHAUSTED, reason SLOW_READER,
// and UNAUTHENTICATED, reason TOKEN_EXPIRED, both with metadata `cursor`; CANCELLED when the client
// has gone.
#ifndef SERVICES_NOTIFICATION_SUBSCRIBE_STREAM_H_
#define SERVICES_NOTIFICATION_SUBSCRIBE_STREAM_H_

#include "libs/rpc/handler.h"
#include "services/notification/stream_deps.h"
#include "slipstream/notification/v1/notification.pb.h"

namespace slipstream::notification {

Async<absl::Status> ServeSubscribe(const StreamDeps& deps, rpc::CallContext& call,
                                   const v1::SubscribeRequest& request,
                                   rpc::Sender<v1::Event>& out);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_SUBSCRIBE_STREAM_H_
