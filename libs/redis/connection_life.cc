// The way of the connection: connecting, losing it, deadlines, closing. See connection.h.
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/redis/connection.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// A link that lived longer counts as good: the next attempt comes without a pause.
constexpr auto kGoodLife = std::chrono::seconds(1);
// When the deadline has passed the answer may lie in the socket, unread because this process was
// starved or stopped: it is given one more turn.
constexpr auto kGrace = std::chrono::milliseconds(20);
constexpr int kMaxBackoffDoublings = 20;

// What time alone does not mend: those who wait are told at once.
bool IsPermanent(const absl::Status& status) {
  return status.code() != absl::StatusCode::kUnavailable;
}

}  // namespace

void Connection::Start() {
  asio::post(strand_, [self = shared_from_this()] {
    if (self->closed_ || self->connecting_) return;
    self->connecting_ = true;
    asio::co_spawn(self->strand_, self->ConnectLoop(self), asio::detached);
  });
}

Async<void> Connection::ConnectLoop([[maybe_unused]] std::shared_ptr<Connection> self) {
  while (!closed_ && !retired_) {
    if (failures_count_ > 0) {
      backoff_timer_.expires_at(async::After(Backoff()));
      co_await backoff_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
      if (closed_ || retired_) break;
    }
    auto endpoint = co_await config_.locate(strand_);
    absl::StatusOr<std::shared_ptr<Stream>> stream = absl::UnavailableError("closed");
    if (!endpoint.ok()) stream = endpoint.status();
    if (endpoint.ok() && !closed_) stream = co_await Dial(strand_, config_.dial, *endpoint);
    if (closed_ || retired_) {
      if (stream.ok()) (*stream)->Close();
      break;
    }
    if (stream.ok()) {
      connecting_ = false;
      Connected(*std::move(stream), *endpoint);
      co_return;
    }
    ConnectFailed(stream.status());
  }
  connecting_ = false;
}

void Connection::Connected(std::shared_ptr<Stream> stream, const Endpoint& endpoint) {
  link_ = std::make_shared<Link>();
  link_->stream = std::move(stream);
  link_->endpoint = endpoint;
  link_->since = async::After(absl::ZeroDuration());
  {
    sync::MutexLock lock(mutex_);
    address_ = endpoint.ToString();
  }
  if (connected_before_) Counters::Add(config_.counters->reconnects);
  connected_before_ = true;
  writing_ = false;
  draining_ = false;
  grace_given_ = false;
  last_error_ = absl::OkStatus();
  up_.store(true, std::memory_order_release);
  config_.logger.Info("connected to Redis", {{"address", endpoint.ToString()}});
  StartRead(link_);
  TakeIncoming();
  Flush();
}

void Connection::ConnectFailed(const absl::Status& status) {
  ++failures_count_;
  if (status.message() != last_error_.message()) {
    config_.logger.Warning("cannot connect to Redis; trying again", {{"error", status}});
  }
  last_error_ = status;
  TakeIncoming();
  if (IsPermanent(status)) FailUnsent(status);
  if (config_.on_doubt) config_.on_doubt();
}

absl::Duration Connection::Backoff() {
  const int doublings = std::min(failures_count_ - 1, kMaxBackoffDoublings);
  const absl::Duration full = std::min(config_.options.backoff_max,
                                       config_.options.backoff_min * (int64_t{1} << doublings));
  return full * (0.5 + config_.random->NextDouble() / 2);
}

void Connection::Lose(const std::string& why) {
  if (link_ == nullptr) return;
  const LinkPtr link = std::move(link_);
  link_ = nullptr;
  up_.store(false, std::memory_order_release);
  link->stream->Close();
  const bool was_good = async::After(absl::ZeroDuration()) - link->since > kGoodLife;
  failures_count_ = was_good ? 0 : failures_count_ + 1;
  last_error_ = Unavailable(why, false);
  config_.logger.Warning("lost the connection to Redis",
                         {{"address", link->endpoint.ToString()}, {"why", why}});
  writing_ = false;
  draining_ = false;
  loading_scripts_.clear();
  std::deque<Request> lost = std::move(pending_);
  pending_.clear();
  // Made, but nobody knows where.
  waiting_ = false;
  for (Committed& one : committed_) lost.push_front(std::move(one.request));
  committed_.clear();
  // The server refused to run these: they may be sent again. Scripts are loaded anew.
  std::erase_if(retries_, [](const Request& r) { return !r.done; });
  for (Request& request : retries_) request.script_tries_count = 0;
  queue_.insert(queue_.begin(), std::make_move_iterator(retries_.begin()),
                std::make_move_iterator(retries_.end()));
  retries_.clear();
  if (config_.on_doubt) config_.on_doubt();
  if (retired_) RerouteUnsent();
  const absl::Status status = Unavailable(absl::StrCat(link->endpoint.ToString(), ": ", why), true);
  for (Request& request : lost) Finish(std::move(request), status);
  TakeIncoming();
  if (!closed_ && !retired_) Start();
}

