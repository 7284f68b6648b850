// What disturbs the others in `tools/bench notify-stalled` and `notify-flood`.
//   notify_nuisance --kind=KIND --port=P --tokens=FILE [--count=N] [--rate=R]
// Kinds:
//   reading      N signed-in WebSockets that read what comes: company that is no nuisance
//   stalled      N that stop reading once they are subscribed
//   connections  R handshakes a second from one address, with valid tokens, left again at once
//   sign_ins     R handshakes a second from one address, with a token that is none
//   silent       R connections a second from one address that never say a word
// For each line of its standard input: "start" begins, {"event": "started"}; "stop" ends it and
// prints what came of it. Each start is from an address that the edge has not met. Ends with its
// input.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "tests/bench/bench_load.h"
#include "tests/bench/loopback_client.h"

ABSL_FLAG(std::string, kind, "", "reading, stalled, connections, sign_ins or silent");
ABSL_FLAG(int, port, 8080, "of the edge, on loopback");
ABSL_FLAG(std::string, tokens, "", "file with one token a line");
ABSL_FLAG(int, count, 20, "connections of reading and stalled");
ABSL_FLAG(double, rate, 1000, "connections a second of the others");

namespace slipstream::bench {
namespace {

// Addresses that no client of notify_load comes from: its clients are fewer.
constexpr int kFirstNumber = 100 * kClientsPerAddress;
constexpr int64_t kSecond_ns = 1'000'000'000;
// Of a flood: connections that wait for an answer.
constexpr size_t kMaxUnderWay_count = 2000;
// For stalled readers, told to read again, to find how they were closed.
constexpr int64_t kEnds_ns = 10 * kSecond_ns;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "notify_nuisance: %s\n", what.c_str());
  std::exit(1);
}

class Nuisance {
 public:
  virtual ~Nuisance() = default;
  virtual void Start() = 0;
  virtual nlohmann::json Stop() = 0;
};

// N connections, signed in; they read to the end or not at all.
class Readers final : public Nuisance {
 public:
  Readers(std::vector<std::string> tokens, bool read) : tokens_(std::move(tokens)), read_(read) {}

  void Start() override {
    for (int i = 0; i < absl::GetFlag(FLAGS_count); ++i) {
      const std::string& token = tokens_[static_cast<size_t>(i) % tokens_.size()];
      const int fd = ConnectFrom(kFirstNumber + i, absl::GetFlag(FLAGS_port), /*wait=*/true);
      if (fd < 0) Die("connect");
      const std::string request =
          UpgradeRequest("/ws", absl::StrCat("Authorization: Bearer ", token, "\r\n"));
      if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(request.size())) {
        Die("send");
      }
      std::string input;
      while (input.find("\"subscribed\"") == std::string::npos) {
        char bytes[4096];
        const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        if (n <= 0) Die("refused: " + input);
        input.append(bytes, static_cast<size_t>(n));
      }
      // Ends() goes on reading where this stops, maybe within a frame.
      std::string_view rest = std::string_view(input).substr(input.find("\r\n\r\n") + 4);
      while (TakeFrame(&rest)) {
      }
      inputs_.emplace_back(rest);
      fds_.push_back(fd);
    }
    stop_ = false;
    if (read_) thread_ = std::thread([this] { ReadAll(); });
  }

  nlohmann::json Stop() override {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    nlohmann::json out = {{"readers", fds_.size()}};
    if (!read_) out["ends"] = Ends();
    out["bytes"] = bytes_;
    for (const int fd : fds_) close(fd);
    fds_.clear();
    inputs_.clear();
    bytes_ = 0;
    return out;
  }

 private:
  void ReadAll() {
    std::vector<pollfd> polled;
    for (const int fd : fds_) polled.push_back({fd, POLLIN, 0});
    std::string scratch(256 << 10, '\0');
    while (!stop_) {
      poll(polled.data(), polled.size(), 20);
      for (const pollfd& one : polled) {
        if (one.revents == 0) continue;
        const ssize_t n = recv(one.fd, scratch.data(), scratch.size(), MSG_DONTWAIT);
        if (n == 0) Die("a reader that reads was closed");
        if (n > 0) bytes_ += n;
      }
    }
  }
  // Reads all to their ends, at the same time: how many were closed how.
  std::map<std::string, int> Ends() {
    std::map<std::string, int> ends;
    std::vector<pollfd> polled;
    for (const int fd : fds_) polled.push_back({fd, POLLIN, 0});
    size_t left = fds_.size();
    for (const int64_t until = NowNs() + kEnds_ns; left > 0 && NowNs() < until;) {
      poll(polled.data(), polled.size(), 100);
      for (size_t i = 0; i < polled.size(); ++i) {
        if (polled[i].revents == 0) continue;
        const std::string end = ReadOn(polled[i].fd, &inputs_[i]);
        if (end.empty()) continue;
        ++ends[end];
        polled[i].fd = -1;  // poll passes over it
        --left;
      }
    }
    if (left > 0) ends["still open"] = static_cast<int>(left);
    return ends;
  }
  // How the connection was closed; empty: not yet.
  std::string ReadOn(int fd, std::string* input) {
    char bytes[65536];
    const ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? "" : "reset";
    if (n == 0) return "closed without a word";
    bytes_ += n;
    input->append(bytes, static_cast<size_t>(n));
    std::string_view rest = *input;
    while (const auto frame = TakeFrame(&rest)) {
      if (frame->first_byte != kCloseFrame || frame->payload.size() < 2) continue;
      const int code =
          static_cast<uint8_t>(frame->payload[0]) << 8 | static_cast<uint8_t>(frame->payload[1]);
      const bool cursor = frame->payload.find("cursor=") != std::string_view::npos &&
                          !frame->payload.ends_with("cursor=");
      return absl::StrCat("closed with ", code, cursor ? " and its cursor" : "");
    }
    input->erase(0, input->size() - rest.size());
    return "";
  }

  const std::vector<std::string> tokens_;
  const bool read_;
  std::vector<int> fds_;
  std::vector<std::string> inputs_;  // of each: the part of a frame that has come
  std::atomic<bool> stop_{false};
  int64_t bytes_ = 0;
  std::thread thread_;
};

