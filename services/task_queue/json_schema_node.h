// The compiled form of a schema; private to json_schema*.cc.
#ifndef SERVICES_TASK_QUEUE_JSON_SCHEMA_NODE_H_
#define SERVICES_TASK_QUEUE_JSON_SCHEMA_NODE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/task_queue/json_schema.h"

namespace slipstream::task_queue {

struct JsonSchema::Node {
  using Ptr = std::unique_ptr<Node>;

  bool never = false;  // the schema `false`
  bool sensitive = false;
  std::vector<std::string> types;
  std::vector<google::protobuf::Value> enumeration;  // of enum or const
  std::map<std::string, Ptr> properties;
  std::vector<std::string> required;
  Ptr additional;  // null: anything
  Ptr items;       // null: anything
  std::vector<Ptr> one_of, any_of, all_of;
  Ptr none_of;
  std::optional<double> minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of;
  std::optional<size_t> min_length, max_length, min_items, max_items, min_properties,
      max_properties;
};

// json_schema_compile.cc
absl::StatusOr<JsonSchema::Node::Ptr> CompileSchema(const google::protobuf::Struct& schema,
                                                    const std::string& path, int depth);

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_JSON_SCHEMA_NODE_H_