void Connection::EnsureTimer(TimePoint deadline) {
  if (deadline >= timer_at_) return;
  timer_at_ = deadline;
  timer_.expires_at(deadline);
  timer_.async_wait([self = shared_from_this(), generation = ++timer_generation_](error_code) {
    if (generation == self->timer_generation_ && !self->closed_) self->OnTimer();
  });
}

void Connection::OnTimer() {
  timer_at_ = TimePoint::max();
  const TimePoint now = async::After(absl::ZeroDuration());
  if (!writing_) TakeIncoming();
  for (auto* queue : {&retries_, &queue_, &later_}) ExpireUnsent(*queue, now);
  const bool overdue = std::any_of(pending_.begin(), pending_.end(),
                                   [&](const Request& r) { return r.deadline <= now; });
  if (overdue && !std::exchange(grace_given_, true)) return EnsureTimer(now + kGrace);
  if (overdue) {
    const auto count = std::count_if(pending_.begin(), pending_.end(),
                                     [&](const Request& r) { return r.done && r.deadline <= now; });
    Counters::Add(config_.counters->timeouts, static_cast<uint64_t>(count));
    Lose(absl::StrCat("no answer within ", absl::FormatDuration(config_.options.command_timeout)));
  } else {
    grace_given_ = false;
  }
  TimePoint earliest = TimePoint::max();
  for (const auto* queue : {&retries_, &queue_, &later_, &pending_}) {
    for (const Request& request : *queue) earliest = std::min(earliest, request.deadline);
  }
  if (earliest != TimePoint::max()) EnsureTimer(earliest);
  Flush();
}

void Connection::ExpireUnsent(std::deque<Request>& queue, TimePoint now) {
  std::vector<Request> expired;
  for (Request& request : queue) {
    if (request.deadline > now) continue;
    if (request.kind == Request::Kind::kLoadScript) loading_scripts_.erase(request.script->sha1());
    if (request.done) expired.push_back(std::move(request));
  }
  if (expired.empty()) return;
  std::erase_if(queue, [now](const Request& r) { return r.deadline <= now; });
  Counters::Add(config_.counters->timeouts, expired.size());
  const std::string why = last_error_.ok() ? "" : absl::StrCat(" (", WhatOf(last_error_), ")");
  const absl::Status status = Unavailable("not connected in time" + why, false);
  for (Request& request : expired) Finish(std::move(request), status);
}

void Connection::FailUnsent(const absl::Status& status) {
  for (auto* queue : {&retries_, &queue_, &later_}) {
    std::deque<Request> failed = std::move(*queue);
    queue->clear();
    for (Request& request : failed) Finish(std::move(request), status);
  }
}

void Connection::RerouteUnsent() {
  for (auto* queue : {&retries_, &queue_}) {
    std::deque<Request> moved = std::move(*queue);
    queue->clear();
    for (Request& request : moved) {
      if (!request.done) continue;
      if (request.pinned) {
        if (!retired_) {
          queue->push_back(std::move(request));
        } else {
          Finish(std::move(request), Unavailable("the node has left the cluster", false));
        }
        continue;
      }
      held_count_.fetch_sub(1, std::memory_order_relaxed);
      held_bytes_count_.fetch_sub(request.bytes_count, std::memory_order_relaxed);
      config_.counters->pending.fetch_sub(1, std::memory_order_relaxed);
      request.script_tries_count = 0;
      config_.reroute(std::move(request), nullptr);
    }
  }
}

void Connection::RerouteWaiting() {
  asio::post(strand_, [self = shared_from_this()] {
    if (self->closed_ || self->link_ != nullptr) return;
    self->TakeIncoming();
    self->RerouteUnsent();
  });
}

void Connection::Retire() {
  asio::post(strand_, [self = shared_from_this()] {
    if (self->closed_) return;
    self->retired_ = true;
    self->up_.store(false, std::memory_order_release);
    self->backoff_timer_.cancel();
    self->TakeIncoming();
    if (self->pending_.empty()) self->FinishRetirement();
  });
}

// Still takes what comes by a race, to send it elsewhere.
void Connection::FinishRetirement() {
  const LinkPtr link = std::move(link_);
  link_ = nullptr;
  writing_ = false;  // the end of its last write is no longer heard
  if (link != nullptr) link->stream->Close();
  if (retired_) TakeIncoming();
}

void Connection::Close(std::function<void()> closed) {
  asio::post(strand_, [self = shared_from_this(), closed = std::move(closed)] {
    {
      sync::MutexLock lock(self->mutex_);
      self->refusing_ = true;
    }
    self->closed_ = true;
    self->up_.store(false, std::memory_order_release);
    self->timer_.cancel();
    self->backoff_timer_.cancel();
    self->later_timer_.cancel();
    self->retired_ = false;
    self->TakeIncoming();
    self->FinishRetirement();
    std::deque<Request> lost = std::move(self->pending_);
    self->pending_.clear();
    self->waiting_ = false;
    for (Committed& one : self->committed_) lost.push_back(std::move(one.request));
    self->committed_.clear();
    for (Request& request : lost) {
      self->Finish(std::move(request), Unavailable("the client was closed", true));
    }
    closed();
  });
}

}  // namespace slipstream::redis
