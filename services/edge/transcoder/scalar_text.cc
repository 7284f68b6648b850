#include "services/edge/transcoder/scalar_text.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/charconv.h"
#include "services/edge/transcoder/json_lexer.h"

namespace slipstream::edge {

namespace {

constexpr int kMaxExponent = 1000;  // beyond it an integer is 0 or out of every range

// The magnitude of an integral JSON number. False when it has a fraction or does not fit.
bool ParseMagnitude(std::string_view text, bool* negative, uint64_t* magnitude) {
  *negative = !text.empty() && text[0] == '-';
  if (*negative) text.remove_prefix(1);
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), *magnitude);
  if (stop == text.data() + text.size() && error == std::errc()) {
    return text.size() == 1 || text[0] != '0';  // "01" is not JSON
  }
  // The rare forms: fraction or exponent. Digits are collected, the point is moved.
  if (!IsJsonNumber(text)) return false;
  std::string digits;
  int64_t point = -1;
  size_t i = 0;
  for (; i < text.size() && (text[i] | 0x20) != 'e'; ++i) {
    if (text[i] == '.') {
      point = static_cast<int64_t>(digits.size());
    } else {
      digits.push_back(text[i]);
    }
  }
  if (point < 0) point = static_cast<int64_t>(digits.size());
  int64_t exponent = 0;
  if (i < text.size()) {
    ++i;
    if (text[i] == '+') ++i;
    const auto parsed = std::from_chars(text.data() + i, text.data() + text.size(), exponent);
    if (parsed.ec != std::errc()) exponent = text[i] == '-' ? -kMaxExponent : kMaxExponent;
  }
  while (!digits.empty() && digits.back() == '0') digits.pop_back();
  const size_t zeros = digits.find_first_not_of('0');
  if (digits.empty() || zeros == std::string::npos) {
    *magnitude = 0;
    return true;
  }
  point += exponent - static_cast<int64_t>(zeros);
  digits.erase(0, zeros);
  // All digits left must stand before the point, and 20 digits are the most a uint64 has.
  if (point < static_cast<int64_t>(digits.size()) || point > 20) return false;
  digits.append(static_cast<size_t>(point) - digits.size(), '0');
  const auto whole = std::from_chars(digits.data(), digits.data() + digits.size(), *magnitude);
  return whole.ec == std::errc() && whole.ptr == digits.data() + digits.size();
}

template <typename T>
bool ParseFloating(std::string_view text, T* value) {
  if (!IsJsonNumber(text)) {
    if (text == "NaN") {
      *value = std::numeric_limits<T>::quiet_NaN();
    } else if (text == "Infinity") {
      *value = std::numeric_limits<T>::infinity();
    } else if (text == "-Infinity") {
      *value = -std::numeric_limits<T>::infinity();
    } else {
      return false;
    }
    return true;
  }
  const auto result = absl::from_chars(text.data(), text.data() + text.size(), *value);
  if (result.ec == std::errc::result_out_of_range) return std::abs(*value) <= T{1};  // underflow
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct Base64Table {
  signed char value[256];
  constexpr Base64Table() : value() {
    for (auto& v : value) v = -1;
    for (int i = 0; i < 64; ++i)
      value[static_cast<unsigned char>(kBase64[i])] = static_cast<signed char>(i);
    value[static_cast<unsigned char>('-')] = 62;
    value[static_cast<unsigned char>('_')] = 63;
  }
};
constexpr Base64Table kBase64Values;

}  // namespace

bool ParseInt64(std::string_view text, int64_t* value) {
  bool negative;
  uint64_t magnitude;
  if (!ParseMagnitude(text, &negative, &magnitude)) return false;
  constexpr uint64_t kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (magnitude > kMax + (negative ? 1 : 0)) return false;
  *value = static_cast<int64_t>(negative ? uint64_t{0} - magnitude : magnitude);
  return true;
}

bool ParseUint64(std::string_view text, uint64_t* value) {
  bool negative;
  return ParseMagnitude(text, &negative, value) && (!negative || *value == 0);
}

bool ParseDouble(std::string_view text, double* value) { return ParseFloating(text, value); }
bool ParseFloat(std::string_view text, float* value) { return ParseFloating(text, value); }

bool DecodeBase64(std::string_view text, std::string* bytes) {
  bytes->clear();
  size_t padding_count = 0;
  while (!text.empty() && text.back() == '=' && padding_count < 2) {
    text.remove_suffix(1);
    ++padding_count;
  }
  const size_t rest = text.size() % 4;
  if (rest == 1 || (padding_count > 0 && rest + padding_count != 4)) return false;
  bytes->reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int bit_count = 0;
  for (const char c : text) {
    const int v = kBase64Values.value[static_cast<unsigned char>(c)];
    if (v < 0) return false;
    bits = (bits << 6) | static_cast<uint32_t>(v);
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      bytes->push_back(static_cast<char>((bits >> bit_count) & 0xFF));
    }
  }
  return (bits & ((1u << bit_count) - 1)) == 0;
}

void AppendBase64(std::string_view bytes, std::string* out) {
  size_t i = 0;
  const auto at = [&](size_t k) {
    return static_cast<uint32_t>(static_cast<unsigned char>(bytes[k]));
  };
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t bits = (at(i) << 16) | (at(i + 1) << 8) | at(i + 2);
    const char four[4] = {kBase64[bits >> 18], kBase64[(bits >> 12) & 63],
                          kBase64[(bits >> 6) & 63], kBase64[bits & 63]};
    out->append(four, 4);
  }
  const size_t left = bytes.size() - i;
  if (left == 0) return;
  const uint32_t bits = (at(i) << 16) | (left == 2 ? at(i + 1) << 8 : 0);
  out->push_back(kBase64[bits >> 18]);
  out->push_back(kBase64[(bits >> 12) & 63]);
  out->push_back(left == 2 ? kBase64[(bits >> 6) & 63] : '=');
  out->push_back('=');
}

}  // namespace slipstream::edge
