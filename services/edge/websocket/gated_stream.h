// The stream below Beast's WebSocket: reads go to the socket, writes to the session.
//
// The session writes data frames itself, many of them in one system call and from text that all
// receivers share, which Beast cannot do. So that the frames that Beast writes by itself (pongs,
// closes) never land inside of one of those, it hands them over here, and they are done when the
// session has written them.
//
// Thread safety: used on the connection's strand.
#ifndef SERVICES_EDGE_WEBSOCKET_GATED_STREAM_H_
#define SERVICES_EDGE_WEBSOCKET_GATED_STREAM_H_

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <exception>
#include <string>
#include <utility>

#include "libs/async/suspend.h"
#include "services/edge/http/linger.h"

namespace slipstream::edge {

// Who writes for a GatedStream. One write at a time, as Beast has it.
class FrameWriter {
 public:
  virtual void WriteFrame(std::string bytes, async::Resume<boost::system::error_code> done) = 0;

 protected:
  ~FrameWriter() = default;
};

class GatedStream {
 public:
  using next_layer_type = boost::beast::tcp_stream;
  using executor_type = next_layer_type::executor_type;

  // `writer` outlives the stream.
  GatedStream(next_layer_type stream, FrameWriter& writer)
      : stream_(std::move(stream)), writer_(&writer) {}

  next_layer_type& next_layer() { return stream_; }
  const next_layer_type& next_layer() const { return stream_; }
  executor_type get_executor() { return stream_.get_executor(); }

  template <class MutableBuffers, class Token>
  auto async_read_some(const MutableBuffers& buffers, Token&& token) {
    return stream_.async_read_some(buffers, std::forward<Token>(token));
  }

  template <class ConstBuffers, class Token>
  auto async_write_some(const ConstBuffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [this](auto handler, std::string bytes) {
          const size_t count = bytes.size();
          writer_->WriteFrame(std::move(bytes), async::Resume<boost::system::error_code>::From(
                                                    [handler = std::move(handler),
                                                     count](boost::system::error_code ec) mutable {
                                                      std::move(handler)(ec, ec ? 0 : count);
                                                    },
                                                    get_executor()));
        },
        token, boost::beast::buffers_to_string(buffers));
  }

 private:
  next_layer_type stream_;
  FrameWriter* writer_;
};

// What Beast asks of the layer below it at the end of a connection; found by its argument's type.
inline void teardown(boost::beast::role_type role, GatedStream& stream,
                     boost::system::error_code& ec) {
  using boost::beast::websocket::teardown;
  teardown(role, stream.next_layer(), ec);
}
// Not Beast's own, which closes at the first bytes that the peer still sends: the peer would see a
// reset in place of the close frame.
template <class Handler>
void async_teardown(boost::beast::role_type, GatedStream& stream, Handler&& handler) {
  boost::asio::co_spawn(
      stream.get_executor(), Linger(stream.next_layer()),
      [&stream, handler = std::forward<Handler>(handler)](std::exception_ptr error) mutable {
        if (error) std::rethrow_exception(error);
        boost::system::error_code ec;
        stream.next_layer().socket().close(ec);
        std::move(handler)(boost::system::error_code());
      });
}

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_WEBSOCKET_GATED_STREAM_H_