// R connections a second from one address, on a fixed schedule.
class Flood final : public Nuisance {
 public:
  explicit Flood(std::string request)
      : request_(std::move(request)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

  void Start() override {
    number_ += kClientsPerAddress;
    stop_ = false;
    thread_ = std::thread([this] { Run(); });
  }
  nlohmann::json Stop() override {
    stop_ = true;
    thread_.join();
    const nlohmann::json out = {{"connections", begun_},
                                {"per_second", static_cast<double>(begun_) / seconds_},
                                {"not_begun", not_begun_},
                                {"answers", answers_}};
    for (const int fd : std::exchange(waiting_, {})) close(fd);
    begun_ = not_begun_ = 0;
    answers_.clear();
    return out;
  }

 private:
  void Run() {
    const double rate = absl::GetFlag(FLAGS_rate);
    const int64_t from = NowNs();
    int64_t due = 0;
    while (!stop_) {
      const auto now_due =
          static_cast<int64_t>(static_cast<double>(NowNs() - from) / kSecond_ns * rate);
      for (; due < now_due; ++due) Begin();
      epoll_event events[256];
      const int count = epoll_wait(epoll_, events, 256, 1);
      for (int i = 0; i < count; ++i) OnReady(events[i].data.fd, events[i].events);
    }
    seconds_ = static_cast<double>(NowNs() - from) / kSecond_ns;
  }
  void Begin() {
    if (waiting_.size() >= kMaxUnderWay_count) {
      ++not_begun_;
      return;
    }
    const int fd = ConnectFrom(number_, absl::GetFlag(FLAGS_port), /*wait=*/false);
    if (fd < 0) {
      ++not_begun_;
      return;
    }
    ++begun_;
    waiting_.insert(fd);
    epoll_event event{.events = EPOLLOUT | EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  void OnReady(int fd, uint32_t events) {
    if ((events & EPOLLIN) == 0 && (events & EPOLLOUT) != 0) {
      epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
      epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
      if (!request_.empty()) (void)send(fd, request_.data(), request_.size(), MSG_NOSIGNAL);
      return;
    }
    char bytes[4096];
    const ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    waiting_.erase(fd);
    close(fd);
    const std::string_view answer(bytes, n > 0 ? static_cast<size_t>(n) : 0);
    const bool http = answer.starts_with("HTTP/1.1 ");
    ++answers_[http ? std::string(answer.substr(9, 3)) : n == 0 ? "closed" : "reset"];
  }

  const std::string request_;
  const int epoll_;
  int number_ = kFirstNumber;
  std::atomic<bool> stop_{false};
  std::set<int> waiting_;
  int64_t begun_ = 0, not_begun_ = 0;
  double seconds_ = 0;
  std::map<std::string, int64_t> answers_;
  std::thread thread_;
};

std::unique_ptr<Nuisance> MakeNuisance() {
  std::vector<std::string> tokens;
  std::ifstream file(absl::GetFlag(FLAGS_tokens));
  for (std::string line; std::getline(file, line);) tokens.push_back(line);
  if (tokens.empty()) Die("no tokens");
  const std::string kind = absl::GetFlag(FLAGS_kind);
  if (kind == "reading" || kind == "stalled") {
    return std::make_unique<Readers>(std::move(tokens), kind == "reading");
  }
  const auto request = [](const std::string& token) {
    return UpgradeRequest("/ws", absl::StrCat("Authorization: Bearer ", token, "\r\n"));
  };
  if (kind == "connections") return std::make_unique<Flood>(request(tokens[0]));
  if (kind == "sign_ins") return std::make_unique<Flood>(request(tokens[0] + "x"));
  if (kind == "silent") return std::make_unique<Flood>("");
  Die("no such kind: " + kind);
}

void Run() {
  AllowManySockets();
  const std::unique_ptr<Nuisance> nuisance = MakeNuisance();
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "start") {
      nuisance->Start();
      Print({{"event", "started"}});
    } else if (line == "stop") {
      Print(nuisance->Stop());
    } else {
      Die(line);
    }
  }
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  slipstream::bench::Run();
}
