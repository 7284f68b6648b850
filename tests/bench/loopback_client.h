// What clients with many connections share: sockets that come from several loopback addresses, as
// from many machines, and the client's half of WebSocket's framing.
//
// Thread safety: pure functions, but AllowManySockets: at the start.
#ifndef TESTS_BENCH_LOOPBACK_CLIENT_H_
#define TESTS_BENCH_LOOPBACK_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slipstream::bench {

// Below the edge's limit of connections an address (100).
inline constexpr int kClientsPerAddress = 90;

inline constexpr uint8_t kOpText = 0x1, kOpClose = 0x8, kOpPing = 0x9, kOpPong = 0xA;
// First bytes of whole frames of a server.
inline constexpr uint8_t kTextFrame = 0x81, kCloseFrame = 0x88, kPingFrame = 0x89,
                         kPongFrame = 0x8A;

// A TCP socket to 127.0.0.1:`port` without delay; `number` of the client decides the address it
// comes from. With `wait` it is connected when this returns, else on its way and non-blocking; -1:
// it could not be.
int ConnectFrom(int number, int port, bool wait);

// Raises the process's limit of open files as far as it may.
void AllowManySockets();

// The request of a WebSocket handshake; `headers`, each ended by CRLF, are added.
std::string UpgradeRequest(std::string_view path, std::string_view headers);

// A client's frame: masked, with a mask of zeros, which is one.
std::string ClientFrame(uint8_t opcode, std::string_view payload);

struct ServerFrame {
  uint8_t first_byte;
  std::string_view payload;
};
// Takes the first frame from `bytes`; nullopt as long as it has not come whole.
std::optional<ServerFrame> TakeFrame(std::string_view* bytes);

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_LOOPBACK_CLIENT_H_
