// Where a subscriber stands, over all its channels, as text that clients hand back unread.
//
// Form: per channel a letter (u user, t tenant, b broadcast) and "epoch:offset", joined by ".":
//   u5f3a9c01d2e4b687:12.b00c1d2e3f4a59687:3
// The epoch is 16 lower-case hexadecimal digits, the offset decimal. Every channel has an epoch of
// its own, so a cursor of another user or tenant never fits by chance.
//
// Thread safety: plain values. Errors: the parsers answer nullopt for anything else than the form.
#ifndef SERVICES_NOTIFICATION_CURSOR_H_
#define SERVICES_NOTIFICATION_CURSOR_H_

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "services/notification/channel.h"
#include "services/notification/event.h"

namespace slipstream::notification {

inline constexpr size_t kMaxCursorBytes = 256;

// By channel kind; not set: the subscriber has no such channel.
using Cursor = std::array<Position, kChannelKindCount>;

// "epoch:offset"; empty for a position that is not set.
std::string FormatPosition(const Position& position);
std::optional<Position> ParsePosition(std::string_view text);

std::string FormatCursor(const Cursor& cursor);
// REQUIRES a non-empty text: "no cursor" is the caller's case.
std::optional<Cursor> ParseCursor(std::string_view text);

}  // namespace slipstream::notification

#endif  // SERVICES_NOTIFICATION_CURSOR_H_
