// Answers to a connection of which no request is read.
//
// Thread safety: on the connection's strand.
#ifndef SERVICES_EDGE_HTTP_REFUSE_CONNECTION_H_
#define SERVICES_EDGE_HTTP_REFUSE_CONNECTION_H_

#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>

#include "absl/status/status.h"
#include "libs/async/async.h"

namespace slipstream::edge {

// Sends the problem and reads on until the client, too, has closed, within Linger's bounds. The
// socket remains to be closed.
// REQUIRES: !why.ok(); `stream` outlives the coroutine.
Async<void> RefuseConnection(boost::beast::tcp_stream& stream, absl::Status why,
                             std::chrono::nanoseconds write_timeout);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_HTTP_REFUSE_CONNECTION_H_
