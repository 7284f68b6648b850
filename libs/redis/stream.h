// A byte stream to one server, TCP or TLS over TCP: Asio sockets behind one interface.
//
// Thread safety: everything on the executor it was made with, a strand; handlers run there. One
// read and one write at a time. Memory given to Read and Write lives until their handler runs.
// Close makes the handlers of what is under way run with an error.
#ifndef LIBS_REDIS_STREAM_H_
#define LIBS_REDIS_STREAM_H_

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/system/error_code.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/async/async.h"

namespace slipstream::redis {

class Stream {
 public:
  using Handler = std::function<void(boost::system::error_code error, size_t bytes_count)>;
  struct Io {
    boost::system::error_code error;
    size_t bytes_count = 0;
  };

  virtual ~Stream() = default;

  // Connects to the first address that accepts, without Nagle's delay, and does TLS's handshake.
  // `server_name` is what the certificate must name. Errors: UNAVAILABLE REDIS_UNAVAILABLE,
  // FAILED_PRECONDITION REDIS_TLS.
  virtual Async<absl::Status> Connect(std::vector<boost::asio::ip::tcp::endpoint> addresses,
                                      std::string server_name) = 0;

  virtual void Read(char* data, size_t size, Handler handler) = 0;         // some
  virtual void Write(const char* data, size_t size, Handler handler) = 0;  // all
  virtual void Close() = 0;

  // The same for coroutines.
  Async<Io> Read(char* data, size_t size);
  Async<Io> Write(const std::string& bytes);
};

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

// `tls` null: plain TCP.
std::shared_ptr<Stream> MakeStream(const Executor& strand, const TlsContext& tls);

struct TlsFiles {
  std::string ca_file, cert_file, key_file;
};
// TLS 1.2 or later, the peer verified. INVALID_ARGUMENT REDIS_OPTION_INVALID names the bad file.
absl::StatusOr<TlsContext> MakeTlsContext(const TlsFiles& files);

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_STREAM_H_
