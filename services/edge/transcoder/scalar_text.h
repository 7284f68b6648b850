// Scalars between text and value, shared by JSON, paths, query parameters and headers.
//
// Thread safety: free functions. Parse functions return false and leave *value unspecified when the
// text is not exactly a value of the type: nothing is trimmed, rounded or saturated.
#ifndef SERVICES_EDGE_TRANSCODER_SCALAR_TEXT_H_
#define SERVICES_EDGE_TRANSCODER_SCALAR_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace slipstream::edge {

// JSON numbers with an integral value: "12", "-0", "1.0", "1e3"; exact over the whole range of the
// type.
bool ParseInt64(std::string_view text, int64_t* value);
bool ParseUint64(std::string_view text, uint64_t* value);
// JSON numbers, "NaN", "Infinity" and "-Infinity". Too large is refused, too small becomes 0.
bool ParseDouble(std::string_view text, double* value);
bool ParseFloat(std::string_view text, float* value);

// Standard or URL-safe alphabet, padded or not; bits that no byte uses must be zero.
bool DecodeBase64(std::string_view text, std::string* bytes);
void AppendBase64(std::string_view bytes, std::string* out);

// RFC 3339, years 0001 to 9999, up to nine digits of fraction, "Z" or an offset.
bool ParseTimestamp(std::string_view text, int64_t* seconds, int32_t* nanos);
bool AppendTimestamp(int64_t seconds, int32_t nanos, std::string* out);
// "3s", "-0.5s"; at most 315,576,000,000 s, up to nine digits of fraction.
bool ParseDuration(std::string_view text, int64_t* seconds, int32_t* nanos);
bool AppendDuration(int64_t seconds, int32_t nanos, std::string* out);
// One path of a FieldMask in snake_case, from either case. False when it is not dotted identifiers.
bool ParseFieldMaskPath(std::string_view text, std::string* path);

// Sets a singular field, or adds to a repeated one, from text without quotes: scalars, enums (name
// or known number), and the messages whose JSON form is a string or number (Timestamp, Duration,
// FieldMask, wrappers). Returns what is wrong, for a person ("is not an int32"), or "" on success.
std::string SetFromText(const google::protobuf::FieldDescriptor& field, std::string_view text,
                        google::protobuf::Message* message);

// Whether SetFromText can ever accept the field's type.
bool IsTextual(const google::protobuf::FieldDescriptor& field);

// As SetFromText for a whole message of one of those types.
std::string ParseTextualMessage(std::string_view text, google::protobuf::Message* message);
bool IsWrapper(const google::protobuf::Descriptor& type);

// The values an enum takes, for messages: "LOW, NORMAL, HIGH".
std::string EnumNames(const google::protobuf::EnumDescriptor& type);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_SCALAR_TEXT_H_
