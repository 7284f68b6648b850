// One WebSocket connection, on its strand.
//
// One coroutine reads. Writing needs none: Flush puts what the outbox has, as frames, into as few
// system calls as it takes, and goes on when the socket is writable again. Times (pings, limits,
// the token) are looked after by the server's clock, which calls Tick when something is due. A
// compressed connection is written by a coroutine of its own, through Beast.
//
// Memory decides how many of these a machine can hold: nothing is kept while a connection is idle
// but this object, the reader's frame and Beast's state.
#ifndef SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SESSION_H_
#define SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SESSION_H_

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "libs/async/event.h"
#include "nlohmann/json_fwd.hpp"
#include "services/edge/http/upgrade_connection.h"
#include "services/edge/notifications/outbox.h"
#include "services/edge/websocket/gated_stream.h"
#include "services/edge/websocket/websocket_server.h"

namespace slipstream::edge {

class WebSocketSession final : public std::enable_shared_from_this<WebSocketSession>,
                               public EventReceiver,
                               public FrameWriter {
 public:
  WebSocketSession(WebSocketServer& server, UpgradeRequest request, ConnectionLimits::Place place);
  ~WebSocketSession() override;

  Async<void> Run();
  // From any thread: close when what is queued has been written.
  void RequestClose(uint16_t code, std::string reason);
  // From any thread: ends the connection now.
  void Abort();
  // From any thread.
  void TickIfDue(absl::Duration now);

  // EventReceiver, from the hub.
  bool OnEvents(absl::Span<const EncodedEventPtr> events) override;
  void Wake() override;
  void OnEnd(const SubscriptionEnd& end) override;

  // FrameWriter, from Beast.
  void WriteFrame(std::string bytes, async::Resume<boost::system::error_code> done) override;

 private:
  absl::Duration Now() const { return server_.deps().clock.Monotonic(); }
  absl::Time ExpiresAt() const { return expires_at_ + server_.options().token_leeway; }
  // Runs `step` on the strand, with the session kept.
  template <class Step>
  void Post(Step step) {
    boost::asio::post(ws_.get_executor(), [self = shared_from_this(),
                                           step = std::move(step)]() mutable { step(*self); });
  }

  Async<bool> Accept();
  // Reads messages until the client is signed in; what it asks for, or nullopt: the session is
  // closing.
  Async<std::optional<SubscriptionRequest>> SignIn();
  // Reads the first message; false: the session is closing.
  Async<bool> ReadAuth(SubscriptionRequest* out);
  bool Authenticate(const std::string& token);
  Async<void> ReadLoop();
  void GiveDeflateBack();
  // The next text message; nullopt when the connection ends.
  Async<std::optional<std::string>> ReadMessage();
  // False: the session is closing.
  bool Obey(const std::string& text);
  void Refresh(const nlohmann::json& message);
  // Counts a message against the limit a minute; false when it is over.
  bool Admit();

  void Send(EncodedEventPtr event);
  void Flush();
  void WaitWritable();
  void Written(const boost::system::error_code& ec);
  void TakeCredit(int events_count);
  Async<void> WriteCompressed();

  void Close(uint16_t code, std::string reason);
  Async<void> CloseHandshake();
  void CloseSocket();
  void Tick();
  void DueAt(absl::Duration when);

  WebSocketServer& server_;
  boost::beast::websocket::stream<GatedStream> ws_;
  std::unique_ptr<UpgradeRequest> request_;  // until signed in
  ConnectionLimits::Place place_;

  std::string user_, tenant_;
  absl::Time expires_at_ = absl::InfiniteFuture();
  uint64_t subscription_ = 0;

  Outbox outbox_;
  std::string unsent_;  // frames of which the socket has taken a part
  size_t unsent_from_ = 0;
  std::string control_;  // frames of Beast's, to be written next
  async::Resume<boost::system::error_code> control_written_;
  int uncredited_count_ = 0;

  std::optional<std::pair<uint16_t, std::string>> close_;
  async::Event changed_;       // the end of those that still work; for the compressed writer all
  int working_count_ = 0;      // coroutines beside the reader
  bool open_ = false;          // the handshake is done and the connection has not ended
  bool deflate_ = false;       // messages are compressed
  bool deflate_held_ = false;  // one of the server's places for such connections
  bool waiting_writable_ = false, closing_ = false, close_sent_ = false;
  bool notice_given_ = false;  // that the token expires

  // By the clock's Monotonic.
  std::atomic<int64_t> due_at_ns_;
  absl::Duration accepted_at_, last_received_, next_ping_, minute_started_;
  absl::Duration stalled_since_ = absl::InfiniteDuration();  // the socket takes nothing more
  int minute_count_ = 0;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_WEBSOCKET_WEBSOCKET_SESSION_H_
