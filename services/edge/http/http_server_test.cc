// The listener over real sockets, with a handler of the test's own. Links no gRPC, so tsan sees
// all.
#include "services/edge/http/http_server.h"

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/async/event.h"
#include "libs/async/runtime.h"
#include "libs/clock/fake_clock.h"
#include "libs/status/status.h"
#include "services/edge/http/refuse_upgrade.h"

namespace slipstream::edge {
namespace {

using boost::asio::ip::tcp;

// "/endless" writes until the client takes no more, "/echo" answers with the body, "/limit" reads
// at most 10 bytes, "/stream" writes until the client goes, "/upload" counts the pieces of a long
// body, "/silent" gives no answer.
class TestHandler final : public HttpHandler {
 public:
  Async<void> Handle(Exchange& exchange) override {
    HttpResponse response;
    response.content_type = "text/plain";
    if (exchange.path() == "/silent") co_return;
    if (exchange.path() == "/endless") {
      response.content_type = "application/octet-stream";
      bool open = co_await exchange.StartStream(std::move(response));
      for (; open; taken_bytes += kPiece.size()) open = co_await exchange.WriteChunk(kPiece);
      stream_ended = true;
      co_return;
    }
    if (exchange.path() == "/stream") {
      co_await Stream(exchange);
      co_return;
    }
    if (exchange.path() == "/upload") {
      size_t total = 0;
      for (;;) {
        auto piece = co_await exchange.ReadBodyPiece(1 << 30);
        if (!piece.ok() || piece->empty()) break;
        total += piece->size();
      }
      response.body = absl::StrCat(total);
      co_await exchange.Respond(std::move(response));
      co_return;
    }
    auto body = co_await exchange.ReadBody(exchange.path() == "/limit" ? 10 : 1 << 20);
    if (!body.ok()) {
      response.status = body.status().code() == absl::StatusCode::kResourceExhausted ? 413 : 400;
    } else {
      response.body = absl::StrCat(std::string(exchange.method()), " ", *body);
    }
    co_await exchange.Respond(std::move(response));
  }
  Async<void> HandleUpgrade(UpgradeRequest request) override {
    HttpResponse response;
    response.status = 403;
    response.content_type = "text/plain";
    response.body = "no";
    co_await RefuseUpgrade(std::move(request), std::move(response));
  }

  std::atomic<bool> disconnected{false};
  std::atomic<bool> stream_ended{false};
  std::atomic<size_t> taken_bytes{0};  // of /endless

 private:
  const std::string kPiece = std::string(16 << 10, 'x');
  Async<void> Stream(Exchange& exchange) {
    HttpResponse head;
    head.content_type = "text/event-stream";
    if (!co_await exchange.StartStream(std::move(head))) co_return;
    async::Event gone;
    uint64_t version = gone.version();
    exchange.OnDisconnect([this, &gone] {
      disconnected = true;
      gone.Notify();
    });
    co_await exchange.WriteChunk("first\n");
    if (!disconnected) co_await gone.Wait(version);
    exchange.OnDisconnect([] {});
    stream_ended = true;
  }
};

class HttpServerTest : public testing::Test {
 protected:
  void StartServer(HttpServerOptions options = {}, ConnectionLimitOptions limits = {}) {
    options.address = "127.0.0.1:0";
    limits_ = std::make_unique<ConnectionLimits>(limits, clock_);
    server_ = std::make_unique<HttpServer>(options, Deps());
    ASSERT_TRUE(server_->Start().ok());
  }
  ~HttpServerTest() override {
    if (server_) server_->Stop();
    runtime_.Stop();
  }

  HttpServer::Deps Deps() { return {handler_, *limits_, runtime_.executor(), logging::Logger()}; }

  tcp::socket Connect(const char* from = "127.0.0.1") {
    tcp::socket socket(client_, {boost::asio::ip::make_address_v4(from), 0});
    socket.connect(
        {boost::asio::ip::address_v4::loopback(), static_cast<uint16_t>(server_->port())});
    // No read of the test may hang it.
    const timeval limit{20, 0};
    setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    return socket;
  }
  static void Send(tcp::socket& socket, const std::string& text) {
    boost::system::error_code ec;
    boost::asio::write(socket, boost::asio::buffer(text), ec);
  }
  // Reads until `end` is in what came, or the connection ends.
  static std::string ReadUntil(tcp::socket& socket, const std::string& end) {
    std::string all;
    char buffer[4096];
    while (end.empty() || !absl::StrContains(all, end)) {
      // recv and not Asio's read, which would wait past the time limit.
      const ssize_t n = recv(socket.native_handle(), buffer, sizeof(buffer), 0);
      if (n <= 0) break;
      all.append(buffer, n);
    }
    return all;
  }
  static std::string ReadAll(tcp::socket& socket) { return ReadUntil(socket, ""); }

