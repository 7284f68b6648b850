// One HTTP request and the answer to it, without any HTTP library's types.
//
// A handler reads the body it wants and then answers once: whole by Respond, or piece by piece by
// StartStream, WriteChunk and EndStream.
//
// Thread safety: used by one coroutine (of the connection's strand) at a time; Cancelled callbacks
// run on the same strand.
#ifndef SERVICES_EDGE_HTTP_EXCHANGE_H_
#define SERVICES_EDGE_HTTP_EXCHANGE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/async/async.h"

namespace slipstream::edge {

struct HttpResponse {
  int status = 200;
  std::string content_type;  // empty: no body
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual std::string_view method() const = 0;
  virtual std::string_view path() const = 0;   // raw, without the query
  virtual std::string_view query() const = 0;  // raw, without "?"
  // Case-insensitive; the first of several.
  virtual std::optional<std::string_view> header(std::string_view name) const = 0;
  virtual const std::string& peer_address() const = 0;

  // The whole body. RESOURCE_EXHAUSTED with reason BODY_TOO_LARGE beyond `limit_bytes`, without
  // reading it; CANCELLED when the client went away or was too slow.
  virtual Async<absl::StatusOr<std::string>> ReadBody(size_t limit_bytes) = 0;
  // The next piece (at most 64 KiB) of a long body; an empty string is its end. Errors as above,
  // `limit_bytes` counting all pieces.
  virtual Async<absl::StatusOr<std::string>> ReadBodyPiece(size_t limit_bytes) = 0;

  // False: the client has gone. Headers set by SetHeader are added to those of the response.
  virtual Async<bool> Respond(HttpResponse response) = 0;
  // Chunked; `response.body` is not used.
  virtual Async<bool> StartStream(HttpResponse response) = 0;
  virtual Async<bool> WriteChunk(std::string bytes) = 0;
  virtual Async<bool> EndStream() = 0;

  // For every answer to this request, whoever gives it.
  virtual void SetHeader(std::string name, std::string value) = 0;
  // Runs once when the client closes its connection before the answer is complete. Watching starts
  // with StartStream.
  virtual void OnDisconnect(std::function<void()> callback) = 0;
  virtual bool answered() const = 0;
  virtual int answered_status() const = 0;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_HTTP_EXCHANGE_H_
