// How events lie in the outbox (redis_codec.h).
#include <utility>

#include "services/task_queue/redis_codec.h"
#include "services/task_queue/redis_records.h"

namespace slipstream::task_queue::redis_codec {

std::string EncodeEvent(std::string_view type, const Stored& stored) {
  std::string body;
  WriteCard(stored.task, body);
  std::string out = "E";
  out += PackId(stored.task.task_id);
  out += Number(static_cast<uint64_t>(stored.task.version), 8);
  out.push_back(static_cast<char>(type.size()));
  out.append(type);
  out += Number(body.size(), 4);
  out += body;
  WriteState(stored, false, out);
  return out;
}

std::string EncodeSuccesses(const std::vector<std::string>& ids) {
  std::string out = "D";
  for (const std::string& id : ids) out += id;
  return out;
}

absl::StatusOr<OutboxElement> DecodeOutboxElement(std::string_view element) {
  OutboxElement out;
  if (element.empty()) return Broken("event");
  const char kind = element[0];
  element.remove_prefix(1);
  if (kind == 'D' && element.size() % kIdBytes == 0) {
    out.kind = OutboxElement::Kind::kSuccesses;
    for (size_t i = 0; i < element.size(); i += kIdBytes) {
      out.ids.emplace_back(element.substr(i, kIdBytes));
    }
    return out;
  }
  if (kind == 'L' && element.size() >= kLeaseHeaderBytes - 1) {
    out.kind = OutboxElement::Kind::kStarts;
    out.epoch = static_cast<int64_t>(ReadNumber(element.substr(0, 8)));
    out.at = absl::FromUnixMillis(static_cast<int64_t>(ReadNumber(element.substr(8, 6))));
    const size_t length = static_cast<uint8_t>(element[15]);
    if (element.size() < 16 + length) return Broken("event");
    out.session_id = std::string(element.substr(16, length));
    element.remove_prefix(16 + length);
    if (element.size() % kLaneElementBytes != 0) return Broken("event");
    for (; !element.empty(); element.remove_prefix(kLaneElementBytes)) {
      out.starts.push_back({std::string(element.substr(0, kIdBytes)),
                            static_cast<int64_t>(ReadNumber(element.substr(16, 8))) + 1,
                            static_cast<uint8_t>(element[30])});
    }
    return out;
  }
  if (kind != 'E' || element.size() < 29) return Broken("event");
  Stored stored;
  stored.task.task_id = UnpackId(element.substr(0, kIdBytes));
  stored.task.version = static_cast<int64_t>(ReadNumber(element.substr(kIdBytes, 8)));
  const size_t type_bytes = static_cast<uint8_t>(element[24]);
  if (element.size() < 29 + type_bytes) return Broken("event");
  out.type = std::string(element.substr(25, type_bytes));
  const size_t card_bytes = ReadNumber(element.substr(25 + type_bytes, 4));
  element.remove_prefix(29 + type_bytes);
  if (card_bytes > element.size()) return Broken("event");
  absl::Status read = ReadCard(element.substr(0, card_bytes), stored.task);
  if (read.ok()) read = ReadState(element.substr(card_bytes), stored);
  if (!read.ok()) return read;
  out.task = std::move(stored.task);
  return out;
}

}  // namespace slipstream::task_queue::redis_codec
