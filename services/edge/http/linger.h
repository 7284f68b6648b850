// The end of a connection whose peer may still be sending.
//
// Closing a socket with unread bytes, or one that more bytes reach, resets the connection, and a
// reset may destroy what the peer has not read yet: the answer that says why. So the sending side
// is closed, and what comes is read and thrown away until the peer closes, within bounds.
#ifndef SERVICES_EDGE_HTTP_LINGER_H_
#define SERVICES_EDGE_HTTP_LINGER_H_

#include <boost/beast/core/tcp_stream.hpp>

#include "libs/async/async.h"

namespace slipstream::edge {

// Returns when the peer has closed, after 5 s or after 64 MiB; the socket remains to be closed.
// REQUIRES: nothing is being read or written; `stream` outlives the coroutine.
Async<void> Linger(boost::beast::tcp_stream& stream);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_HTTP_LINGER_H_
