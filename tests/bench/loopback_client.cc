#include "tests/bench/loopback_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace slipstream::bench {

int ConnectFrom(int number, int port, bool wait) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
  if (fd < 0) return -1;
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr =
      htonl((127u << 24) | static_cast<uint32_t>(2 + number / kClientsPerAddress));
  int on = 1;
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&from), sizeof(from)) == 0 &&
      (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0 ||
       (!wait && errno == EINPROGRESS))) {
    return fd;
  }
  close(fd);
  return -1;
}

void AllowManySockets() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

std::string UpgradeRequest(std::string_view path, std::string_view headers) {
  return absl::StrCat("GET ", std::string(path),
                      " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
                      std::string(headers), "\r\n");
}

std::string ClientFrame(uint8_t opcode, std::string_view payload) {
  std::string out;
  out.push_back(static_cast<char>(0x80 | opcode));
  if (payload.size() < 126) {
    out.push_back(static_cast<char>(0x80 | payload.size()));
  } else if (payload.size() <= 0xffff) {
    out.push_back(static_cast<char>(0x80 | 126));
    out.push_back(static_cast<char>(payload.size() >> 8));
    out.push_back(static_cast<char>(payload.size()));
  } else {
    out.push_back(static_cast<char>(0x80 | 127));
    for (int i = 7; i >= 0; --i) out.push_back(static_cast<char>(payload.size() >> (8 * i)));
  }
  out.append(4, '\0');
  out.append(payload);
  return out;
}

std::optional<ServerFrame> TakeFrame(std::string_view* bytes) {
  if (bytes->size() < 2) return std::nullopt;
  const auto* head = reinterpret_cast<const uint8_t*>(bytes->data());
  uint64_t size = head[1] & 0x7f;
  size_t head_bytes = 2;
  if (size == 126) {
    if (bytes->size() < 4) return std::nullopt;
    size = static_cast<uint64_t>(head[2]) << 8 | head[3];
    head_bytes = 4;
  } else if (size == 127) {
    if (bytes->size() < 10) return std::nullopt;
    size = 0;
    for (int i = 2; i < 10; ++i) size = size << 8 | head[i];
    head_bytes = 10;
  }
  if (bytes->size() - head_bytes < size) return std::nullopt;
  const ServerFrame frame{head[0], bytes->substr(head_bytes, size)};
  bytes->remove_prefix(head_bytes + size);
  return frame;
}

}  // namespace slipstream::bench
