// The recursion behind json_writer.h. Every Write* returns false at the first value without a JSON
// form. Thread safety: none; one object for one message.
#ifndef SERVICES_EDGE_TRANSCODER_JSON_MESSAGE_WRITER_H_
#define SERVICES_EDGE_TRANSCODER_JSON_MESSAGE_WRITER_H_

#include <string>

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "google/protobuf/struct.pb.h"

namespace slipstream::edge {

// Deeper than any message that arrived by the wire (100) can be.
inline constexpr int kMaxWriteDepth_count = 200;

class JsonMessageWriter {
 public:
  // Any types are looked up where `root` comes from: its fields may belong to a pool below.
  JsonMessageWriter(std::string* out, const google::protobuf::Message& root)
      : out_(*out),
        pool_(*root.GetDescriptor()->file()->pool()),
        factory_(*root.GetReflection()->GetMessageFactory()) {}

  bool WriteMessage(const google::protobuf::Message& message);
  // The value of a field that is set or has no presence.
  bool WriteField(const google::protobuf::Message& message,
                  const google::protobuf::FieldDescriptor& field);
  absl::Status Finish(bool ok) const;

 private:
  // `{` and the members; the caller closes.
  bool WriteMembers(const google::protobuf::Message& message, bool first);
  // One element of a repeated field, or the singular value with index -1.
  bool WriteScalar(const google::protobuf::Message& message,
                   const google::protobuf::FieldDescriptor& field, int index);
  bool WriteMap(const google::protobuf::Message& message,
                const google::protobuf::FieldDescriptor& field);
  bool WriteWellKnown(const google::protobuf::Message& message);
  bool WriteValue(const google::protobuf::Message& value);
  bool WriteAny(const google::protobuf::Message& any);
  bool WriteTime(const google::protobuf::Message& message, bool timestamp);
  void WriteFieldMask(const google::protobuf::Message& message);
  // The generated Struct family, without reflection: the body of most tasks.
  bool WriteStruct(const google::protobuf::Struct& fields);
  bool WriteStructValue(const google::protobuf::Value& value);
  bool WriteNumber(double value);

  bool Fail(std::string message);

  std::string& out_;
  const google::protobuf::DescriptorPool& pool_;
  google::protobuf::MessageFactory& factory_;
  int depth_ = 0;
  std::string fault_;
};

void WriteJsonFloat(float value, std::string* out);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_JSON_MESSAGE_WRITER_H_
