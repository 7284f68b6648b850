#include "libs/redis/stream.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/suspend.h"
#include "libs/redis/errors.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

Async<absl::Status> ConnectTcp(tcp::socket& socket, std::vector<tcp::endpoint> addresses) {
  auto [error, address] = co_await asio::async_connect(socket, addresses, kAwait);
  if (error) co_return Unavailable(absl::StrCat("cannot connect (", error.message(), ")"), false);
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  co_return absl::OkStatus();
}

class TcpStream final : public Stream {
 public:
  explicit TcpStream(const Executor& strand) : socket_(strand) {}

  Async<absl::Status> Connect(std::vector<tcp::endpoint> addresses, std::string) override {
    return ConnectTcp(socket_, std::move(addresses));
  }
  void Read(char* data, size_t size, Handler handler) override {
    socket_.async_read_some(asio::buffer(data, size), std::move(handler));
  }
  void Write(const char* data, size_t size, Handler handler) override {
    asio::async_write(socket_, asio::buffer(data, size), std::move(handler));
  }
  void Close() override {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  tcp::socket socket_;
};

class TlsStream final : public Stream {
 public:
  TlsStream(const Executor& strand, TlsContext context)
      : context_(std::move(context)), stream_(strand, *context_) {}

  Async<absl::Status> Connect(std::vector<tcp::endpoint> addresses,
                              std::string server_name) override {
    absl::Status connected = co_await ConnectTcp(stream_.next_layer(), std::move(addresses));
    if (!connected.ok()) co_return connected;
    if (!Expect(server_name)) {
      co_return status::Error(absl::StatusCode::kFailedPrecondition, kTls,
                              "Redis: the server's name cannot be checked; set server_name");
    }
    auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::client, kAwait);
    if (error) co_return HandshakeError(error, server_name);
    co_return absl::OkStatus();
  }
  void Read(char* data, size_t size, Handler handler) override {
    stream_.async_read_some(asio::buffer(data, size), std::move(handler));
  }
  void Write(const char* data, size_t size, Handler handler) override {
    asio::async_write(stream_, asio::buffer(data, size), std::move(handler));
  }
  void Close() override {
    error_code ignored;
    stream_.next_layer().close(ignored);
  }

 private:
  // The certificate must be for this name or address.
  bool Expect(const std::string& name) {
    error_code not_an_address;
    asio::ip::make_address(name, not_an_address);
    if (!not_an_address) {
      return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(stream_.native_handle()), name.c_str());
    }
    return SSL_set1_host(stream_.native_handle(), name.c_str()) &&
           SSL_set_tlsext_host_name(stream_.native_handle(), name.c_str());
  }

  absl::Status HandshakeError(error_code error, const std::string& name) {
    const long verified = SSL_get_verify_result(stream_.native_handle());
    if (verified != X509_V_OK) {
      return status::Error(
          absl::StatusCode::kFailedPrecondition, kTls,
          absl::StrCat("Redis: the certificate of ", name, " is not trusted (",
                       X509_verify_cert_error_string(verified),
                       "): set the ca_file that signed it, or server_name to a name in it"));
    }
    if (error.category() == asio::error::get_ssl_category()) {
      return status::Error(absl::StatusCode::kFailedPrecondition, kTls,
                           absl::StrCat("Redis: TLS with ", name, " failed (", error.message(),
                                        "): check that the port speaks TLS and whether it asks "
                                        "for a client certificate"));
    }
    return Unavailable(
        absl::StrCat("TLS handshake with ", name, " broke off (", error.message(), ")"), false);
  }

  const TlsContext context_;
  asio::ssl::stream<tcp::socket> stream_;
};

absl::Status BadFile(const char* setting, const std::string& path, const error_code& error) {
  return status::Error(
      absl::StatusCode::kInvalidArgument, kOptionInvalid,
      absl::StrCat("Redis: ", setting, " \"", path, "\" is not usable: ", error.message()));
}

template <class Start>
Async<Stream::Io> Await(Start start) {
  co_return co_await async::Suspend<Stream::Io>([&start](async::Resume<Stream::Io> resume) {
    auto shared = std::make_shared<async::Resume<Stream::Io>>(std::move(resume));
    start([shared](error_code error, size_t bytes_count) { (*shared)({error, bytes_count}); });
  });
}

}  // namespace

Async<Stream::Io> Stream::Read(char* data, size_t size) {
  return Await([this, data, size](Handler handler) { Read(data, size, std::move(handler)); });
}

Async<Stream::Io> Stream::Write(const std::string& bytes) {
  return Await(
      [this, &bytes](Handler handler) { Write(bytes.data(), bytes.size(), std::move(handler)); });
}

std::shared_ptr<Stream> MakeStream(const Executor& strand, const TlsContext& tls) {
  if (tls != nullptr) return std::make_shared<TlsStream>(strand, tls);
  return std::make_shared<TcpStream>(strand);
}

absl::StatusOr<TlsContext> MakeTlsContext(const TlsFiles& files) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  context->set_verify_mode(asio::ssl::verify_peer);
  error_code error;
  if (files.ca_file.empty()) {
    context->set_default_verify_paths(error);
    if (error) return BadFile("the system's store of authorities", "", error);
  } else {
    context->load_verify_file(files.ca_file, error);
    if (error) return BadFile("ca_file", files.ca_file, error);
  }
  if (files.cert_file.empty() != files.key_file.empty()) {
    return status::Error(absl::StatusCode::kInvalidArgument, kOptionInvalid,
                         "Redis: set both cert_file and key_file, or neither");
  }
  if (!files.cert_file.empty()) {
    context->use_certificate_chain_file(files.cert_file, error);
    if (error) return BadFile("cert_file", files.cert_file, error);
    context->use_private_key_file(files.key_file, asio::ssl::context::pem, error);
    if (error) return BadFile("key_file", files.key_file, error);
  }
  return context;
}

}  // namespace slipstream::redis
