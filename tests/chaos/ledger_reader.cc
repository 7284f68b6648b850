#include "tests/chaos/ledger_reader.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "tests/bench/loopback_client.h"

namespace slipstream::chaos {

namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kConnectTimeout_ns = 10'000 * kMs;
// Pings and heartbeats come every two seconds.
constexpr int64_t kQuiet_ns = 8'000 * kMs;
constexpr double kFirstBackoff_ms = 50, kMaxBackoff_ms = 2000;
// How long a reader stays before it leaves by itself, and how often it then stays away for long.
constexpr double kMeanStay_s = 60;
constexpr double kLongAbsencePart = 0.06;
constexpr double kLongAbsence_s[] = {3, 15};
constexpr size_t kReadBytes = 64 << 10;

}  // namespace

LedgerReader::LedgerReader(ReaderWorld& world, Kind kind, int number, std::string user,
                           std::string token,
                           std::array<const Published*, ReaderLedger::kChannelsCount> published,
                           uint64_t seed)
    : world_(world),
      kind_(kind),
      number_(number),
      user_(std::move(user)),
      token_(std::move(token)),
      ledger_(
          absl::StrCat(kind == Kind::kSse ? "SSE" : "WebSocket", " reader ", number, " of ", user_),
          published, world.tally, world.violation),
      random_(seed) {}

LedgerReader::~LedgerReader() {
  if (fd_ >= 0) close(fd_);
}

void LedgerReader::Tick(int64_t now_ns, bool may_leave) {
  switch (state_) {
    case State::kAway:
      if (now_ns >= connect_at_ns_) Connect(now_ns);
      break;
    case State::kConnecting:
    case State::kGreeting:
      if (now_ns - heard_ns_ > kConnectTimeout_ns) End("no answer in time", now_ns);
      break;
    case State::kOpen:
      if (now_ns - heard_ns_ > kQuiet_ns) {
        End("quiet", now_ns);
      } else if (may_leave && now_ns >= leave_at_ns_) {
        ++world_.left_count;
        const bool polite = kind_ == Kind::kWebSocket && Uniform(0, 1) < 0.5;
        if (polite) Send(bench::ClientFrame(bench::kOpClose, "\x03\xe8"));
        const double away_s = Uniform(0, 1) < kLongAbsencePart
                                  ? Uniform(kLongAbsence_s[0], kLongAbsence_s[1])
                                  : Uniform(0, 0.5);
        Leave(polite ? "left with a close" : "left without a word", now_ns,
              static_cast<int64_t>(away_s * 1e9));
      }
      break;
  }
}

void LedgerReader::Connect(int64_t now_ns) {
  ++world_.connects_count;
  if (trying_since_ns_ == 0) trying_since_ns_ = now_ns;
  heard_ns_ = now_ns;
  const size_t edge =
      std::uniform_int_distribution<size_t>(0, world_.edge_ports.size() - 1)(random_);
  fd_ = bench::ConnectFrom(number_, world_.edge_ports[edge], /*wait=*/false);
  if (fd_ < 0) return End("no connection", now_ns);
  state_ = State::kConnecting;
  epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.ptr = this}};
  epoll_ctl(world_.epoll, EPOLL_CTL_ADD, fd_, &event);
}

void LedgerReader::Greet(int64_t now_ns) {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return End("no connection", now_ns);
  epoll_event event{.events = EPOLLIN, .data = {.ptr = this}};
  epoll_ctl(world_.epoll, EPOLL_CTL_MOD, fd_, &event);
  state_ = State::kGreeting;
  ledger_.OnConnect();
  asked_cursor_ = cursor_;
  flushed_ = flushed_ || world_.flushed;
  // All the ways that there are, by chance: a token in the header or the first message, a cursor in
  // the URL, the header or the message.
  const std::string bearer = absl::StrCat("Authorization: Bearer ", token_, "\r\n");
  const bool in_url = Uniform(0, 1) < 0.5;
  const std::string query = in_url && !cursor_.empty() ? "?cursor=" + cursor_ : "";
  bool sent;
  if (kind_ == Kind::kSse) {
    const std::string last =
        in_url || cursor_.empty() ? "" : absl::StrCat("Last-Event-ID: ", cursor_, "\r\n");
    sent = Send(absl::StrCat("GET /api/v1/notifications/stream", query,
                             " HTTP/1.1\r\nHost: 127.0.0.1\r\n", bearer, last, "\r\n"));
  } else {
    auth_by_message_ = !in_url;
    sent = Send(bench::UpgradeRequest("/ws" + query, auth_by_message_ ? "" : bearer));
  }
  if (!sent) End("reset", now_ns);
}

