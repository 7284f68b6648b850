// Strict JSON text -> protobuf message, driven by the message's descriptor.
//
// Works on generated and dynamic messages. One pass over the text, no tree in between. What is
// accepted is RFC 8259 JSON and the proto3 JSON mapping
// (https://protobuf.dev/programming-guides/proto3/#json), with no leniency:
//   - no comments, single quotes, bare keys, trailing commas, leading zeros, or text after the
//   value;
//   - a key given twice is refused (also as snake_case and lowerCamelCase of one field, and in
//   maps);
//   - unknown keys are refused with their path and the nearest known name;
//   - invalid UTF-8 and lone surrogate escapes are refused;
//   - numbers must fit their field exactly: 1e3 and 1.0 are integers, 1.5 is not; 1e400 is no
//   double;
//   - enums by name, or by a number that has a name.
// A `null` leaves a field unset; it is refused inside lists and maps (google.protobuf.Value takes
// it everywhere). int64 is read from a number or a string, bytes from standard or URL-safe base64,
// a FieldMask from snake_case or lowerCamelCase paths; Any needs "@type" of a type that the
// message's own pool knows.
//
// Thread safety: free functions without shared state; the message must not be used by another
// thread meanwhile. Errors: INVALID_ARGUMENT (status::FieldError) with the path of the field
// ("args.foo[2].bar"; empty at the top) and a message that carries the byte offset where the text
// itself is malformed. The message is then half filled: discard it.
#ifndef SERVICES_EDGE_TRANSCODER_JSON_READER_H_
#define SERVICES_EDGE_TRANSCODER_JSON_READER_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace slipstream::edge {

// How deep objects and lists may nest in the text.
inline constexpr int kMaxJsonDepth_count = 64;
// How deep the resulting message may nest on the wire: every protobuf parser stops at 100 by
// default, and a Struct costs three wire levels for each JSON level. Text beyond it is refused here
// with its path, not by the service later.
inline constexpr int kMaxWireDepth_count = 100;

// Merges `text` (one JSON value) into `message`, whose fields named by the text should be unset.
// REQUIRES: message != nullptr.
absl::Status ReadJson(std::string_view text, google::protobuf::Message* message);

// As ReadJson, into one singular or repeated field of `message` (the `body: "field"` of an HTTP
// rule): the text is the field's value. Paths in errors start with the field's name.
absl::Status ReadJsonField(std::string_view text, const google::protobuf::FieldDescriptor& field,
                           google::protobuf::Message* message);

// Whether `text` is one well-formed JSON value by the same rules (bounds included), with no message
// in mind.
absl::Status CheckJson(std::string_view text);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_JSON_READER_H_
