// Where one receiver stands in its channels, kept current from the events that pass.
//
// Form, as AttachResponse.Subscribed.cursor states it: per channel a letter (u user, t tenant, b
// broadcast) and "epoch:offset", joined by ".". The epoch is 16 hexadecimal digits.
//
// Thread safety: a plain value.
#ifndef SERVICES_EDGE_NOTIFICATIONS_RESUME_CURSOR_H_
#define SERVICES_EDGE_NOTIFICATIONS_RESUME_CURSOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slipstream::edge {

struct ResumePosition {
  uint64_t epoch = 0;  // 0: none
  uint64_t offset = 0;
};

class ResumeCursor {
 public:
  static constexpr size_t kChannelCount = 3;

  // nullopt for anything else than the form; an empty text is a cursor of no channel.
  static std::optional<ResumeCursor> Parse(std::string_view text);
  // "epoch:offset"; nullopt for anything else.
  static std::optional<ResumePosition> ParsePosition(std::string_view text);
  // Of "user:U", "tenant:T" and "broadcast"; nullopt for anything else.
  static std::optional<size_t> ChannelIndex(std::string_view channel);

  void Advance(size_t channel, ResumePosition position) { positions_[channel] = position; }
  void AppendTo(std::string* out) const;
  std::string ToString() const;

 private:
  std::array<ResumePosition, kChannelCount> positions_{};
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_NOTIFICATIONS_RESUME_CURSOR_H_
