#include "services/edge/transcoder/json_reader.h"

#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "services/edge/transcoder/json_message_reader.h"

namespace slipstream::edge {

bool JsonMessageReader::SkipValue() {
  std::string_view text;
  switch (lexer_.Peek()) {
    case '{': {
      absl::flat_hash_set<std::string> seen;
      return ReadMembers([&](std::string_view key) {
        std::string name(key);
        const bool fresh = seen.insert(name).second;
        return (fresh ? SkipValue() : Fail("is given twice")) || Under(std::move(name));
      });
    }
    case '[':
      return ReadElements([&] { return SkipValue(); });
    case '"':
      return lexer_.ReadString(&scratch_, &text);
    case 't':
      return lexer_.ReadWord("true");
    case 'f':
      return lexer_.ReadWord("false");
    case 'n':
      return lexer_.ReadWord("null");
    case '-':
    case '0' ... '9':
      return lexer_.ReadNumber(&text);
    default:
      return lexer_.Expected("a value");
  }
}

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
