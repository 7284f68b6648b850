// How fast the secret guard looks through values that pass: prints MB per second of processor
// time, by kind of value.
//   bazel run //tests/bench/secret_guard:secret_guard_bench
#include <cstdio>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "services/cache/secrets/corpus.h"
#include "services/cache/secrets/secret_guard.h"

namespace slipstream::cache::secrets {
namespace {

constexpr size_t kValueBytes = 1 << 20;
constexpr int kRoundsCount = 20;

std::string Repeated(const std::string& piece) {
  std::string out;
  while (out.size() < kValueBytes) out += piece;
  out.resize(kValueBytes);
  return out;
}

std::string Numbered(const std::string& before, const std::string& after) {
  std::string out;
  for (int i = 0; out.size() < kValueBytes; ++i) out += before + std::to_string(i) + after;
  out.resize(kValueBytes);
  return out;
}

void Run() {
  std::string binary;
  for (unsigned i = 0, x = 1; i < kValueBytes; ++i) {
    x = x * 1664525 + 1013904223;
    binary += static_cast<char>(x >> 24);
  }
  const std::string prose =
      "The password must have eight characters; the key to success is patience. ";
  const std::vector<std::pair<const char*, std::string>> values = {
      {"prose", Repeated(prose)},
      {"JSON of an API",
       Numbered(R"({"id":)", R"(,"name":"Blue shoe","price":19.99,"tags":["new","sale"]},)")},
      {"JSON with hashes", Numbered(R"({"id":")" + Drawn(kHexAlphabet, 40, 1),
                                    R"(","url":"https://cdn.example.com/a"},)")},
      {"vectors", Numbered("0.0123", ",-0.98765432,")},
      {"random bytes", binary},
      {"image in base64", Base64(binary).substr(0, kValueBytes)},
      {"text in base64", Base64(Repeated(prose)).substr(0, kValueBytes)},
      {"text in base64 twice", Base64(Base64(Repeated(prose))).substr(0, kValueBytes)},
      {"percent-encoded text", PercentEncoded(Repeated(prose), true).substr(0, kValueBytes)},
      {"hostile: names without values", Repeated("password:")},
      {"hostile: prefixes", Repeated("sk-")},
      {"hostile: cookies", Repeated("cookie:a=b;")},
      {"hostile: digits", Repeated("4 ")},
      {"hostile: URLs", Repeated("a://b@c:")},
  };
  for (const auto& [name, value] : values) {
    const std::clock_t begin = std::clock();
    bool found = false;
    for (int i = 0; i < kRoundsCount; ++i) found |= FindSecret(value).has_value();
    const double took_s = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::printf("%-32s %8.0f MB/s%s\n", name,
                static_cast<double>(value.size()) * kRoundsCount / took_s / 1e6,
                found ? "  (refused)" : "");
  }
}

}  // namespace
}  // namespace slipstream::cache::secrets

int main() { slipstream::cache::secrets::Run(); }
