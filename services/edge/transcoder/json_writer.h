// Protobuf message -> JSON text, the other half of json_reader.h.
//
// Names are the proto's own (snake_case). Fields without presence are always printed: scalars with
// their default, empty lists as [], empty maps as {}. Fields with presence (messages, `optional`,
// members of a oneof) are printed only when set. 64-bit integers are strings; bytes standard
// base64; enums names (a number only when this binary does not know its name); doubles and floats
// the shortest text that reads back to the same bits, NaN and infinities "NaN", "Infinity",
// "-Infinity"; Timestamp and Duration as in proto3 JSON; FieldMask paths stay snake_case, as the
// keys do. Strings that are not UTF-8 (a proto2 peer could send one) are printed with U+FFFD in
// place of the bad bytes, so that the output is JSON always. Fields come in the order of the proto
// file; map keys are sorted.
//
// Thread safety: free functions without shared state.
// Errors: INTERNAL for a value that has no JSON form (a Timestamp out of range, NaN inside a
// Struct, an Any whose type is not known, nesting over 200); the output then holds a part of the
// text: discard it.
#ifndef SERVICES_EDGE_TRANSCODER_JSON_WRITER_H_
#define SERVICES_EDGE_TRANSCODER_JSON_WRITER_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace slipstream::edge {

// Appends the JSON object of `message` to *out.
absl::Status WriteJson(const google::protobuf::Message& message, std::string* out);

// Appends the value of one field alone (the `response_body` of an HTTP rule): null when it has
// presence and is unset.
absl::Status WriteJsonField(const google::protobuf::Message& message,
                            const google::protobuf::FieldDescriptor& field, std::string* out);

// Appends `text` as a JSON string with its quotes.
void WriteJsonString(std::string_view text, std::string* out);

// Appends the shortest number that reads back to `value`; NaN and infinities as strings.
void WriteJsonDouble(double value, std::string* out);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_JSON_WRITER_H_
