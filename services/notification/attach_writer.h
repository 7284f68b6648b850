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
// that `takes_batches` at most once in 2 ms, as many as there are by then: what a message of a
// stream costs both sides is then shared by its events.
Async<void> WriteToEdge(NotificationEngine& engine, std::shared_ptr<Link> link, bool takes_batches,
                        rpc::Sender<v1::AttachResponse>& out);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_ATTACH_WRITER_H_
