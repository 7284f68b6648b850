// A short, seeded run of the fuzz bodies: mutations of good texts.
#include "services/edge/transcoder/fuzz_targets.h"

#include <string>

#include "gtest/gtest.h"
#include "kinds.pb.h"
#include "services/edge/transcoder/json_reader.h"
#include "services/edge/transcoder/json_writer.h"
#include "services/edge/transcoder/random_message.h"

namespace slipstream::edge {
namespace {

constexpr uint64_t kSeed = 42;

std::string Mutated(std::string text, RandomMessage* random) {
  static constexpr std::string_view kPieces[] = {
      "\"",   "\\",  "{",    "}",    "[",  "]", ",", ":",     "0", "-",   ".", "e",
      "null", "\\u", "d800", "\xC3", "/*", "'", " ", "1e999", "%", "%2F", "/", "&"};
  for (uint64_t n = random->Below(3) + 1; n > 0 && !text.empty(); --n) {
    const size_t at = random->Below(text.size());
    switch (random->Below(4)) {
      case 0:
        text.erase(at, random->Below(4));
        break;
      case 1:
        text[at] = static_cast<char>(random->Below(256));
        break;
      case 2:
        text.insert(at, kPieces[random->Below(std::size(kPieces))]);
        break;
      default:
        text.insert(at, text.substr(random->Below(text.size()), random->Below(20)));
    }
  }
  return text;
}

TEST(FuzzTargets, JsonSurvivesMutations) {
  RandomMessage random(kSeed);
  for (int i = 0; i < 100; ++i) {
    testdata::Kinds message;
    random.Fill(&message);
    std::string text;
    ASSERT_TRUE(WriteJson(message, &text).ok());
    for (int j = 0; j < 30; ++j) FuzzJsonReader(Mutated(text, &random));
  }
}

TEST(FuzzTargets, RoutesSurviveMutations) {
  RandomMessage random(kSeed);
  for (int i = 0; i < 4000; ++i) {
    FuzzRoutes(Mutated("/a/b%2Fc/d:verb?an_int32=1&many_string=%C3%A9&inner.name=x", &random));
    FuzzRoutes(Mutated("/b/x/c/d/e%20f?at=2025-01-01T00:00:00Z&wait=1s&mask=a,b", &random));
  }
}

}  // namespace
}  // namespace slipstream::edge
