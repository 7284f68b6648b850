#include "libs/redis/subscription.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/redis/errors.h"

namespace slipstream::redis {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr size_t kReadBytes = 16 << 10;
constexpr int kMaxBackoffDoublings = 20;

// What a server answers that is older than the command.
bool IsUnknownCommand(std::string_view error_text) {
  return error_text.find("unknown command") != std::string_view::npos;
}

}  // namespace

Client::Subscription::Subscription(std::vector<std::shared_ptr<Impl>> impls)
    : impls_(std::move(impls)) {}
Client::Subscription::~Subscription() {
  for (const auto& impl : impls_) impl->Stop();
}
bool Client::Subscription::up() const {
  return std::all_of(impls_.begin(), impls_.end(), [](const auto& impl) { return impl->up(); });
}
bool Client::Subscription::supported() const {
  return std::all_of(impls_.begin(), impls_.end(),
                     [](const auto& impl) { return impl->supported(); });
}

using Impl = Client::Subscription::Impl;

Impl::Impl(Config config)
    : config_(std::move(config)),
      strand_(asio::make_strand(config_.executor)),
      random_(config_.seed),
      backoff_timer_(strand_),
      heartbeat_timer_(strand_) {
  AppendCommand(ping_, {"PING"});
}

void Impl::Start() { asio::co_spawn(strand_, Run(shared_from_this()), asio::detached); }

void Impl::Stop() {
  {
    sync::MutexLock lock(mutex_);
    stopped_ = true;
    while (calling_ && caller_ != std::this_thread::get_id()) idle_.Wait(mutex_);
  }
  asio::post(strand_, [self = shared_from_this()] {
    self->backoff_timer_.cancel();
    self->heartbeat_timer_.cancel();
    if (self->stream_ != nullptr) self->stream_->Close();
  });
}

bool Impl::stopped() const {
  sync::MutexLock lock(mutex_);
  return stopped_;
}

template <class Callback>
bool Impl::Call(const Callback& callback) {
  {
    sync::MutexLock lock(mutex_);
    if (stopped_) return false;
    calling_ = true;
    caller_ = std::this_thread::get_id();
  }
  callback();
  sync::MutexLock lock(mutex_);
  calling_ = false;
  idle_.SignalAll();
  return !stopped_;
}

Async<void> Impl::Run([[maybe_unused]] std::shared_ptr<Impl> self) {
  int failures_count = 0;
  std::string last_error;
  while (!stopped() && supported_) {
    if (failures_count > 0) {
      const int doublings = std::min(failures_count - 1, kMaxBackoffDoublings);
      const absl::Duration full = std::min(config_.options.backoff_max,
                                           config_.options.backoff_min * (int64_t{1} << doublings));
      backoff_timer_.expires_at(async::After(full * (0.5 + random_.NextDouble() / 2)));
      co_await backoff_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
      if (stopped()) co_return;
    }
    absl::StatusOr<Endpoint> endpoint;
    if (moved_to_) {
      endpoint = *std::exchange(moved_to_, std::nullopt);
    } else {
      endpoint = co_await config_.locate(strand_);
    }
    absl::Status status = endpoint.status();
    if (endpoint.ok()) {
      auto stream = co_await Dial(strand_, config_.dial, *endpoint);
      status = stream.status();
      if (stream.ok()) status = co_await Listen(*stream);
    }
    failures_count = up_ ? 1 : failures_count + 1;
    if (status.message() != last_error && !stopped()) {
      last_error = std::string(status.message());
      config_.logger.Warning("no subscription to Redis; trying again", {{"error", status}});
    }
    SetUp(false);
  }
}

Async<absl::Status> Impl::Listen(std::shared_ptr<Stream> stream) {
  stream_ = stream;
  subscribed_count_ = 0;
  std::vector<std::string> subscribe = {config_.sharded ? "SSUBSCRIBE" : "SUBSCRIBE"};
  subscribe.insert(subscribe.end(), config_.channels.begin(), config_.channels.end());
  std::string bytes;
  AppendCommand(bytes, subscribe);
  absl::Status status;
  const Stream::Io written = co_await stream->Write(bytes);
  if (written.error) status = Unavailable(written.error.message(), true);
  heard_ = true;
  pinging_ = false;
  if (status.ok()) Heartbeat(stream);
  ReplyReader reader;
  std::string buffer(kReadBytes, '\0');
  while (status.ok()) {
    const Stream::Io read = co_await stream->Read(buffer.data(), buffer.size());
    if (read.error) {
      status = Unavailable(read.error.message(), true);
      break;
    }
    heard_ = true;
    reader.Feed(buffer.data(), read.bytes_count);
    Value reply;
    ReplyReader::Next next = ReplyReader::Next::kMore;
    while (status.ok() && (next = reader.Read(&reply)) == ReplyReader::Next::kReply) {
      status = OnReply(reply);
    }
    if (next == ReplyReader::Next::kBroken) status = Unavailable(reader.error(), true);
  }
  heartbeat_timer_.cancel();
  stream->Close();
  stream_ = nullptr;
  co_return status;
}

absl::Status Impl::OnReply(const Value& reply) {
  if (reply.is_error()) {
    if (const auto redirect = ParseRedirect(reply.text); redirect && !redirect->ask) {
      if (!redirect->to.host.empty()) moved_to_ = redirect->to;
    }
    if (config_.sharded && IsUnknownCommand(reply.text)) supported_ = false;
    return FromErrorReply(reply.text);
  }
  if (!reply.is_array() || reply.size() == 0) return absl::OkStatus();
  const std::string& kind = reply[0].text;
  if ((kind == "message" || kind == "smessage") && reply.size() == 3) {
    if (!Call([&] { config_.on_message(reply[1].text, reply[2].text); })) {
      return Unavailable("unsubscribed", true);
    }
  } else if (kind == "subscribe" || kind == "ssubscribe") {
    if (++subscribed_count_ == config_.channels.size()) SetUp(true);
  } else if (kind == "sunsubscribe") {
    return Unavailable("the channel's slot has moved to another server", true);
  }
  return absl::OkStatus();
}

void Impl::SetUp(bool up) {
  if (up_.exchange(up) == up) return;
  Call([&] { config_.on_link(up); });
}

void Impl::Heartbeat(std::shared_ptr<Stream> stream) {
  heartbeat_timer_.expires_at(async::After(config_.options.command_timeout / 2));
  heartbeat_timer_.async_wait([self = shared_from_this(), stream](error_code error) {
    if (error || stream != self->stream_) return;
    if (!std::exchange(self->heard_, false)) return stream->Close();
    if (!std::exchange(self->pinging_, true)) {
      stream->Write(self->ping_.data(), self->ping_.size(),
                    [self, stream](error_code, size_t) { self->pinging_ = false; });
    }
    self->Heartbeat(stream);
  });
}

}  // namespace slipstream::redis
