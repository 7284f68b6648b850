// The recursive descent behind json_reader.h: one object per text.
//
// Every Read* returns false at the first fault. The path of the fault is put together while the
// calls return (innermost first), so that a good text pays nothing for it. Thread safety: none.
#ifndef SERVICES_EDGE_TRANSCODER_JSON_MESSAGE_READER_H_
#define SERVICES_EDGE_TRANSCODER_JSON_MESSAGE_READER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"
#include "google/protobuf/struct.pb.h"
#include "services/edge/transcoder/json_lexer.h"

namespace slipstream::edge {

class JsonMessageReader {
 public:
  explicit JsonMessageReader(std::string_view text) : lexer_(text) {}
  // Any types are looked up where `root` comes from: its fields may belong to a pool below.
  JsonMessageReader(std::string_view text, const google::protobuf::Message& root)
      : lexer_(text),
        pool_(root.GetDescriptor()->file()->pool()),
        factory_(root.GetReflection()->GetMessageFactory()) {}

  // One value of the message's type, or of the field.
  bool ReadMessage(google::protobuf::Message* message);
  bool ReadField(const google::protobuf::FieldDescriptor& field,
                 google::protobuf::Message* message);
  // Any value, checked and dropped.
  bool SkipValue();

  // The outcome: nothing may follow the value.
  absl::Status Finish(bool ok);

 private:
  // Called for each member with the lexer at its value; `key` is only valid until the next read.
  template <typename Member>
  bool ReadMembers(Member&& member);
  template <typename Element>
  bool ReadElements(Element&& element);

  bool ReadObject(google::protobuf::Message* message, std::string_view skipped_key);
  bool ReadScalar(const google::protobuf::FieldDescriptor& field,
                  google::protobuf::Message* message);
  bool ReadRepeated(const google::protobuf::FieldDescriptor& field,
                    google::protobuf::Message* message);
  bool ReadMap(const google::protobuf::FieldDescriptor& field, google::protobuf::Message* message);
  // A message one level further down on the wire.
  bool ReadSubMessage(google::protobuf::Message* message);
  // google.protobuf.Value, Any, and the ones that are text.
  bool ReadStructValue(google::protobuf::Message* value);
  bool ReadAny(google::protobuf::Message* any);
  // The generated Struct family, without reflection: the body of most tasks.
  bool ReadStruct(google::protobuf::Struct* fields);
  bool ReadStructMember(google::protobuf::Value* value);
  bool ReadStructList(google::protobuf::ListValue* list);
  bool ReadTextual(google::protobuf::Message* message);

  // One more message is open on the wire; false beyond the bound. The caller takes it back.
  bool DeeperOnWire();
  bool Deeper();  // one object or list more is open
  bool Fail(std::string message);
  bool Under(std::string part);  // adds a part to the fault's path; always false

  JsonLexer lexer_;
  const google::protobuf::DescriptorPool* pool_ = nullptr;  // null: no message is read
  google::protobuf::MessageFactory* factory_ = nullptr;
  std::string scratch_;                  // of the string read last
  int depth_ = 0;                        // objects and lists open in the text
  int wire_depth_ = 0;                   // messages open on the wire
  std::vector<std::string> fault_path_;  // innermost first
  std::string fault_;
};

template <typename Member>
bool JsonMessageReader::ReadMembers(Member&& member) {
  if (!lexer_.Consume('{')) return lexer_.Expected("`{`");
  if (!Deeper()) return false;
  if (lexer_.Consume('}')) {
    --depth_;
    return true;
  }
  do {
    if (lexer_.Peek() != '"') return lexer_.Expected("a key in double quotes");
    std::string_view key;
    if (!lexer_.ReadString(&scratch_, &key)) return false;
    if (!lexer_.Consume(':')) return lexer_.Expected("`:`");
    if (!member(key)) return false;
  } while (lexer_.Consume(','));
  --depth_;
  return lexer_.Consume('}') || lexer_.Expected("`,` or `}`");
}

template <typename Element>
bool JsonMessageReader::ReadElements(Element&& element) {
  if (!lexer_.Consume('[')) return lexer_.Expected("`[`");
  if (!Deeper()) return false;
  if (lexer_.Consume(']')) {
    --depth_;
    return true;
  }
  size_t index = 0;
  do {
    if (!element()) return Under(absl::StrCat("[", index, "]"));
    ++index;
  } while (lexer_.Consume(','));
  --depth_;
  return lexer_.Consume(']') || lexer_.Expected("`,` or `]`");
}

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_JSON_MESSAGE_READER_H_
