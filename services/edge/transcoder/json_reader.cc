#include "services/edge/transcoder/json_reader.h"

#include "services/edge/transcoder/json_message_reader.h"

namespace slipstream::edge {

absl::Status ReadJson(std::string_view text, google::protobuf::Message* message) {
  JsonMessageReader reader(text, *message);
  return reader.Finish(reader.ReadMessage(message));
}

absl::Status ReadJsonField(std::string_view text, const google::protobuf::FieldDescriptor& field,
                           google::protobuf::Message* message) {
  JsonMessageReader reader(text, *message);
  return reader.Finish(reader.ReadField(field, message));
}

absl::Status CheckJson(std::string_view text) {
  JsonMessageReader reader(text);
  return reader.Finish(reader.SkipValue());
}

}  // namespace slipstream::edge
