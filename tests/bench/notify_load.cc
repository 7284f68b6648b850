// The client of `tools/bench notify-fanout` and `notify-idle`: many signed-in WebSockets in one
// thread, the same code for Slipstream's edge and for socket.io.
//   notify_load --protocol=slipstream|socketio --port=P --tokens=FILE [--clients=500] ...
// Connects --clients with the tokens of FILE (one a line, in turn), prints {"event": "ready"}, and
// then, for each line of its standard input:
//   fanout MESSAGES RATE BATCH   publishes numbered payloads of 100 bytes to everybody, at most
//       BATCH in a call. With RATE 0 as fast as they are received: at most --window are under way.
//       Otherwise each is due at its time, RATE a second, and with a BATCH above 1 those of 2 ms
//       are published together. Prints how many deliveries came, each checked to be the next number
//       of its client, and how long after they were due; with a BATCH of 1, after their call began.
// Ends with its input. Connections come from several loopback addresses, 90 from each, as they
// would from many machines.
#include <grpcpp/channel.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/rpc/channel.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"
#include "tests/bench/bench_load.h"
#include "tests/bench/loopback_client.h"

ABSL_FLAG(std::string, protocol, "slipstream", "slipstream or socketio");
ABSL_FLAG(int, port, 8080, "of the edge or of socket.io, on loopback");
ABSL_FLAG(std::string, tokens, "", "file with one token a line");
ABSL_FLAG(int, clients, 500, "WebSocket connections");
ABSL_FLAG(int, window, 512, "messages that not every client has received yet");

namespace slipstream::bench {
namespace {

constexpr size_t kPayloadBytes = 100;
constexpr size_t kReadBytes = 1 << 20;
constexpr int64_t kLinger_ns = 2'000'000;
// Nothing comes for this long: what is missing is lost.
constexpr int64_t kQuiet_ns = 10'000'000'000;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "notify_load: %s\n", what.c_str());
  std::exit(1);
}

bool SocketIo() { return absl::GetFlag(FLAGS_protocol) == "socketio"; }

class Connection {
 public:
  // Connected and signed in when it returns. `number` decides the address it comes from.
  Connection(int number, const std::string& token) {
    fd_ = ConnectFrom(number, absl::GetFlag(FLAGS_port), /*wait=*/true);
    if (fd_ < 0) Die("connect");
    Send(SocketIo() ? UpgradeRequest("/socket.io/?EIO=4&transport=websocket", "")
                    : UpgradeRequest("/ws", absl::StrCat("Authorization: Bearer ", token, "\r\n")));
    size_t end;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) Receive();
    if (!input_.starts_with("HTTP/1.1 101")) Die("refused: " + input_);
    input_.erase(0, end + 4);
    if (SocketIo()) {
      Expect("0{");
      Send(ClientFrame(kOpText, absl::StrCat("40{\"token\":\"", token, "\"}")));
      Expect("40{");
    } else {
      Expect("\"subscribed\"");
    }
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;

  int fd() const { return fd_; }
  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (n <= 0) Die("send");
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }

  // Reads what is there; `on_text` gets each text message. False: nothing was there.
  template <class OnText>
  bool Read(std::string& scratch, OnText on_text) {
    const size_t old = input_.size();
    scratch.resize(kReadBytes);
    std::memcpy(scratch.data(), input_.data(), old);
    const ssize_t n = recv(fd_, scratch.data() + old, scratch.size() - old, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n <= 0) Die("the server closed a connection");
    std::string_view bytes(scratch.data(), old + static_cast<size_t>(n));
    Parse(&bytes, on_text);
    input_.assign(bytes);
    return true;
  }

  int64_t next = 0;  // number of the message expected

 private:
  void Receive() {
    char bytes[16384];
    const ssize_t n = recv(fd_, bytes, sizeof(bytes), 0);
    if (n <= 0) Die("closed while signing in");
    input_.append(bytes, static_cast<size_t>(n));
  }
  void Expect(std::string_view text) {
    for (bool found = false; !found;) {
      std::string_view bytes = input_;
      const size_t before = bytes.size();
      Parse(&bytes, [&](std::string_view message) {
        if (message.find(text) == std::string_view::npos)
          Die(absl::StrCat("got ", std::string(message)));
        found = true;
      });
      input_.erase(0, before - bytes.size());
      if (!found) Receive();
    }
  }
  template <class OnText>
  void Parse(std::string_view* bytes, OnText on_text) {
    while (const auto frame = TakeFrame(bytes)) {
      const std::string_view payload = frame->payload;
      switch (frame->first_byte) {
        case kTextFrame:
          if (SocketIo() && payload == "2") {
            Send(ClientFrame(kOpText, "3"));
          } else {
            on_text(payload);
          }
          break;
        case kPingFrame:
          Send(ClientFrame(kOpPong, payload));
          break;
        case kCloseFrame:
          Die(absl::StrCat("closed: ",
                           std::string(payload.substr(std::min<size_t>(2, payload.size())))));
        default:
          Die("a frame that nobody sends");
      }
    }
  }

