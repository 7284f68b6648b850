#include "libs/admin_http/admin_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "libs/admin_http/readiness.h"
#include "libs/metrics/registry.h"

namespace slipstream::admin_http {
namespace {

constexpr metrics::GaugeDef kDepth{"slipstream_test_depth", "Depth."};

// A plain blocking client, so that what goes over the wire is exactly what a test says.
class Client {
 public:
  explicit Client(int port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    // A server that fails to answer fails the test; it does not hang it.
    const timeval limit = {.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  void Send(std::string_view text) { ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  // Until the server closes. A server that does not close in time shows in the text.
  std::string ReadAll() {
    std::string all;
    char buffer[4096];
    ssize_t n = 0;
    while ((n = ::recv(fd_, buffer, sizeof(buffer), 0)) > 0) all.append(buffer, n);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) all += "<still open>";
    return all;
  }
  std::string ReadUntil(std::string_view end) {
    std::string all;
    char c;
    while (!all.ends_with(end) && ::recv(fd_, &c, 1, 0) == 1) all += c;
    return all;
  }

 private:
  const int fd_;
  bool connected_ = false;
};

class AdminServerTest : public testing::Test {
 protected:
  void StartServer(Options options = {}) {
    auto server = AdminServer::Start(
        std::move(options),
        {.registry = registry_, .readiness = readiness_, .logger = logging::Logger()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    ASSERT_GT(server_->port(), 0);
  }

  std::string Ask(std::string_view method, std::string_view path) {
    Client client(server_->port());
    client.Send(std::string(method) + " " + std::string(path) +
                " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return client.ReadAll();
  }
  static bool Has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
  }

  metrics::Registry registry_;
  Readiness readiness_;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, ServesMetrics) {
  registry_.Add(kDepth).With({}).Set(7);
  StartServer();
  const std::string answer = Ask("GET", "/metrics?x=1");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_TRUE(Has(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_TRUE(Has(answer, "\nslipstream_test_depth 7\n")) << answer;
}

TEST_F(AdminServerTest, WhatIsDegradedIsNamedAndReady) {
  bool degraded = true;
  readiness_.Add(
      "cache", [&degraded] { return degraded ? absl::UnavailableError("away") : absl::OkStatus(); },
      /*only_degrades=*/true);
  StartServer();
  std::string answer = Ask("GET", "/readyz");
  EXPECT_TRUE(Has(answer, " 200 ")) << answer;
  EXPECT_TRUE(Has(
      answer, R"({"status":"ready","failing":[],"degraded":[{"name":"cache","reason":"away"}]})"))
      << answer;
  degraded = false;
  answer = Ask("GET", "/readyz");
  EXPECT_TRUE(Has(answer, R"({"status":"ready","failing":[]})")) << answer;
}

TEST_F(AdminServerTest, ReadinessListsWhatFails) {
  absl::Status redis = absl::UnavailableError("no \"pong\"");
  readiness_.Add("redis", [&redis] { return redis; });
  readiness_.Add("engine", [] { return absl::OkStatus(); });
  StartServer();
  std::string answer = Ask("GET", "/readyz");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_TRUE(Has(answer, R"({"status":"not_ready","failing":[{"name":"redis",)"
                          R"("reason":"no \"pong\""}]})"))
      << answer;
  redis = absl::OkStatus();
  answer = Ask("GET", "/readyz");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  readiness_.StartDraining();
  answer = Ask("GET", "/readyz");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_TRUE(Has(answer, R"("status":"draining")"));
  EXPECT_TRUE(Ask("GET", "/healthz").starts_with("HTTP/1.1 200"));
}

TEST_F(AdminServerTest, UnknownPathsAndMethodsAreRefused) {
  StartServer();
  EXPECT_TRUE(Ask("GET", "/").starts_with("HTTP/1.1 404"));
  const std::string answer = Ask("POST", "/metrics");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 405")) << answer;
  EXPECT_TRUE(Has(answer, "Allow: GET\r\n"));
}

TEST_F(AdminServerTest, KeepsAConnectionForFurtherRequests) {
  StartServer();
  Client client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.Send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(client.ReadUntil("\"ok\"}\n").starts_with("HTTP/1.1 200")) << i;
  }
  // Two at once.
  client.Send("GET /healthz HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n");
  const std::string both = client.ReadAll();
  EXPECT_EQ(both.find("HTTP/1.1 200"), 0u);
  EXPECT_NE(both.rfind("HTTP/1.1 200"), 0u);
}

TEST_F(AdminServerTest, GarbageAndLargeHeadersAreRefused) {
  StartServer();
  {
    Client client(server_->port());
    client.Send("\x16\x03\x01 not http\r\n\r\n");
    EXPECT_TRUE(client.ReadAll().starts_with("HTTP/1.1 400"));
  }
  {
    Client client(server_->port());
    client.Send("GET /healthz HTTP/1.1\r\nX: " + std::string(8200, 'a'));
    EXPECT_TRUE(client.ReadAll().starts_with("HTTP/1.1 431"));
  }
  {
    // A request with a body is answered, and the body is not taken for a request.
    Client client(server_->port());
    client.Send("GET /healthz HTTP/1.1\r\nContent-Length: 30\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n");
    const std::string answer = client.ReadAll();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
    EXPECT_FALSE(Has(answer, "slipstream_")) << answer;
  }
}

TEST_F(AdminServerTest, ASlowClientIsCutOffWhateverItDrips) {
  StartServer({.header_timeout = absl::Milliseconds(100)});
  Client client(server_->port());
  client.Send("GET /healthz HTTP/1.1\r\nX: ");
  EXPECT_EQ(client.ReadAll(), "");  // closed, though the idle time is a minute
}

TEST_F(AdminServerTest, AnIdleConnectionIsClosed) {
  StartServer({.idle_timeout = absl::Milliseconds(50)});
  Client client(server_->port());
  EXPECT_EQ(client.ReadAll(), "");
}

TEST_F(AdminServerTest, ConnectionsAreBounded) {
  StartServer({.max_connections_count = 2});
  auto a = std::make_unique<Client>(server_->port());
  Client b(server_->port());
  for (Client* client : {a.get(), &b}) {
    client->Send("GET /healthz HTTP/1.1\r\n\r\n");
    ASSERT_NE(client->ReadUntil("\"ok\"}\n"), "");
  }
  EXPECT_EQ(Client(server_->port()).ReadAll(), "");
  a->Send("GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_NE(a->ReadAll(), "");
  // The place is free once the server has seen the end of `a`, which its close shows; ask until
  // then, a bounded number of times.
  bool served = false;
  for (int i = 0; i < 1000 && !served; ++i) served = Ask("GET", "/healthz") != "";
  EXPECT_TRUE(served);
}

TEST_F(AdminServerTest, StopClosesAndFreesThePort) {
  StartServer();
  const int port = server_->port();
  Client open(port);
  open.Send("GET /healthz HTTP/1.1\r\n\r\n");
  ASSERT_NE(open.ReadUntil("\"ok\"}\n"), "");
  server_->Stop();
  server_->Stop();
  EXPECT_FALSE(Client(port).connected());
  server_.reset();
  EXPECT_EQ(open.ReadAll(), "");
}

TEST_F(AdminServerTest, WrongAddressesSayWhatToGive) {
  for (const char* address : {"", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "example:1"}) {
    auto server = AdminServer::Start(
        {.address = address},
        {.registry = registry_, .readiness = readiness_, .logger = logging::Logger()});
    EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument) << address;
  }
  StartServer();
  auto second = AdminServer::Start(
      {.address = "127.0.0.1:" + std::to_string(server_->port())},
      {.registry = registry_, .readiness = readiness_, .logger = logging::Logger()});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace slipstream::admin_http
