#include "services/cache/secrets/card_number.h"

#include <array>
#include <cstdint>

#include "services/cache/secrets/text.h"

namespace slipstream::cache::secrets {

namespace {

constexpr size_t kMinDigits = 13;
constexpr size_t kMaxDigits = 19;

// Numbers whose first six digits lie in [first, last] (ISO/IEC 7812 issuer numbers) and whose
// length is one of `lengths`, a bit each.
struct Range {
  uint32_t first, last;
  uint32_t lengths;
};
constexpr uint32_t Lengths(size_t from, size_t to) {
  uint32_t out = 0;
  for (size_t n = from; n <= to; ++n) out |= uint32_t{1} << n;
  return out;
}
constexpr uint32_t k15 = Lengths(15, 15), k16 = Lengths(16, 16), k16To19 = Lengths(16, 19);
constexpr std::array kRanges = {
    Range{220000, 220499, k16To19},                                  // Mir
    Range{222100, 272099, k16},                                      // Mastercard
    Range{300000, 305999, Lengths(14, 14) | k16To19},                // Diners Club
    Range{309500, 309599, Lengths(14, 14) | k16To19},                //
    Range{340000, 349999, k15},                                      // American Express
    Range{352800, 358999, k16To19},                                  // JCB
    Range{360000, 369999, Lengths(14, 14) | k16To19},                // Diners Club
    Range{370000, 379999, k15},                                      // American Express
    Range{380000, 399999, Lengths(14, 14) | k16To19},                // Diners Club
    Range{400000, 499999, Lengths(13, 13) | k16 | Lengths(19, 19)},  // Visa
    Range{501800, 501999, Lengths(13, 19)},                          // Maestro, Dankort
    Range{502000, 502099, Lengths(13, 19)},                          // Maestro
    Range{503800, 503899, Lengths(13, 19)},                          //
    Range{506000, 506699, k16 | Lengths(18, 19)},                    // Verve, Elo
    Range{508000, 508999, k16},                                      // RuPay
    Range{510000, 559999, k16},                                      // Mastercard
    Range{560000, 589999, Lengths(13, 19)},                          // Maestro
    Range{601100, 601199, k16To19},                                  // Discover
    Range{606200, 606299, k16},                                      // Hipercard
    Range{620000, 629999, k16To19},                                  // UnionPay
    Range{630400, 630499, Lengths(13, 19)},                          // Maestro
    Range{636200, 636999, k16},                                      // Elo, InstaPayment
    Range{639000, 639099, k16To19},                                  // Maestro
    Range{644000, 659999, k16To19},                                  // Discover, RuPay, Elo
    Range{675900, 676999, Lengths(13, 19)},                          // Maestro
    Range{810000, 829999, k16To19},                                  // UnionPay, RuPay
    Range{979200, 979299, k16},                                      // Troy
};

bool InRange(std::string_view digits) {
  uint32_t head = 0;
  for (size_t i = 0; i < 6; ++i) head = head * 10 + static_cast<uint32_t>(digits[i] - '0');
  for (const Range& range : kRanges) {
    if (head < range.first) return false;
    if (head <= range.last) return (range.lengths >> digits.size() & 1) != 0;
  }
  return false;
}

bool PassesLuhn(std::string_view digits) {
  int sum = 0;
  bool twice = false;
  for (size_t i = digits.size(); i-- > 0; twice = !twice) {
    const int digit = digits[i] - '0';
    sum += !twice ? digit : digit < 5 ? 2 * digit : 2 * digit - 9;
  }
  return sum % 10 == 0;
}

// Article numbers (EAN-13) begin with 4 as old Visa numbers do, and one in ten passes Luhn too.
bool IsArticleNumber(std::string_view digits) {
  if (digits.size() != 13) return false;
  int sum = 0;
  for (size_t i = 0; i < 13; ++i) sum += (digits[i] - '0') * (i % 2 == 0 ? 1 : 3);
  return sum % 10 == 0;
}

// How cards are printed: lengths of the groups, read as a decimal number.
constexpr std::array kGroupings = {4444u, 44443u, 44442u,        44441u, 465u,  464u,
                                   4333u, 445u,   444u * 10 + 3, 88u,    4455u, 4446u};

// A digit run, and the single separators between it and its neighbours.
struct Group {
  size_t begin, end;
};

bool IsSeparator(char c) { return c == ' ' || c == '-'; }

// Whether the number [begin, end) stands for itself, not inside an identifier or a longer number.
bool StandsAlone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0) {
    const char before = text[begin - 1];
    const char further = begin > 1 ? text[begin - 2] : '\0';
    const bool escape = further == '\\' && IsLower(before);
    if ((IsAlnum(before) && !escape) || before == '_' || before == '+') return false;
    if (before == '-' && IsAlnum(further)) return false;
    if (before == '.' && IsDigit(further)) return false;
    // An IBAN's groups: "GB29 4111 ...".
    if (IsSeparator(before) && begin >= 5 && IsDigit(text[begin - 2]) && IsDigit(text[begin - 3]) &&
        IsUpper(text[begin - 4]) && IsUpper(text[begin - 5])) {
      return false;
    }
  }
  if (end < text.size()) {
    const char after = text[end];
    const char further = ByteAt(text, end + 1);
    if (IsAlnum(after) || after == '_') return false;
    if (after == '-' && IsAlnum(further)) return false;
    if (after == '.' && IsDigit(further)) return false;
  }
  return true;
}