  int fd_;
  std::string input_;  // the part of a frame that has come
};

std::string Payload(int64_t number, int64_t due_ns) {
  std::string out = absl::StrFormat("n=%012d t=%020d ", number, due_ns);
  out.resize(kPayloadBytes, 'x');
  return out;
}

// Where the payload is in a message, from its end; or empty for another message.
std::string_view PayloadOf(std::string_view message) {
  const size_t tail = SocketIo() ? 2 : 3;
  if (message.size() < kPayloadBytes + tail) return {};
  const std::string_view payload =
      message.substr(message.size() - kPayloadBytes - tail, kPayloadBytes);
  return payload.starts_with("n=") ? payload : std::string_view();
}

int64_t Number(std::string_view digits) {
  int64_t out = 0;
  for (const char c : digits) out = out * 10 + (c - '0');
  return out;
}

class Publisher {
 public:
  explicit Publisher(const std::string& token) {
    if (SocketIo()) {
      connection_ = std::make_unique<Connection>(0, token);
    } else {
      stub_ = notification::v1::NotificationService::NewStub(
          rpc::MakeChannel(absl::GetFlag(FLAGS_address)));
    }
    token_ = token;
  }
  void Publish(int64_t first, const std::vector<int64_t>& due) {
    if (SocketIo()) {
      std::string text = "42[\"publish\"";
      for (const int64_t at : due) absl::StrAppend(&text, ",\"", Payload(first++, at), "\"");
      connection_->Send(ClientFrame(kOpText, text + "]"));
      // Its own copies of the messages are read and not counted.
      while (connection_->Read(scratch_, [](std::string_view) {})) {
      }
      return;
    }
    notification::v1::PublishManyRequest request;
    for (const int64_t at : due) {
      auto& event = *request.add_events();
      event.set_channel("broadcast");
      event.set_type("budget_alert");
      (*event.mutable_payload()->mutable_fields())["data"].set_string_value(Payload(first++, at));
    }
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token_);
    notification::v1::PublishManyResponse response;
    const grpc::Status status = stub_->PublishMany(&context, request, &response);
    if (!status.ok()) Die("publish: " + status.error_message());
  }

 private:
  std::string token_, scratch_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<notification::v1::NotificationService::Stub> stub_;
};

double ThreadCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Load {
 public:
  explicit Load(std::vector<std::string> tokens)
      : publisher_(absl::GetFlag(FLAGS_token)), epoll_(epoll_create1(0)) {
    const int64_t begun = NowNs();
    for (int i = 0; i < absl::GetFlag(FLAGS_clients); ++i) {
      connections_.push_back(
          std::make_unique<Connection>(i, tokens[static_cast<size_t>(i) % tokens.size()]));
      epoll_event event{.events = EPOLLIN, .data = {.ptr = connections_.back().get()}};
      epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_.back()->fd(), &event);
    }
    Print({{"event", "ready"},
           {"clients", connections_.size()},
           {"connect_s", static_cast<double>(NowNs() - begun) / 1e9}});
  }

  // Answers pings while nothing is asked for.
  void Idle(int timeout_ms) {
    Poll(timeout_ms, [](Connection&, std::string_view) {});
  }

  nlohmann::json Fanout(int64_t messages, double rate, int batch) {
    const int64_t first = published_;
    const int64_t wanted = messages * static_cast<int64_t>(connections_.size());
    std::vector<int64_t> late;
    late.reserve(static_cast<size_t>(rate > 0 ? std::min<int64_t>(wanted, 20'000'000) : 0));
    received_by_all_ = first;
    for (auto& connection : connections_) connection->next = first;
    int64_t received = 0, wrong = 0, bytes = 0;
    const int64_t begun = NowNs();
    const double cpu = ThreadCpuSeconds();
    std::atomic<bool> stop{false};
    std::thread publish([&] { PublishAll(first, messages, rate, batch, begun, stop); });
    int64_t last = begun;
    while (received < wanted) {
      const int64_t now_before = NowNs();
      const bool any = Poll(100, [&](Connection& connection, std::string_view message) {
        const std::string_view payload = PayloadOf(message);
        if (payload.empty()) return;
        const int64_t number = Number(payload.substr(2, 12));
        if (number < first) return;  // of an earlier run
        if (number != connection.next) ++wrong;
        connection.next = number + 1;
        ++received;
        bytes += static_cast<int64_t>(message.size());
        if (rate > 0) late.push_back(NowNs() - Number(payload.substr(17, 20)));
      });
      if (any) last = NowNs();
      int64_t least = INT64_MAX;
      for (const auto& connection : connections_) least = std::min(least, connection->next);
      received_by_all_.store(least, std::memory_order_release);
      if (now_before - last > kQuiet_ns) break;
    }
    const double seconds = static_cast<double>(last - begun) / 1e9;
    const double busy = (ThreadCpuSeconds() - cpu) / seconds;
    stop = true;
    publish.join();
    nlohmann::json out = {{"messages", messages},
                          {"deliveries", received},
                          {"missing", wanted - received},
                          {"wrong", wrong},
                          {"seconds", seconds},
                          {"deliveries_per_second", static_cast<double>(received) / seconds},
                          {"bytes_per_delivery", received > 0 ? bytes / received : 0},
                          {"client_busy", busy}};
    if (rate > 0) out["latency"] = Percentiles(std::move(late));
    return out;
  }

 private:
  void PublishAll(int64_t first, int64_t messages, double rate, int batch, int64_t begun,
                  const std::atomic<bool>& stop) {
    const int window = absl::GetFlag(FLAGS_window);
    const int64_t linger_ns = batch > 1 ? kLinger_ns : 0;
    const auto due_at = [&](int64_t i) {
      return begun + static_cast<int64_t>(static_cast<double>(i) * 1e9 / rate);
    };
    std::vector<int64_t> due;
    for (int64_t done = 0; done < messages && !stop;) {
      due.clear();
      if (rate > 0) {
        const int64_t wait = due_at(done) + linger_ns - NowNs();
        if (wait > 0) usleep(static_cast<unsigned>(wait / 1000));
        const int64_t now = NowNs();
        while (done + std::ssize(due) < messages && std::ssize(due) < batch) {
          const int64_t at = due_at(done + std::ssize(due));
          if (at > now && !due.empty()) break;
          due.push_back(batch > 1 ? at : now);
        }
      } else {
        const int64_t count = std::min<int64_t>(batch, messages - done);
        while (!stop &&
               first + done + count - received_by_all_.load(std::memory_order_acquire) > window) {
          usleep(50);
        }
        due.assign(static_cast<size_t>(count), NowNs());
      }
      publisher_.Publish(first + done, due);
      done += std::ssize(due);
    }
    published_ = first + messages;
  }

  template <class OnText>
  bool Poll(int timeout_ms, OnText on_text) {
    epoll_event events[256];
    const int count = epoll_wait(epoll_, events, 256, timeout_ms);
    for (int i = 0; i < count; ++i) {
      auto& connection = *static_cast<Connection*>(events[i].data.ptr);
      connection.Read(scratch_, [&](std::string_view message) { on_text(connection, message); });
    }
    return count > 0;
  }

  Publisher publisher_;
  const int epoll_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::string scratch_;
  std::atomic<int64_t> received_by_all_{0};
  int64_t published_ = 0;
};

void Run() {
  AllowManySockets();
  std::vector<std::string> tokens;
  std::ifstream file(absl::GetFlag(FLAGS_tokens));
  for (std::string line; std::getline(file, line);) tokens.push_back(line);
  if (tokens.empty()) Die("no tokens");
  Load load(std::move(tokens));
  // Commands are read by a thread of their own, so that pings are answered meanwhile.
  std::atomic<bool> ended{false}, waiting{false};
  std::string command;
  std::thread input([&] {
    for (std::string line; std::getline(std::cin, line);) {
      command = line;
      waiting = true;
      while (waiting) usleep(1000);
    }
    ended = true;
  });
  while (!ended) {
    if (!waiting) {
      load.Idle(20);
      continue;
    }
    long messages = 0;
    double rate = 0;
    int batch = 0;
    if (std::sscanf(command.c_str(), "fanout %ld %lf %d", &messages, &rate, &batch) != 3 ||
        batch < 1) {
      Die(command);
    }
    Print(load.Fanout(messages, rate, batch));
    waiting = false;
  }
  input.join();
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  slipstream::bench::Run();
}
