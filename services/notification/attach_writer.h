// The writing half of Attach: what a link holds goes to its edge.
#ifndef SERVICES_NOTIFICATION_ATTACH_WRITER_H_
#define SERVICES_NOTIFICATION_ATTACH_WRITER_H_

#include <memory>

#include "libs/async/async.h"
#include "libs/rpc/handler.h"
#include "services/notification/notification_engine.h"
#include "slipstream/notification/v1/notification.pb.h"

namespace slipstream::notification {

// Until the link has ended and is empty, or the edge is gone. Under load events come to an edge
// that `takes_batches` at most once in 2 ms, as many as there are by then: one message of a stream
// costs both sides as much as making and reading ten events.
Async<void> WriteToEdge(NotificationEngine& engine, std::shared_ptr<Link> link, bool takes_batches,
                        rpc::Sender<v1::AttachResponse>& out);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_ATTACH_WRITER_H_
