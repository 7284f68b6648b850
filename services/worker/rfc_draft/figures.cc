#include "services/worker/rfc_draft/figures.h"

#include <algorithm>

#include "services/worker/rfc_draft/words.h"

namespace slipstream::worker::rfc_draft {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

struct Sign {
  std::string_view mark;
  std::string_view unit;
};
constexpr Sign kCurrencies[] = {
    {"€", "EUR"}, {"$", "USD"}, {"£", "GBP"}, {"¥", "JPY"}, {"₹", "INR"}};
constexpr std::string_view kUnits[] = {
    "b",        "bps",    "bytes",   "eur",   "gb",     "gbit",    "gbps",  "gib",     "ghz",
    "gbp",      "h",      "hour",    "hours", "hrs",    "k",       "kb",    "kib",     "kbit",
    "kw",       "kwh",    "m",       "mb",    "mbit",   "mbps",    "mhz",   "mib",     "min",
    "mins",     "minute", "minutes", "ms",    "ns",     "pb",      "pct",   "percent", "qps",
    "rpm",      "rps",    "s",       "sec",   "second", "seconds", "secs",  "tb",      "tib",
    "tps",      "usd",    "us",      "utc",   "cet",    "cest",    "µs",    "x",       "day",
    "days",     "week",   "weeks",   "month", "months", "year",    "years", "million", "billion",
    "thousand", "am",     "pm"};
constexpr std::string_view kScales[] = {"million", "billion", "thousand", "k", "m"};

bool IsUnit(std::string_view folded) {
  return std::find(std::begin(kUnits), std::end(kUnits), folded) != std::end(kUnits);
}

// "per second", "/s", "a day" after a unit.
void AppendRate(const std::vector<Word>& words, size_t next, std::string* unit) {
  if (next + 1 >= words.size() || words[next].after_break || words[next + 1].after_break) return;
  const std::string& by = words[next].folded;
  if ((by == "per" || by == "a" || by == "an" || by == "each" || by == "every") &&
      (IsUnit(words[next + 1].folded) || by == "per")) {
    *unit += " " + words[next].text + " " + words[next + 1].text;
  }
}

}  // namespace

std::vector<Figure> FindFigures(std::string_view sentence) {
  std::vector<Figure> figures;
  const std::vector<Word> words = SplitWords(sentence);
  size_t done = 0;  // byte up to which the sentence has been read
  for (size_t i = 0; i < words.size(); ++i) {
    const Word& word = words[i];
    if (word.begin < done || !IsDigit(word.text[0])) continue;
    // The number runs on over , and : between digits, which end a word elsewhere.
    size_t end = word.begin;
    while (end < sentence.size() &&
           (IsDigit(sentence[end]) ||
            (end + 1 < sentence.size() && IsDigit(sentence[end + 1]) &&
             (sentence[end] == '.' || sentence[end] == ',' || sentence[end] == ':' ||
              sentence[end] == '-' || sentence[end] == '/')))) {
      ++end;
    }
    Figure figure{std::string(sentence.substr(word.begin, end - word.begin)), ""};
    done = end;
    size_t last = i;  // the word in which the number ends
    while (last + 1 < words.size() && words[last + 1].begin < end) ++last;
    std::string attached;
    if (words[last].end > end) attached = sentence.substr(end, words[last].end - end);
    const std::string_view before = sentence.substr(0, word.begin);
    for (const Sign& sign : kCurrencies) {
      if (before.size() >= sign.mark.size() &&
          before.substr(before.size() - sign.mark.size()) == sign.mark) {
        figure.unit = std::string(sign.unit);
        figure.value += attached;
        attached.clear();
      }
      if (sentence.substr(end, sign.mark.size()) == sign.mark ||
          (sentence.substr(end, 1) == " " &&
           sentence.substr(end + 1, sign.mark.size()) == sign.mark)) {
        figure.unit = std::string(sign.unit);
      }
    }
    size_t next = last + 1;
    const size_t percent = sentence.find_first_not_of(" ", end);
    if (percent != std::string_view::npos && sentence[percent] == '%') figure.unit = "%";
    if (figure.unit.empty() && !attached.empty()) {
      const std::string folded = Fold(attached);
      // 200ms, 30k, 5x, 1200req/s; but not 3rd, 2nd, 4th, 1st.
      if (folded != "st" && folded != "nd" && folded != "rd" && folded != "th")
        figure.unit = attached;
      if (figure.unit.size() > 1 && (figure.unit[0] == '-' || figure.unit[0] == '/')) {
        figure.unit.erase(0, 1);
      }
    }
    const bool follows = next < words.size() && !words[next].after_break;
    if (follows && (figure.unit.empty() || figure.unit == "EUR" || figure.unit == "USD")) {
      const Word& after = words[next];
      const bool scale =
          std::find(std::begin(kScales), std::end(kScales), after.folded) != std::end(kScales);
      if (scale) {
        figure.value += " " + after.text;
        ++next;
      }
    }
    if (figure.unit.empty() && next < words.size() && !words[next].after_break) {
      const Word& after = words[next];
      const bool telling = !SaysLittle(after.folded) && !IsDigit(after.text[0]);
      if (IsUnit(after.folded) || telling) {
        figure.unit = after.text;
        ++next;
        // "250 background jobs": an adjective and its noun.
        if (!IsUnit(after.folded) && next < words.size() && !words[next].after_break &&
            !SaysLittle(words[next].folded)) {
          figure.unit += " " + words[next].text;
          ++next;
        }
      }
    }
    if (figure.unit.empty()) continue;
    AppendRate(words, next, &figure.unit);
    figures.push_back(std::move(figure));
  }
  return figures;
}

}  // namespace slipstream::worker::rfc_draft
