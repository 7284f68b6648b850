#include "services/edge/notifications/encoded_event.h"

#include <string_view>
#include <utility>

#include "services/edge/transcoder/json_writer.h"

namespace slipstream::edge {

namespace {

// As the writer prints an empty cursor. Inside of a string the quotes would be escaped, so the
// first match is the member itself.
constexpr std::string_view kEmptyCursor = "\"cursor\":\"\"";

// False when it has no JSON form.
bool Split(const slipstream::notification::v1::Event& event, EncodedEvent* out) {
  std::string json;
  if (!WriteJson(event, &json).ok()) return false;
  const size_t found = json.find(kEmptyCursor);
  if (found == std::string::npos) return false;
  const size_t middle = found + kEmptyCursor.size() - 1;  // before the closing quote
  out->head = json.substr(0, middle);
  out->tail = json.substr(middle);
  return true;
}

}  // namespace

void EncodedEvent::AppendJson(ResumeCursor* cursor, std::string* out) const {
  out->append(head);
  if (kind == Kind::kText) return;
  if (kind == Kind::kStart) *cursor = start;
  if (position.epoch != 0) cursor->Advance(channel, position);
  cursor->AppendTo(out);
  out->append(tail);
}

EncodedEventPtr EncodeEvent(slipstream::notification::v1::Event event) {
  auto out = std::make_shared<EncodedEvent>();
  const auto channel = ResumeCursor::ChannelIndex(event.channel());
  const auto position = ResumeCursor::ParsePosition(event.position());
  if (channel && position) {
    out->channel = *channel;
    out->position = *position;
  }
  event.clear_cursor();
  return Split(event, out.get()) ? out : nullptr;
}

EncodedEventPtr EncodeStart(const ResumeCursor& start, bool recovered) {
  auto out = std::make_shared<EncodedEvent>();
  out->kind = EncodedEvent::Kind::kStart;
  out->start = start;
  slipstream::notification::v1::Event event;
  event.set_type("subscribed");
  event.set_recovered(recovered);
  return Split(event, out.get()) ? out : nullptr;
}

EncodedEventPtr EncodeReconnect(int reconnect_after_ms) {
  auto out = std::make_shared<EncodedEvent>();
  slipstream::notification::v1::Event event;
  event.set_type("reconnect");
  (*event.mutable_payload()->mutable_fields())["reconnect_after_ms"].set_number_value(
      reconnect_after_ms);
  return Split(event, out.get()) ? out : nullptr;
}

EncodedEventPtr EncodeText(std::string json) {
  auto out = std::make_shared<EncodedEvent>();
  out->kind = EncodedEvent::Kind::kText;
  out->head = std::move(json);
  return out;
}

}  // namespace slipstream::edge
