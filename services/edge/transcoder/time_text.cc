// Timestamp, Duration and FieldMask paths as proto3 JSON writes them.
#include <cstdio>
#include <cstdlib>

#include "services/edge/transcoder/scalar_text.h"

namespace slipstream::edge {

namespace {

constexpr int64_t kMinTimestamp_s = -62135596800;    // 0001-01-01T00:00:00Z
constexpr int64_t kMaxTimestamp_s = 253402300799;    // 9999-12-31T23:59:59Z
constexpr int64_t kMaxDuration_s = 315'576'000'000;  // 10,000 years
constexpr int64_t kDay_s = 86400;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }

// Takes exactly `count` digits.
bool TakeDigits(std::string_view* text, size_t count, int64_t* value) {
  if (text->size() < count) return false;
  *value = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!IsDigit((*text)[i])) return false;
    *value = *value * 10 + ((*text)[i] - '0');
  }
  text->remove_prefix(count);
  return true;
}

bool Take(std::string_view* text, char c) {
  if (text->empty() || text->front() != c) return false;
  text->remove_prefix(1);
  return true;
}

// ".123456789" when there is a point: one to nine digits.
bool TakeFraction(std::string_view* text, int32_t* nanos) {
  *nanos = 0;
  if (!Take(text, '.')) return true;
  int digit_count = 0;
  while (!text->empty() && IsDigit(text->front())) {
    if (++digit_count > 9) return false;
    *nanos = *nanos * 10 + (text->front() - '0');
    text->remove_prefix(1);
  }
  for (int i = digit_count; i < 9; ++i) *nanos *= 10;
  return digit_count > 0;
}

// Days since 1970-01-01 of a proleptic Gregorian date, and back: H. Hinnant, "chrono-Compatible
// Low-Level Date Algorithms".
int64_t DaysFromCivil(int64_t y, int64_t m, int64_t d) {
  y -= m <= 2;
  const int64_t era = (y >= 0 ? y : y - 399) / 400;
  const int64_t yoe = y - era * 400;
  const int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  const int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + doe - 719468;
}

void CivilFromDays(int64_t z, int64_t* y, int64_t* m, int64_t* d) {
  z += 719468;
  const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const int64_t doe = z - era * 146097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const int64_t mp = (5 * doy + 2) / 153;
  *d = doy - (153 * mp + 2) / 5 + 1;
  *m = mp < 10 ? mp + 3 : mp - 9;
  *y = yoe + era * 400 + (*m <= 2 ? 1 : 0);
}

int64_t DaysInMonth(int64_t y, int64_t m) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
  return m == 2 && leap ? 29 : kDays[m - 1];
}

// "", ".123", ".123456" or ".123456789": as many digits as carry the value.
void AppendFraction(int32_t nanos, std::string* out) {
  if (nanos == 0) return;
  char text[16];
  if (nanos % 1'000'000 == 0) {
    std::snprintf(text, sizeof(text), ".%03d", nanos / 1'000'000);
  } else if (nanos % 1000 == 0) {
    std::snprintf(text, sizeof(text), ".%06d", nanos / 1000);
  } else {
    std::snprintf(text, sizeof(text), ".%09d", nanos);
  }
  out->append(text);
}

}  // namespace

bool ParseTimestamp(std::string_view text, int64_t* seconds, int32_t* nanos) {
  int64_t y, mo, d, h, mi, s;
  if (!TakeDigits(&text, 4, &y) || !Take(&text, '-') || !TakeDigits(&text, 2, &mo) ||
      !Take(&text, '-') || !TakeDigits(&text, 2, &d) || !Take(&text, 'T') ||
      !TakeDigits(&text, 2, &h) || !Take(&text, ':') || !TakeDigits(&text, 2, &mi) ||
      !Take(&text, ':') || !TakeDigits(&text, 2, &s) || !TakeFraction(&text, nanos)) {
    return false;
  }
  if (y < 1 || mo < 1 || mo > 12 || d < 1 || d > DaysInMonth(y, mo) || h > 23 || mi > 59 ||
      s > 59) {
    return false;
  }
  int64_t offset_s = 0;
  if (!Take(&text, 'Z')) {
    const bool east = Take(&text, '+');
    if (!east && !Take(&text, '-')) return false;
    int64_t oh, om;
    if (!TakeDigits(&text, 2, &oh) || !Take(&text, ':') || !TakeDigits(&text, 2, &om)) return false;
    if (oh > 23 || om > 59) return false;
    offset_s = (east ? 1 : -1) * (oh * 3600 + om * 60);
  }
  if (!text.empty()) return false;
  *seconds = DaysFromCivil(y, mo, d) * kDay_s + h * 3600 + mi * 60 + s - offset_s;
  return *seconds >= kMinTimestamp_s && *seconds <= kMaxTimestamp_s;
}

bool AppendTimestamp(int64_t seconds, int32_t nanos, std::string* out) {
  if (seconds < kMinTimestamp_s || seconds > kMaxTimestamp_s || nanos < 0 || nanos > 999'999'999) {
    return false;
  }
  int64_t day = seconds / kDay_s;
  int64_t rest = seconds % kDay_s;
  if (rest < 0) {
    rest += kDay_s;
    --day;
  }
  int64_t y, m, d;
  CivilFromDays(day, &y, &m, &d);
  char text[40];
  std::snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d", static_cast<int>(y),
                static_cast<int>(m), static_cast<int>(d), static_cast<int>(rest / 3600),
                static_cast<int>(rest / 60 % 60), static_cast<int>(rest % 60));
  out->append(text);
  AppendFraction(nanos, out);
  out->push_back('Z');
  return true;
}

bool ParseDuration(std::string_view text, int64_t* seconds, int32_t* nanos) {
  const bool negative = Take(&text, '-');
  *seconds = 0;
  int digit_count = 0;
  while (!text.empty() && IsDigit(text.front())) {
    if (++digit_count > 12) return false;
    *seconds = *seconds * 10 + (text.front() - '0');
    text.remove_prefix(1);
  }
  if (digit_count == 0 || !TakeFraction(&text, nanos) || text != "s") return false;
  if (*seconds > kMaxDuration_s || (*seconds == kMaxDuration_s && *nanos > 0)) return false;
  if (negative) {
    *seconds = -*seconds;
    *nanos = -*nanos;
  }
  return true;
}

bool AppendDuration(int64_t seconds, int32_t nanos, std::string* out) {
  if (seconds < -kMaxDuration_s || seconds > kMaxDuration_s || nanos < -999'999'999 ||
      nanos > 999'999'999 || (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0)) {
    return false;
  }
  if (seconds < 0 || nanos < 0) out->push_back('-');
  out->append(std::to_string(seconds < 0 ? -seconds : seconds));
  AppendFraction(nanos < 0 ? -nanos : nanos, out);
  out->push_back('s');
  return true;
}

bool ParseFieldMaskPath(std::string_view text, std::string* path) {
  path->clear();
  bool starts_word = true;  // at the start of the path or after a dot
  for (const char c : text) {
    if (c == '.') {
      if (starts_word) return false;
      path->push_back(c);
      starts_word = true;
      continue;
    }
    if (IsUpper(c) && !starts_word) {
      if (path->back() != '_') path->push_back('_');
      path->push_back(static_cast<char>(c | 0x20));
    } else if (IsLower(c) || c == '_' || (IsDigit(c) && !starts_word)) {
      path->push_back(c);
    } else {
      return false;
    }
    starts_word = false;
  }
  return !starts_word;
}

}  // namespace slipstream::edge
