#include "libs/redis/connection.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/status/status.h"

namespace slipstream::redis {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr size_t kReadBytes = 64 << 10;
// A write beyond it ends the batch; the rest is the next one.
constexpr size_t kMaxWriteBytes = 1 << 20;
// A buffer that one huge command has grown is given back.
constexpr size_t kKeptBufferBytes = 4 << 20;
constexpr int kMaxMoves = 5;
constexpr int kMaxScriptTries = 2;
constexpr absl::Duration kTryAgainPause = absl::Milliseconds(20);

}  // namespace

Connection::Connection(ConnectionConfig config)
    : config_(std::move(config)),
      strand_(asio::make_strand(config_.executor)),
      timer_(strand_),
      backoff_timer_(strand_),
      later_timer_(strand_) {}

std::string Connection::address() const {
  sync::MutexLock lock(mutex_);
  return address_;
}

void Connection::Submit(Request request) {
  Counters& counters = *config_.counters;
  if (request.bytes_count == 0) request.bytes_count = BytesOf(request);
  const int held = held_count_.fetch_add(1, std::memory_order_relaxed);
  const size_t bytes = held_bytes_count_.fetch_add(request.bytes_count, std::memory_order_relaxed);
  counters.pending.fetch_add(1, std::memory_order_relaxed);
  // One that alone is larger than the bound may pass when nothing else is there.
  const bool full = held >= config_.options.max_queued_count ||
                    (bytes > 0 && bytes + request.bytes_count > config_.options.max_queued_bytes);
  bool wake = false;
  bool refused = full;
  if (!full) {
    sync::MutexLock lock(mutex_);
    refused = refusing_;
    if (!refused) {
      incoming_.push_back(std::move(request));
      wake = !std::exchange(wake_posted_, true);
    }
  }
  if (wake) asio::post(strand_, [self = shared_from_this()] { self->Wake(); });
  if (full) {
    Counters::Add(counters.refused);
    Refuse(std::move(request),
           status::WithRetryAfter(
               status::Error(absl::StatusCode::kResourceExhausted, kQueueFull,
                             absl::StrCat("Redis: ", held, " commands (", bytes,
                                          " bytes) wait for an answer already; slow down, or "
                                          "raise max_queued_count and max_queued_bytes"),
                             {{kSent, "false"}}),
               config_.options.backoff_max));
  } else if (refused) {
    Refuse(std::move(request), Unavailable("the client is closed", false));
  }
}

void Connection::Refuse(Request request, absl::Status status) {
  asio::post(strand_, [self = shared_from_this(), request = std::move(request),
                       status = std::move(status)]() mutable {
    self->Finish(std::move(request), std::move(status));
  });
}

// Runs once however many callers came: while a write is under way its end takes them.
void Connection::Wake() {
  if (writing_) return;
  TakeIncoming();
  Flush();
}

void Connection::TakeIncoming() {
  {
    sync::MutexLock lock(mutex_);
    taken_.swap(incoming_);
    wake_posted_ = false;
  }
  TimePoint earliest = TimePoint::max();
  for (Request& request : taken_) {
    earliest = std::min(earliest, request.deadline);
    queue_.push_back(std::move(request));
  }
  taken_.clear();
  if (closed_) return FailUnsent(Unavailable("the client is closed", false));
  if (retired_) return RerouteUnsent();
  if (earliest != TimePoint::max()) EnsureTimer(earliest);
}

void Connection::Flush() {
  if (link_ == nullptr || writing_ || waiting_ || draining_ || (queue_.empty() && retries_.empty()))
    return;
  std::string& buffer = link_->write_buffer;
  buffer.clear();
  if (buffer.capacity() > kKeptBufferBytes) buffer.shrink_to_fit();
  size_t commands_count = 0;
  if (Encode(retries_, &commands_count)) Encode(queue_, &commands_count);
  if (waiting_) AppendWait();
  Counters::Add(config_.counters->writes);
  writing_ = true;
  link_->stream->Write(buffer.data(), buffer.size(),
                       [self = shared_from_this(), link = link_](error_code error, size_t) {
                         self->OnWritten(link, error);
                       });
}

