// JSON schemas (OpenAPI 3.1, JSON Schema 2020-12) of protobuf types, as json_writer.h prints them.
// Thread safety: none; one collection for one document.
#ifndef SERVICES_EDGE_TRANSCODER_OPENAPI_SCHEMA_H_
#define SERVICES_EDGE_TRANSCODER_OPENAPI_SCHEMA_H_

#include <map>
#include <string>

#include "google/protobuf/descriptor.h"
#include "nlohmann/json.hpp"

namespace slipstream::edge {

using OrderedJson = nlohmann::ordered_json;

class SchemaCollection {
 public:
  // The schema of a field's value or of a message: a $ref for messages and enums, which are then
  // among components().
  OrderedJson OfField(const google::protobuf::FieldDescriptor& field);
  OrderedJson OfMessage(const google::protobuf::Descriptor& type);
  // One value of a repeated field.
  OrderedJson OfElement(const google::protobuf::FieldDescriptor& field);

  const std::map<std::string, OrderedJson>& components() const { return components_; }

 private:
  OrderedJson OfEnum(const google::protobuf::EnumDescriptor& type);
  OrderedJson ObjectOf(const google::protobuf::Descriptor& type);

  std::map<std::string, OrderedJson> components_;  // by full name
};

// The comment above (or behind) a descriptor, one line for each paragraph line; "" without source
// info.
template <typename D>
std::string CommentOf(const D& descriptor);

extern template std::string CommentOf(const google::protobuf::Descriptor&);
extern template std::string CommentOf(const google::protobuf::FieldDescriptor&);
extern template std::string CommentOf(const google::protobuf::EnumDescriptor&);
extern template std::string CommentOf(const google::protobuf::EnumValueDescriptor&);
extern template std::string CommentOf(const google::protobuf::MethodDescriptor&);
extern template std::string CommentOf(const google::protobuf::ServiceDescriptor&);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_OPENAPI_SCHEMA_H_