// Up to six groups that begin with `first`, joined by the same separator as one number.
bool IsGroupedCard(std::string_view text, const Group* first, size_t count) {
  char digits[kMaxDigits];
  size_t size = 0;
  unsigned shape = 0;
  const char separator = ByteAt(text, first->end);
  for (size_t i = 0; i < count && i < 6; ++i) {
    const size_t length = first[i].end - first[i].begin;
    if (length > 8 || size + length > kMaxDigits) return false;
    if (i > 0 && text[first[i].begin - 1] != separator) return false;
    text.copy(digits + size, length, first[i].begin);
    size += length;
    shape = shape * 10 + static_cast<unsigned>(length);
    bool known = false;
    for (const unsigned grouping : kGroupings) known = known || shape == grouping;
    // In prose a number may follow another; with dashes it is one identifier.
    const bool last = i + 1 == count || separator == ' ';
    if (known && last && IsCardNumber({digits, size}) &&
        StandsAlone(text, first->begin, first[i].end)) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool IsCardNumber(std::string_view digits) {
  return digits.size() >= kMinDigits && digits.size() <= kMaxDigits && InRange(digits) &&
         PassesLuhn(digits) && !IsArticleNumber(digits);
}

std::optional<Finding> FindCardNumber(std::string_view text) {
  // Any 13 bytes of a card number hold two neighbours, one of them a digit, at a multiple of this.
  constexpr size_t kStride = kMinDigits - 2;
  size_t done = 0;  // chains before this were looked at
  for (size_t probe = 0; probe + 1 < text.size(); probe += kStride) {
    if (!IsDigit(text[probe]) && !IsDigit(text[probe + 1])) continue;
    size_t at = IsDigit(text[probe]) ? probe : probe + 1;
    if (at < done) continue;
    const auto joins = [&](size_t i) {  // a single separator between two digits
      return i > done && i + 1 < text.size() && IsSeparator(text[i]) && IsDigit(text[i - 1]) &&
             IsDigit(text[i + 1]);
    };
    while (at > done && (IsDigit(text[at - 1]) || joins(at - 1))) --at;
    // The last groups of the chain, so that each is looked at as a card's first.
    Group groups[8];
    size_t count = 0;
    bool more = true;
    while (more) {
      while (more && count < 8) {
        const size_t end = EndOf(text, at, text.size(), IsDigit);
        groups[count++] = {at, end};
        if (end - at >= kMinDigits && end - at <= kMaxDigits &&
            IsCardNumber(text.substr(at, end - at)) && StandsAlone(text, at, end)) {
          return Finding{Kind::kCardNumber, at};
        }
        more = joins(end);
        at = more ? end + 1 : end;
      }
      size_t first = 0;
      // While the chain goes on, keep as many groups as a card may have.
      const size_t keep = more ? 5 : 0;
      for (; first + keep < count; ++first) {
        const char before = groups[first].begin > 0 ? text[groups[first].begin - 1] : '\0';
        if (first > 0 && before != ' ') continue;
        if (count - first >= 2 && IsGroupedCard(text, groups + first, count - first)) {
          return Finding{Kind::kCardNumber, groups[first].begin};
        }
      }
      for (size_t i = first; i < count; ++i) groups[i - first] = groups[i];
      count -= first;
    }
    done = at;
    if (done > probe) probe = (done - 1) / kStride * kStride;  // the loop adds a stride
  }
  return std::nullopt;
}

}  // namespace slipstream::cache::secrets