// False when the batch is full.
bool Connection::Encode(std::deque<Request>& from, size_t* commands_count) {
  std::string& buffer = link_->write_buffer;
  while (!from.empty()) {
    if (buffer.size() >= kMaxWriteBytes) return false;
    if (from.front().asking) {
      Request asking;
      asking.kind = Request::Kind::kAsking;
      asking.deadline = from.front().deadline;
      AppendRequest(buffer, asking);
      pending_.push_back(std::move(asking));
    }
    AppendRequest(buffer, from.front());
    if (from.front().kind == Request::Kind::kTransaction) {
      from.front().replies_left = from.front().words_counts.size() + 2;
      from.front().refused_text.clear();
    }
    waiting_ = waiting_ || Commits(from.front());
    pending_.push_back(std::move(from.front()));
    from.pop_front();
    ++*commands_count;
  }
  return true;
}

bool Connection::Commits(const Request& request) const {
  if (config_.options.wait_replicas_count == 0) return false;
  return request.kind == Request::Kind::kTransaction ||
         (request.kind == Request::Kind::kEval && request.script->commits());
}

void Connection::AppendWait() {
  Request wait;
  wait.kind = Request::Kind::kWait;
  wait.args = {"WAIT", absl::StrCat(config_.options.wait_replicas_count),
               absl::StrCat(absl::ToInt64Milliseconds(config_.options.wait_timeout))};
  wait.deadline = async::After(config_.options.command_timeout);
  EnsureTimer(wait.deadline);
  AppendRequest(link_->write_buffer, wait);
  pending_.push_back(std::move(wait));
}

void Connection::OnWaited(const Value& value, TimePoint now) {
  waiting_ = false;
  const int wanted = config_.options.wait_replicas_count;
  absl::Status status;
  if (value.is_error()) {
    status = FromErrorReply(value.text);
  } else if (value.integer < wanted) {
    status = NotReplicated(value.integer, wanted);
    Counters::Add(config_.counters->not_replicated, committed_.size());
  }
  std::vector<Committed> committed = std::exchange(committed_, {});
  for (Committed& one : committed) {
    config_.counters->AddRoundTrip(now - one.request.submitted);
    if (status.ok()) {
      Finish(std::move(one.request), std::move(one.value));
    } else {
      Finish(std::move(one.request), status);
    }
  }
}

void Connection::OnWritten(const LinkPtr& link, error_code error) {
  if (link != link_) return;  // of a link that was given up
  writing_ = false;
  if (error) return Lose(absl::StrCat("connection lost while writing (", error.message(), ")"));
  TakeIncoming();
  Flush();
}

void Connection::StartRead(const LinkPtr& link) {
  link->read_buffer.resize(kReadBytes);
  link->stream->Read(link->read_buffer.data(), kReadBytes,
                     [self = shared_from_this(), link](error_code error, size_t bytes_count) {
                       self->OnRead(link, error, bytes_count);
                     });
}

void Connection::OnRead(const LinkPtr& link, error_code error, size_t bytes_count) {
  if (link != link_) return;
  if (error) return Lose(absl::StrCat("connection lost (", error.message(), ")"));
  const TimePoint now = async::After(absl::ZeroDuration());
  for (size_t at = 0; at < bytes_count; at += ReplyReader::kFeedBytes) {
    link->reader.Feed(link->read_buffer.data() + at,
                      std::min(ReplyReader::kFeedBytes, bytes_count - at));
    while (true) {
      Value value;
      const ReplyReader::Next next = link->reader.Read(&value);
      if (next == ReplyReader::Next::kMore) break;
      if (next == ReplyReader::Next::kBroken || pending_.empty()) {
        return Lose(absl::StrCat("the server broke the protocol (", link->reader.error(), ")"));
      }
      OnReply(std::move(value), now);
    }
  }
  if (pending_.empty()) {
    grace_given_ = false;
    if (retired_) return FinishRetirement();
    if (draining_) return Lose("the server is no longer the primary");
  }
  StartRead(link);
  // What the answers' callbacks have handed in goes out now, not when their wake-up has its turn.
  if (!writing_) TakeIncoming();
  Flush();
}

// Whether a transaction waits for more replies after this one.
bool Connection::TakesMore(const Value& value) {
  Request& request = pending_.front();
  if (request.kind != Request::Kind::kTransaction || --request.replies_left == 0) return false;
  if (value.is_error() && request.refused_text.empty()) request.refused_text = value.text;
  return true;
}