  TestHandler handler_;
  clock::FakeClock clock_;
  std::unique_ptr<ConnectionLimits> limits_;
  async::Runtime runtime_{2};
  boost::asio::io_context client_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, KeepsTheConnectionForTheNextRequest) {
  StartServer();
  auto socket = Connect();
  for (int i = 0; i < 3; ++i) {
    Send(socket, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_TRUE(absl::EndsWith(ReadUntil(socket, "POST hi"), "POST hi"));
  }
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  StartServer();
  auto socket = Connect();
  Send(socket,
       "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
       "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n2"
       "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\n3");
  const std::string all = ReadAll(socket);
  const size_t one = all.find("POST 1"), two = all.find("POST 2"), three = all.find("POST 3");
  ASSERT_NE(three, std::string::npos);
  EXPECT_LT(one, two);
  EXPECT_LT(two, three);
}

TEST_F(HttpServerTest, ReadsChunkedBodies) {
  StartServer();
  auto socket = Connect();
  Send(socket,
       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
       "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_TRUE(absl::StrContains(ReadUntil(socket, "POST abcde"), "POST abcde"));
}

TEST_F(HttpServerTest, RefusesATooLongBodyWithoutReadingIt) {
  StartServer();
  auto socket = Connect();
  Send(socket, "POST /limit HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nsome");
  EXPECT_TRUE(absl::StartsWith(ReadUntil(socket, "\r\n\r\n"), "HTTP/1.1 413"));
  auto chunked = Connect();
  Send(chunked,
       "POST /limit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
       "b\r\n01234567890\r\n");
  EXPECT_TRUE(absl::StartsWith(ReadUntil(chunked, "\r\n\r\n"), "HTTP/1.1 413"));
}

TEST_F(HttpServerTest, StreamsALongUploadInPieces) {
  StartServer();
  auto socket = Connect();
  constexpr size_t kBytes = 3 << 20;
  Send(socket, absl::StrCat("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: ", kBytes,
                            "\r\n\r\n", std::string(kBytes, 'x')));
  const std::string want = absl::StrCat("\r\n\r\n", kBytes);
  EXPECT_TRUE(absl::StrContains(ReadUntil(socket, want), want));
}

TEST_F(HttpServerTest, RefusesLongHeadersAndGarbage) {
  StartServer({.max_header_bytes = 2048});
  auto socket = Connect();
  Send(socket, absl::StrCat("GET / HTTP/1.1\r\nX: ", std::string(9000, 'a'), "\r\n\r\n"));
  EXPECT_TRUE(absl::StartsWith(ReadUntil(socket, "\r\n\r\n"), "HTTP/1.1 431"));
  auto garbage = Connect();
  Send(garbage, "\x16\x03\x01 not http\r\n\r\n");
  EXPECT_TRUE(absl::StartsWith(ReadUntil(garbage, "\r\n\r\n"), "HTTP/1.1 400"));
}

TEST_F(HttpServerTest, ClosesAClientThatIsTooSlowWithItsHeaders) {
  StartServer({.read_timeout = absl::Milliseconds(100)});
  auto socket = Connect();
  Send(socket, "GET / HTTP/1.1\r\nHo");
  EXPECT_EQ(ReadAll(socket), "");
}

TEST_F(HttpServerTest, ABodyOfOneByteNowAndThenIsNotWaitedForForEver) {
  StartServer({.read_timeout = absl::Milliseconds(200)});
  auto socket = Connect();
  Send(socket, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
  std::atomic<bool> answered{false};
  std::thread sender([&] {
    // Each byte comes well within the time for one piece.
    while (!answered) {
      Send(socket, "x");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  EXPECT_EQ(ReadAll(socket), "");  // closed, within the test's own limit
  answered = true;
  sender.join();
}

// RFC 9112 section 6.3: each of these would leave bytes that two readers take differently.
TEST_F(HttpServerTest, RefusesBodiesOfUnclearLength) {
  StartServer();
  for (const char* head : {"Transfer-Encoding: chunked, identity", "Transfer-Encoding: xchunked",
                           "Transfer-Encoding: x\r\nContent-Length: 5",
                           "Content-Length: 5\r\nTransfer-Encoding: chunked"}) {
    auto socket = Connect();
    Send(socket, absl::StrCat("POST /echo HTTP/1.1\r\nHost: x\r\n", head,
                              "\r\n\r\nGET /echo HTTP/1.1\r\nHost: x\r\n\r\n"));
    const std::string all = ReadAll(socket);
    EXPECT_TRUE(absl::StartsWith(all, "HTTP/1.1 400")) << head << "\n" << all;
    EXPECT_FALSE(absl::StrContains(all, "200 OK")) << head << "\n" << all;
  }
}

TEST_F(HttpServerTest, HeadOfAStreamHasHeadersAlone) {
  StartServer();
  auto socket = Connect();
  Send(socket,
       "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n"
       "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
  const std::string all = ReadUntil(socket, "POST hi");
  EXPECT_TRUE(absl::StrContains(all, "POST hi"));
  EXPECT_FALSE(absl::StrContains(all, "first")) << all;
}

TEST_F(HttpServerTest, SeesTheClientOfAStreamGo) {
  StartServer();
  {
    auto socket = Connect();
    Send(socket, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(absl::StrContains(ReadUntil(socket, "first\n"), "Transfer-Encoding: chunked"));
  }
  // Waits for the stream: a disconnect that is not seen would hang this until the test's limit.
  while (!handler_.stream_ended) std::this_thread::yield();
  EXPECT_TRUE(handler_.disconnected);
}

// The queue of a connection is bounded, so the kernel's must be: it would take 4 MB.
TEST_F(HttpServerTest, LittleWaitsInTheKernelForAClientThatDoesNotRead) {
  StartServer({.write_timeout = absl::Milliseconds(300)});
  auto socket = Connect();
  Send(socket, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
  while (!handler_.stream_ended) std::this_thread::yield();
  EXPECT_GT(handler_.taken_bytes, 64u << 10);
  EXPECT_LT(handler_.taken_bytes, 1u << 20);
}

TEST_F(HttpServerTest, StopEndsIdleConnectionsAndStreams) {
  StartServer();
  auto idle = Connect();
  Send(idle, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  ReadUntil(idle, "POST ");
  auto stream = Connect();
  Send(stream, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  ReadUntil(stream, "first\n");
  server_->Stop();
  EXPECT_EQ(server_->open_connections(), 0);
  EXPECT_EQ(ReadAll(idle), "");
}

TEST_F(HttpServerTest, AHandlerWithoutAnAnswerClosesTheConnection) {
  StartServer();
  auto socket = Connect();
  Send(socket, "GET /silent HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(ReadAll(socket), "");
}

TEST_F(HttpServerTest, ConnectionsBeyondTheBoundAreClosed) {
  StartServer({.max_connections_count = 1});
  auto first = Connect();
  Send(first, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  ReadUntil(first, "POST ");
  auto second = Connect();
  EXPECT_EQ(ReadAll(second), "");
}

// One address must not take all that the edge has, by saying nothing.
TEST_F(HttpServerTest, AConnectionCountsAgainstItsAddressBeforeItSaysAWord) {
  StartServer({}, {.max_address_connections_count = 2});
  auto silent = Connect();
  auto second = Connect();
  auto third = Connect();
  const std::string answer = ReadAll(third);
  EXPECT_TRUE(absl::StartsWith(answer, "HTTP/1.1 429 ")) << answer;
  EXPECT_TRUE(absl::StrContains(answer, "Retry-After: 5\r\n")) << answer;
  EXPECT_TRUE(absl::StrContains(answer, "TOO_MANY_CONNECTIONS")) << answer;
  auto other = Connect("127.0.0.2");
  Send(other, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(absl::StrContains(ReadUntil(other, "POST "), "200 OK"));
  EXPECT_EQ(server_->refused_connections().for_address_count, 1u);
  // One that goes makes room for another.
  silent.close();
  std::string again;
  while (!absl::StrContains(again, "200 OK")) {
    auto next = Connect();
    Send(next, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    again = ReadUntil(next, "POST ");
    ASSERT_TRUE(absl::StartsWith(again, "HTTP/1.1 ")) << again;
  }
}

TEST_F(HttpServerTest, AFloodOfRefusedConnectionsIsClosedWithoutAWord) {
  StartServer({}, {.max_address_connections_count = 1});
  auto first = Connect();
  std::vector<tcp::socket> flood;
  for (int i = 0; i < 100; ++i) flood.push_back(Connect());
  // All but so many have ended although nobody read or closed them.
  while (server_->refused_connections().for_address_count < 100) std::this_thread::yield();
  EXPECT_LE(server_->open_connections(), 1 + 64);
  EXPECT_EQ(ReadAll(flood.back()), "");
  EXPECT_TRUE(absl::StartsWith(ReadAll(flood.front()), "HTTP/1.1 429 "));
}

TEST_F(HttpServerTest, WhoWasToldOftenEnoughIsToldNoMore) {
  StartServer({},
              {.max_address_connections_count = 1, .max_address_handshakes_per_minute_count = 2});
  auto first = Connect();
  for (int i = 0; i < 2; ++i) {
    auto told = Connect();
    EXPECT_TRUE(absl::StartsWith(ReadAll(told), "HTTP/1.1 429 "));
  }
  auto third = Connect();
  EXPECT_EQ(ReadAll(third), "");
  EXPECT_EQ(server_->refused_connections().for_address_count, 3u);
}

TEST_F(HttpServerTest, AWebSocketHandshakeGoesToItsOwnHandler) {
  StartServer();
  auto socket = Connect();
  Send(socket,
       "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  EXPECT_TRUE(absl::StartsWith(ReadAll(socket), "HTTP/1.1 403"));
}

TEST_F(HttpServerTest, AnAddressInUseIsAClearError) {
  StartServer();
  HttpServer second({.address = absl::StrCat("127.0.0.1:", server_->port())}, Deps());
  const absl::Status status = second.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status.message(), "edge.http_address"));
}

}  // namespace
}  // namespace slipstream::edge