bool LedgerReader::Send(const std::string& bytes) {
  // A few hundred bytes into an empty buffer: all or nothing.
  return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

void LedgerReader::End(const std::string& why, int64_t now_ns) {
  const double most =
      std::min(kMaxBackoff_ms, kFirstBackoff_ms * static_cast<double>(1 << failures_count_));
  failures_count_ = std::min(failures_count_ + 1, 10);
  Leave(why, now_ns, static_cast<int64_t>(Uniform(most / 4, most) * 1e6));
}

void LedgerReader::Leave(const std::string& why, int64_t now_ns, int64_t again_after_ns) {
  ++world_.ends[why];
  if (fd_ >= 0) close(std::exchange(fd_, -1));
  input_.clear();
  text_.clear();
  state_ = State::kAway;
  connect_at_ns_ = now_ns + again_after_ns;
}

void LedgerReader::OnReady(int64_t now_ns) {
  if (state_ == State::kConnecting) {
    Greet(now_ns);
    return;
  }
  if (fd_ < 0) return;
  char bytes[kReadBytes];
  const ssize_t n = recv(fd_, bytes, sizeof(bytes), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return End(n == 0 ? "closed without a word" : "reset", now_ns);
  heard_ns_ = now_ns;
  input_.append(bytes, static_cast<size_t>(n));
  Parse(now_ns);
}

bool LedgerReader::Parse(int64_t now_ns) {
  std::string_view bytes = input_;
  const size_t before = bytes.size();
  bool open = state_ != State::kGreeting || ParseHead(&bytes, now_ns);
  if (open && state_ == State::kOpen) {
    open = kind_ == Kind::kSse ? ParseChunks(&bytes, now_ns) : ParseFrames(&bytes, now_ns);
  }
  if (open) input_.erase(0, before - bytes.size());  // else it has been cleared
  return open;
}

bool LedgerReader::ParseHead(std::string_view* bytes, int64_t now_ns) {
  const size_t end = bytes->find("\r\n\r\n");
  if (end == std::string_view::npos) return true;
  const std::string_view status =
      bytes->substr(0, bytes->find("\r\n")).substr(std::min<size_t>(9, bytes->size()), 3);
  if (status != (kind_ == Kind::kSse ? "200" : "101")) {
    const size_t reason = bytes->find("\"reason\":\"");
    std::string why = absl::StrCat("HTTP ", std::string(status));
    if (reason != std::string_view::npos) {
      const std::string_view rest = bytes->substr(reason + 10);
      why += absl::StrCat(" ", std::string(rest.substr(0, rest.find('"'))));
    }
    End(why, now_ns);
    return false;
  }
  bytes->remove_prefix(end + 4);
  state_ = State::kOpen;
  leave_at_ns_ =
      now_ns +
      static_cast<int64_t>(std::exponential_distribution<double>(1 / kMeanStay_s)(random_) * 1e9);
  if (kind_ == Kind::kWebSocket && auth_by_message_) {
    const nlohmann::json hello = {{"type", "auth"}, {"token", token_}, {"cursor", cursor_}};
    if (!Send(bench::ClientFrame(bench::kOpText, hello.dump()))) {
      End("reset", now_ns);
      return false;
    }
  }
  return true;
}

bool LedgerReader::ParseFrames(std::string_view* bytes, int64_t now_ns) {
  while (const auto frame = bench::TakeFrame(bytes)) {
    const std::string_view payload = frame->payload;
    switch (frame->first_byte) {
      case bench::kTextFrame:
        if (!TakeEvent(payload, now_ns)) return false;
        break;
      case bench::kPingFrame:
        if (Send(bench::ClientFrame(bench::kOpPong, payload))) break;
        End("reset", now_ns);
        return false;
      case bench::kCloseFrame: {
        const int code = payload.size() < 2 ? 1005
                                            : static_cast<uint8_t>(payload[0]) << 8 |
                                                  static_cast<uint8_t>(payload[1]);
        (void)Send(bench::ClientFrame(bench::kOpClose, payload.substr(0, 2)));
        End(absl::StrCat("close ", code), now_ns);
        return false;
      }
      default:
        world_.violation(absl::StrCat("reader ", number_, ": a frame that nobody sends"));
        End("unknown frame", now_ns);
        return false;
    }
  }
  return true;
}

bool LedgerReader::ParseChunks(std::string_view* bytes, int64_t now_ns) {
  for (;;) {
    const size_t line = bytes->find("\r\n");
    if (line == std::string_view::npos) break;
    size_t size = 0;
    const auto parsed = std::from_chars(bytes->data(), bytes->data() + line, size, 16);
    if (parsed.ec != std::errc() || parsed.ptr != bytes->data() + line) {
      world_.violation(absl::StrCat("reader ", number_, ": a chunk without its size"));
      End("bad chunk", now_ns);
      return false;
    }
    if (bytes->size() < line + 2 + size + 2) break;
    text_.append(bytes->substr(line + 2, size));
    bytes->remove_prefix(line + 2 + size + 2);
    if (size == 0) {
      End("end of the stream", now_ns);
      return false;
    }
  }
  size_t from = 0;
  for (size_t end; (end = text_.find("\n\n", from)) != std::string::npos; from = end + 2) {
    if (!TakeRecord(std::string_view(text_).substr(from, end - from), now_ns)) return false;
  }
  text_.erase(0, from);
  return true;
}

bool LedgerReader::TakeRecord(std::string_view record, int64_t now_ns) {
  std::string_view kind, data;
  while (!record.empty()) {
    const std::string_view line = record.substr(0, record.find('\n'));
    record.remove_prefix(std::min(line.size() + 1, record.size()));
    if (line.starts_with("event: ")) kind = line.substr(7);
    if (line.starts_with("data: ")) data = line.substr(6);
  }
  if (kind == "end" || kind == "error") {
    const auto problem = nlohmann::json::parse(data, nullptr, /*allow_exceptions=*/false);
    End(absl::StrCat("SSE ", std::string(kind), " ",
                     problem.is_object() ? problem.value("reason", "") : ""),
        now_ns);
    return false;
  }
  return data.empty() || TakeEvent(data, now_ns);
}

bool LedgerReader::TakeEvent(std::string_view json, int64_t now_ns) {
  const auto event = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!event.is_object()) {
    world_.violation(
        absl::StrCat("reader ", number_, ": no JSON: ", std::string(json.substr(0, 200))));
    End("no JSON", now_ns);
    return false;
  }
  const std::string type = event.value("type", "");
  if (type == "subscribed") {
    flushed_ = flushed_ || world_.flushed;
    ledger_.OnSubscribed(!asked_cursor_.empty(), event.value("recovered", false), flushed_);
    failures_count_ = 0;
    if (trying_since_ns_ != 0) {
      world_.longest_away_ns = std::max(world_.longest_away_ns, now_ns - trying_since_ns_);
      trying_since_ns_ = 0;
    }
  } else if (type == "reconnect") {
    // The edge ends the stream itself; a client need not wait for it.
    End("reconnect", now_ns);
    return false;
  } else if (type == "task_completed" || type == "budget_alert") {
    const std::string channel = event.value("channel", "");
    if (channel != (type == "budget_alert" ? "broadcast" : "user:" + user_)) {
      world_.violation(
          absl::StrCat("reader ", number_, " of ", user_, " was sent what is ", channel, "'s"));
    }
    const auto number = event.find("payload");
    ledger_.OnEvent(type == "budget_alert" ? ReaderLedger::kBroadcast : ReaderLedger::kUser,
                    number == event.end() ? 0 : number->value("number", int64_t{0}));
  }
  if (std::string cursor = event.value("cursor", ""); !cursor.empty()) cursor_ = std::move(cursor);
  return true;
}

}  // namespace slipstream::chaos
