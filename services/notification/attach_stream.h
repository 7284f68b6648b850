// Serves one Attach call: a link that carries all subscribers of one edge, each with a token, a
// cursor and credit of its own.
//
// One coroutine reads the edge's requests, one writes the link's messages; the call ends when both
// have. It ends OK when the edge has sent its last message or the node goes away, INVALID_ARGUMENT
// when the edge breaks the protocol. A subscriber's own failure (token, cursor, limits) closes that
// subscriber and nothing else.
#ifndef SERVICES_NOTIFICATION_ATTACH_STREAM_H_
#define SERVICES_NOTIFICATION_ATTACH_STREAM_H_

#include "libs/rpc/handler.h"
#include "services/notification/stream_deps.h"
#include "slipstream/notification/v1/notification.pb.h"

namespace slipstream::notification {

Async<absl::Status> ServeAttach(const StreamDeps& deps, rpc::CallContext& call,
                                rpc::Receiver<v1::AttachRequest>& in,
                                rpc::Sender<v1::AttachResponse>& out);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_ATTACH_STREAM_H_
