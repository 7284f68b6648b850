#include "libs/redis/dial.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/redis/errors.h"
#include "libs/redis/resp.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Commands = std::vector<std::vector<std::string>>;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// Closes the stream when the time is over, which ends whatever waits on it.
class Guard {
 public:
  Guard(const Executor& strand, std::shared_ptr<Stream> stream, absl::Duration timeout)
      : fired_(std::make_shared<bool>(false)), timer_(strand) {
    timer_.expires_at(async::After(timeout));
    timer_.async_wait([stream = std::move(stream), fired = fired_](error_code error) {
      if (error) return;
      *fired = true;
      stream->Close();
    });
  }
  ~Guard() { timer_.cancel(); }
  bool fired() const { return *fired_; }

 private:
  std::shared_ptr<bool> fired_;
  asio::steady_timer timer_;
};

Async<absl::StatusOr<std::vector<tcp::endpoint>>> Resolve(Executor strand, Endpoint endpoint) {
  error_code not_an_address;
  const auto address = asio::ip::make_address(endpoint.host, not_an_address);
  if (!not_an_address) co_return std::vector{tcp::endpoint(address, endpoint.port)};
  tcp::resolver resolver(strand);
  auto [error, results] =
      co_await resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), kAwait);
  if (error) co_return Unavailable(absl::StrCat("no address (", error.message(), ")"), false);
  co_return std::vector<tcp::endpoint>(results.begin(), results.end());
}

Async<absl::StatusOr<std::vector<Value>>> RoundTrip(Stream& stream, Commands commands) {
  std::string bytes;
  for (const auto& command : commands) AppendCommand(bytes, command);
  const Stream::Io written = co_await stream.Write(bytes);
  if (written.error) co_return Unavailable("connection lost: " + written.error.message(), false);
  ReplyReader reader;
  std::vector<Value> replies;
  std::string buffer(ReplyReader::kFeedBytes, '\0');
  while (replies.size() < commands.size()) {
    Value value;
    switch (reader.Read(&value)) {
      case ReplyReader::Next::kReply:
        replies.push_back(std::move(value));
        continue;
      case ReplyReader::Next::kBroken:
        co_return Unavailable("what answers does not speak Redis's protocol: " + reader.error(),
                              false);
      case ReplyReader::Next::kMore:
        break;
    }
    const Stream::Io read = co_await stream.Read(buffer.data(), buffer.size());
    if (read.error) {
      co_return Unavailable("it closed the connection (" + read.error.message() +
                                "); a port that expects TLS does that, use rediss:// there",
                            false);
    }
    reader.Feed(buffer.data(), read.bytes_count);
  }
  co_return replies;
}

Commands Introduction(const DialSettings& settings) {
  Commands out;
  if (!settings.password.empty()) {
    if (settings.user.empty()) {
      out.push_back({"AUTH", settings.password});
    } else {
      out.push_back({"AUTH", settings.user, settings.password});
    }
  }
  if (settings.db != 0) out.push_back({"SELECT", std::to_string(settings.db)});
  if (!settings.client_name.empty()) out.push_back({"CLIENT", "SETNAME", settings.client_name});
  out.push_back({"PING"});
  if (settings.must_be_primary) out.push_back({"ROLE"});
  out.insert(out.end(), settings.greeting.begin(), settings.greeting.end());
  return out;
}

absl::Status CheckIntroduction(const Commands& commands, const std::vector<Value>& replies) {
  for (size_t i = 0; i < replies.size(); ++i) {
    const Value& reply = replies[i];
    const std::string& name = commands[i][0];
    if (name == "ROLE" && reply.is_array() && reply.size() > 0 && reply[0].text != "master") {
      return Unavailable(absl::StrCat("the server is a ", reply[0].text, ", not the primary"),
                         false);
    }
    if (!reply.is_error()) continue;
    const ErrorKind kind = KindOf(reply.text);
    if (name == "AUTH" && kind != ErrorKind::kLoading) {
      return status::Error(
          absl::StatusCode::kUnauthenticated, kUnauthenticated,
          absl::StrCat("Redis refused the user or password: check those of the Redis URL (",
                       reply.text, ")"));
    }
    // The greeting is for another node of the cluster.
    if (kind == ErrorKind::kMoved) continue;
    // A restricted user may lack these; the connection serves without.
    if (kind == ErrorKind::kNoPermission && (name == "CLIENT" || name == "PING")) continue;
    return FromErrorReply(reply.text);
  }
  return absl::OkStatus();
}

absl::Status At(const Endpoint& endpoint, bool timed_out, absl::Duration timeout,
                const absl::Status& status) {
  if (timed_out) {
    return Unavailable(
        absl::StrCat(endpoint.ToString(), " did not answer within ", absl::FormatDuration(timeout)),
        false);
  }
  if (status.code() != absl::StatusCode::kUnavailable) return status;
  return Unavailable(absl::StrCat(endpoint.ToString(), ": ", WhatOf(status)), false);
}

Async<absl::Status> Introduce(Executor strand, const DialSettings& settings,
                              const Endpoint& endpoint, Stream& stream) {
  auto addresses = co_await Resolve(strand, endpoint);
  if (!addresses.ok()) co_return addresses.status();
  absl::Status connected = co_await stream.Connect(
      *std::move(addresses), settings.server_name.empty() ? endpoint.host : settings.server_name);
  if (!connected.ok()) co_return connected;
  const Commands commands = Introduction(settings);
  auto replies = co_await RoundTrip(stream, commands);
  if (!replies.ok()) co_return replies.status();
  co_return CheckIntroduction(commands, *replies);
}

}  // namespace

Async<absl::StatusOr<std::shared_ptr<Stream>>> Dial(Executor strand, DialSettings settings,
                                                    Endpoint endpoint) {
  auto stream = MakeStream(strand, settings.tls);
  Guard guard(strand, stream, settings.timeout);
  absl::Status status = co_await Introduce(strand, settings, endpoint, *stream);
  if (!status.ok() || guard.fired()) {
    stream->Close();
    co_return At(endpoint, guard.fired(), settings.timeout, status);
  }
  co_return stream;
}

Async<absl::StatusOr<std::vector<Value>>> Ask(Executor strand, DialSettings settings,
                                              Endpoint endpoint, Commands commands) {
  auto stream = MakeStream(strand, settings.tls);
  Guard guard(strand, stream, settings.timeout);
  absl::Status status = co_await Introduce(strand, settings, endpoint, *stream);
  absl::StatusOr<std::vector<Value>> replies = std::vector<Value>();
  if (!status.ok()) replies = status;
  if (status.ok()) replies = co_await RoundTrip(*stream, std::move(commands));
  stream->Close();
  if (!replies.ok()) {
    co_return At(endpoint, guard.fired(), settings.timeout, replies.status());
  }
  co_return replies;
}

}  // namespace slipstream::redis
