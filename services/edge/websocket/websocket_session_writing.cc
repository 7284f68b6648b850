// The writing half of WebSocketSession, and how a connection ends.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>
#include <vector>

#include "services/edge/websocket/close_codes.h"
#include "services/edge/websocket/frame.h"
#include "services/edge/websocket/websocket_session.h"

namespace slipstream::edge {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

namespace {

using boost::system::error_code;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// RFC 6455: a close frame's payload is at most 125 bytes, two of which are the code.
constexpr size_t kMaxReasonBytes = 123;
// Frames for one system call, and for one turn of a connection before others have theirs.
constexpr size_t kWriteBytes = 64 << 10;
constexpr int kMaxWritesPerTurn_count = 8;

void Rethrow(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

}  // namespace

void WebSocketSession::Flush() {
  // Of a compressed connection only Beast's own bytes go through here.
  if (deflate_) changed_.Notify();
  if (waiting_writable_) return;
  // Frames are put together on the thread's own buffer: a connection keeps only what the socket
  // did not take.
  thread_local std::string batch;
  bool idle = false;
  for (int writes = 0; writes < kMaxWritesPerTurn_count; ++writes) {
    const bool old = !unsent_.empty();
    if (!old) {
      // A copy of a few bytes, not a swap: that would leave the thread's buffer with the session.
      batch.assign(control_);
      if (!control_.empty()) control_ = {};
      if (!deflate_) {
        const Outbox::Taken taken =
            outbox_.Take(kWriteBytes, [](const EncodedEvent& event, ResumeCursor* cursor) {
              thread_local std::string json;
              json.clear();
              event.AppendJson(cursor, &json);
              AppendFrameHead(kFrameText, json.size(), &batch);
              batch.append(json);
            });
        TakeCredit(taken.credited_count);
      }
      if (batch.empty()) {
        idle = true;
        break;
      }
    }
    const std::string& bytes = old ? unsent_ : batch;
    const size_t from = old ? unsent_from_ : 0;
    error_code ec;
    const size_t n = beast::get_lowest_layer(ws_).socket().write_some(
        asio::buffer(bytes.data() + from, bytes.size() - from), ec);
    if (ec && ec != asio::error::would_block && ec != asio::error::try_again) {
      Written(ec);
      CloseSocket();
      return;
    }
    const size_t done = from + (ec ? 0 : n);
    if (done < bytes.size()) {
      if (old) {
        unsent_from_ = done;
      } else {
        unsent_.assign(bytes, done);
        unsent_from_ = 0;
      }
      WaitWritable();
      return;
    }
    if (old) {
      unsent_ = {};
      unsent_from_ = 0;
    }
    stalled_since_ = absl::InfiniteDuration();
    Written({});
  }
  // Only a look that found nothing makes the outbox wake this writer again.
  if (!idle) {
    Post([](WebSocketSession& self) { self.Flush(); });
    return;
  }
  if (close_ && !closing_ && open_ && !deflate_) {
    closing_ = true;
    ++working_count_;
    asio::co_spawn(
        ws_.get_executor(),
        [](auto s) -> Async<void> { co_await s->CloseHandshake(); }(shared_from_this()), Rethrow);
  }
}

void WebSocketSession::WaitWritable() {
  waiting_writable_ = true;
  if (stalled_since_ == absl::InfiniteDuration()) stalled_since_ = Now();
  DueAt(stalled_since_ + server_.options().write_timeout);
  beast::get_lowest_layer(ws_).socket().async_wait(
      asio::ip::tcp::socket::wait_write, [self = shared_from_this()](const error_code& ec) {
        self->waiting_writable_ = false;
        if (ec) {
          self->Written(ec);
          return;
        }
        // Whatever it takes, it takes something.
        self->stalled_since_ = absl::InfiniteDuration();
        self->Flush();
      });
}

void WebSocketSession::WriteFrame(std::string bytes, async::Resume<error_code> done) {
  // After a close nothing may follow, whoever began it.
  if (!bytes.empty() && static_cast<uint8_t>(bytes[0]) == kFrameClose) {
    close_sent_ = true;
    outbox_.Drop();
    // Nothing is compressed any more, and who has seen its close may come again at once.
    GiveDeflateBack();
  }
  control_.append(bytes);
  control_written_ = std::move(done);
  Flush();
}

void WebSocketSession::Written(const error_code& ec) {
  if (ec) control_.clear();
  if (!control_.empty() || !control_written_) return;
  control_written_(ec);
}

Async<void> WebSocketSession::WriteCompressed() {
  std::vector<std::string> messages;
  while (open_) {
    const uint64_t version = changed_.version();
    messages.clear();
    const Outbox::Taken taken =
        outbox_.Take(kWriteBytes, [&messages](const EncodedEvent& event, ResumeCursor* cursor) {
          event.AppendJson(cursor, &messages.emplace_back());
        });
    for (const std::string& message : messages) {
      auto [ec, n] = co_await ws_.async_write(asio::buffer(message), kAwait);
      if (ec) break;
    }
    TakeCredit(taken.credited_count);
    if (taken.events_count > 0) continue;
    if (close_ && !closing_) {
      closing_ = true;
      ++working_count_;
      co_await CloseHandshake();
      break;
    }
    co_await changed_.Wait(version);
  }
  --working_count_;
  changed_.Notify();
}

void WebSocketSession::Close(uint16_t code, std::string reason) {
  if (close_) return;
  if (reason.size() > kMaxReasonBytes) reason.resize(kMaxReasonBytes);
  close_.emplace(code, std::move(reason));
  if (open_) Flush();
  changed_.Notify();
}

Async<void> WebSocketSession::CloseHandshake() {
  server_.CountClose(close_->first);
  // A peer that does not answer the close is not waited for.
  websocket::stream_base::timeout timeouts;
  timeouts.handshake_timeout = std::chrono::seconds(2);
  timeouts.idle_timeout = websocket::stream_base::none();
  timeouts.keep_alive_pings = false;
  ws_.set_option(timeouts);
  const websocket::close_reason reason(static_cast<websocket::close_code>(close_->first),
                                       close_->second);
  co_await ws_.async_close(reason, kAwait);  // an error only means that the peer went first
  CloseSocket();                             // ends the reader too, should it still wait
  --working_count_;
  changed_.Notify();
}

void WebSocketSession::CloseSocket() {
  beast::get_lowest_layer(ws_).cancel();
  error_code ignored;
  beast::get_lowest_layer(ws_).socket().close(ignored);
  outbox_.Drop();
  open_ = false;
  changed_.Notify();
}

void WebSocketSession::RequestClose(uint16_t code, std::string reason) {
  Post([code, reason = std::move(reason)](WebSocketSession& self) mutable {
    const std::string cursor = self.outbox_.cursor().ToString();
    if (!cursor.empty()) reason += " cursor=" + cursor;
    self.Close(code, std::move(reason));
  });
}

void WebSocketSession::Abort() {
  Post([](WebSocketSession& self) {
    self.open_ = false;
    self.Close(kCloseGoingAway, "");
    self.Written(asio::error::operation_aborted);
    self.CloseSocket();
  });
}

}  // namespace slipstream::edge
