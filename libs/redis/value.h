// One reply of Redis (RESP2): what a command or a script answered.
//
// Thread safety: a plain value. Errors: none; a top-level error reply never gets here as a Value,
// it is the call's absl::Status (errors.h). Only inside an array (EXEC, a script's table) kError
// occurs.
#ifndef LIBS_REDIS_VALUE_H_
#define LIBS_REDIS_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace slipstream::redis {

struct Value {
  enum class Kind { kNil, kInteger, kString, kStatus, kError, kArray };

  Kind kind = Kind::kNil;
  int64_t integer = 0;          // kInteger
  std::string text;             // kString, kStatus, kError; any bytes
  std::vector<Value> elements;  // kArray

  bool is_nil() const { return kind == Kind::kNil; }
  bool is_integer() const { return kind == Kind::kInteger; }
  bool is_string() const { return kind == Kind::kString; }
  bool is_status() const { return kind == Kind::kStatus; }
  bool is_error() const { return kind == Kind::kError; }
  bool is_array() const { return kind == Kind::kArray; }
  // "+OK", the answer of most writes.
  bool is_ok() const { return kind == Kind::kStatus && text == "OK"; }

  size_t size() const { return elements.size(); }
  // REQUIRES: i < size().
  const Value& operator[](size_t i) const { return elements[i]; }
  Value& operator[](size_t i) { return elements[i]; }
};

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_VALUE_H_