void Connection::OnReply(Value value, TimePoint now) {
  if (TakesMore(value)) return;
  Request request = std::move(pending_.front());
  pending_.pop_front();
  switch (request.kind) {
    case Request::Kind::kAsking:
      return;
    case Request::Kind::kLoadScript:
      loading_scripts_.erase(request.script->sha1());
      if (!value.is_error()) Counters::Add(config_.counters->scripts_loaded);
      return;  // a failure shows in the EVALSHA behind it
    case Request::Kind::kWait:
      return OnWaited(value, now);
    case Request::Kind::kTransaction:
      // EXEC only says that it refuses; why was said before.
      if (value.is_error() && !request.refused_text.empty()) value.text = request.refused_text;
      for (const Value& one : value.elements) {
        if (!one.is_error()) continue;
        config_.counters->AddRoundTrip(now - request.submitted);
        return Finish(std::move(request), FromErrorWithin(one.text));
      }
      break;
    case Request::Kind::kCommand:
    case Request::Kind::kEval:
      break;
  }
  if (value.is_error()) {
    if (Retry(request, value.text)) return;
    config_.counters->AddRoundTrip(now - request.submitted);
    return Finish(std::move(request), FromErrorReply(value.text));
  }
  if (Commits(request)) {
    committed_.push_back({std::move(request), std::move(value)});
    return;
  }
  config_.counters->AddRoundTrip(now - request.submitted);
  Finish(std::move(request), std::move(value));
}

// True when the request was taken: the server did not run it, and it will be sent again.
bool Connection::Retry(Request& request, const std::string& error_text) {
  const bool may_move =
      config_.reroute != nullptr && !request.pinned && request.moves_count < kMaxMoves;
  switch (KindOf(error_text)) {
    case ErrorKind::kNoScript:
      if (request.kind != Request::Kind::kEval || request.script_tries_count >= kMaxScriptTries) {
        return false;
      }
      RetryScript(std::move(request));
      return true;
    case ErrorKind::kMoved:
    case ErrorKind::kAsk: {
      auto redirect = ParseRedirect(error_text);
      if (!may_move || !redirect) return false;
      if (redirect->to.host.empty()) redirect->to.host = link_->endpoint.host;
      Counters::Add(config_.counters->redirects);
      ++request.moves_count;
      request.asking = redirect->ask;
      held_count_.fetch_sub(1, std::memory_order_relaxed);
      held_bytes_count_.fetch_sub(request.bytes_count, std::memory_order_relaxed);
      config_.counters->pending.fetch_sub(1, std::memory_order_relaxed);
      config_.reroute(std::move(request), &*redirect);
      return true;
    }
    case ErrorKind::kTryAgain:
      if (!may_move) return false;
      ++request.moves_count;
      RetryLater(std::move(request));
      return true;
    case ErrorKind::kReadOnly:
      if (config_.reroute == nullptr) draining_ = true;
      [[fallthrough]];
    case ErrorKind::kClusterDown:
      if (config_.on_doubt) config_.on_doubt();
      return false;
    default:
      return false;
  }
}

// Many EVALSHA of one pipeline may meet NOSCRIPT; the script is loaded once, in front of them.
void Connection::RetryScript(Request request) {
  ++request.script_tries_count;
  if (request.script_tries_count == 1 && loading_scripts_.insert(request.script->sha1()).second) {
    Request load;
    load.kind = Request::Kind::kLoadScript;
    load.script = request.script;
    load.deadline = request.deadline;
    retries_.push_back(std::move(load));
  }
  retries_.push_back(std::move(request));
}

void Connection::RetryLater(Request request) {
  later_.push_back(std::move(request));
  if (later_.size() > 1) return;  // the timer runs
  later_timer_.expires_at(async::After(kTryAgainPause));
  later_timer_.async_wait([self = shared_from_this()](error_code error) {
    if (error) return;
    for (Request& late : self->later_) self->queue_.push_back(std::move(late));
    self->later_.clear();
    if (self->retired_) self->RerouteUnsent();
    self->Flush();
  });
}

void Connection::Finish(Request request, absl::StatusOr<Value> result) {
  if (!request.done) return;  // our own
  held_count_.fetch_sub(1, std::memory_order_relaxed);
  held_bytes_count_.fetch_sub(request.bytes_count, std::memory_order_relaxed);
  config_.counters->pending.fetch_sub(1, std::memory_order_relaxed);
  if (!result.ok()) Counters::Add(config_.counters->errors);
  request.done(std::move(result));
}

}  // namespace slipstream::redis
