#include "libs/auth/strict_json.h"

#include <set>
#include <string>
#include <utility>
#include <vector>

namespace slipstream::auth {
namespace {

using nlohmann::json;

// First pass: only looks, builds nothing. Returning false stops the parser.
class StrictChecker final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override {
    names_.emplace_back();
    return ++depth_ <= kMaxJsonDepth;
  }
  bool key(string_t& name) override { return names_.back().insert(name).second; }
  bool end_object() override {
    names_.pop_back();
    --depth_;
    return true;
  }
  bool start_array(size_t) override { return ++depth_ <= kMaxJsonDepth; }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  std::vector<std::set<std::string>> names_;  // one per open object
  int depth_ = 0;
};

}  // namespace

std::optional<json> ParseStrictJsonObject(std::string_view text) {
  // The parser takes a NUL byte for the end of its input, whatever follows it.
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  // It skips a byte order mark, too; a token has no business carrying one.
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{') return std::nullopt;
  StrictChecker checker;
  if (!json::sax_parse(text, &checker)) return std::nullopt;
  json parsed = json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return std::nullopt;
  return parsed;
}

std::optional<std::string> StringMember(const json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

}  // namespace slipstream::auth
