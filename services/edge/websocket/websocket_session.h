// One WebSocket connection. Three coroutines on the connection's strand: the reader (the session's
// own), the pump (events from the notification service into the queue) and the writer (the queue,
// pings and the close).
#ifndef SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SESSION_H_
#define SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SESSION_H_

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "libs/async/event.h"
#include "services/edge/http/upgrade_connection.h"
#include "services/edge/websocket/websocket_server.h"

namespace slipstream::edge {

class WebSocketSession : public std::enable_shared_from_this<WebSocketSession> {
 public:
  WebSocketSession(WebSocketServer& server, UpgradeRequest request);

  Async<void> Run();
  // From any thread: close when what is queued has been written.
  void RequestClose(uint16_t code, std::string reason);
  // From any thread: ends the connection now.
  void Abort();

 private:
  absl::Duration Now() const { return server_.deps().clock.Monotonic(); }
  Async<bool> Accept();
  // Reads messages until the client is signed in; false: the session is closing.
  Async<bool> SignIn();
  Async<void> ReadLoop();
  Async<void> Pump(std::shared_ptr<UpstreamStream> stream);
  Async<void> WriteLoop();
  // The next text message; nullopt when the connection ends.
  Async<std::optional<std::string>> ReadMessage();
  bool Authenticate(const std::string& token);
  void Enqueue(std::string text);
  void Close(uint16_t code, std::string reason);
  // Ends the connection when one write takes longer than it may: a peer that does not read.
  void GuardWrite();
  void CloseSocket();
  // Counts a message against the limit a minute; false when it is over.
  bool Admit();

  WebSocketServer& server_;
  const std::shared_ptr<UpgradeConnection> connection_;
  const UpgradeRequest request_;
  boost::beast::websocket::stream<boost::beast::tcp_stream> ws_;

  boost::asio::steady_timer write_guard_;

  std::string token_, user_, cursor_;
  std::shared_ptr<UpstreamStream> stream_;
  async::Event changed_;  // wakes the writer; also the end of pump and writer
  std::deque<std::string> queue_;
  size_t queued_bytes_ = 0;
  std::optional<std::pair<uint16_t, std::string>> close_;
  bool open_ = false;  // the handshake is done and the connection has not ended
  bool pumping_ = false, writing_ = false;
  absl::Duration last_received_;  // both by the clock's Monotonic
  absl::Duration minute_started_;
  int minute_count_ = 0;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SESSION_H_
