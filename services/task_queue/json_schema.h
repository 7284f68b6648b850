// JsonSchema: checks a task's arguments against its type's schema before anything is queued.
//
// JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12), this subset:
//   any value  type (one or a list), enum, const, oneOf, anyOf, allOf, not
//   objects    properties, required, additionalProperties (boolean or schema), min/maxProperties
//   arrays     items (one schema), minItems, maxItems
//   strings    minLength, maxLength (in characters)
//   numbers    minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf
// and the annotations title, description, default, examples, format, deprecated, $schema, $id,
// $comment, readOnly, writeOnly. Any other keyword is refused when the schema is compiled: a
// constraint that nobody checks is worse than none. `"sensitive": true` marks a property whose
// value is shown as `***`.
//
// Numbers are doubles, as in google.protobuf.Value; "integer" means no fraction.
//
// Thread safety: immutable once compiled.
#ifndef SERVICES_TASK_QUEUE_JSON_SCHEMA_H_
#define SERVICES_TASK_QUEUE_JSON_SCHEMA_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/struct.pb.h"
#include "libs/status/status.h"

namespace slipstream::task_queue {

inline constexpr int kMaxSchemaDepth = 32;
// The only field of an object that stands for an encrypted value (args_cipher.h).
inline constexpr char kSealedField[] = "$slipstream_sealed";
bool IsSealed(const google::protobuf::Value& value);

class JsonSchema {
 public:
  // INVALID_ARGUMENT (FieldError on "args_schema...") for what is not a schema of the subset. An
  // empty schema accepts every object.
  static absl::StatusOr<JsonSchema> Compile(const google::protobuf::Struct& schema);

  // What is wrong with `args`, at most status::kMaxViolationCount; empty when they meet the schema.
  // Paths begin with "args".
  std::vector<status::FieldViolation> Check(const google::protobuf::Struct& args) const;

  // Whether any property is marked sensitive.
  bool has_sensitive() const;
  // Calls `visit` for the value of each sensitive property; sealed ones are passed over.
  void VisitSensitive(google::protobuf::Struct& args,
                      const std::function<void(google::protobuf::Value&)>& visit) const;
  // Replaces the values of sensitive properties, and all sealed ones, by "***".
  void Redact(google::protobuf::Struct& args) const;

  struct Node;  // of the compiled tree; defined in the .cc

 private:
  explicit JsonSchema(std::shared_ptr<const Node> root) : root_(std::move(root)) {}
  std::shared_ptr<const Node> root_;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_JSON_SCHEMA_H_
