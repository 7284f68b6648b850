// The head of a server's frame (RFC 6455, section 5.2): whole messages, unmasked.
//
// Thread safety: pure functions.
#ifndef SERVICES_EDGE_WEBSOCKET_FRAME_H_
#define SERVICES_EDGE_WEBSOCKET_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace slipstream::edge {

inline constexpr uint8_t kFrameText = 0x1;
inline constexpr uint8_t kFramePing = 0x9;
// The first byte of a whole close frame.
inline constexpr uint8_t kFrameClose = 0x88;

// Appends the head of a final frame with `payload_bytes` to follow.
inline void AppendFrameHead(uint8_t opcode, size_t payload_bytes, std::string* out) {
  out->push_back(static_cast<char>(0x80 | opcode));
  int length_bytes = 0;
  if (payload_bytes < 126) {
    out->push_back(static_cast<char>(payload_bytes));
  } else if (payload_bytes <= 0xffff) {
    out->push_back(126);
    length_bytes = 2;
  } else {
    out->push_back(127);
    length_bytes = 8;
  }
  for (int i = length_bytes - 1; i >= 0; --i) {
    out->push_back(static_cast<char>(payload_bytes >> (8 * i)));
  }
}

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_WEBSOCKET_FRAME_H_
