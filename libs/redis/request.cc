#include "libs/redis/request.h"

#include "libs/redis/resp.h"

namespace slipstream::redis {
namespace {

// A string's own object and the protocol's frame around it.
constexpr size_t kPerArgumentBytes = 48;

void AppendEval(std::string& out, const Request& request) {
  const bool by_source = request.script_tries_count > 1;
  AppendArrayHeader(out, 3 + request.keys.size() + request.args.size());
  AppendBulk(out, by_source ? "EVAL" : "EVALSHA");
  AppendBulk(out, by_source ? request.script->source() : request.script->sha1());
  AppendBulk(out, std::to_string(request.keys.size()));
  for (const auto& key : request.keys) AppendBulk(out, key);
  for (const auto& arg : request.args) AppendBulk(out, arg);
}

void AppendWord(std::string& out, std::string_view word) {
  AppendArrayHeader(out, 1);
  AppendBulk(out, word);
}

void AppendTransaction(std::string& out, const Request& request) {
  AppendWord(out, "MULTI");
  size_t at = 0;
  for (const size_t count : request.words_counts) {
    AppendArrayHeader(out, count);
    for (const size_t end = at + count; at < end; ++at) AppendBulk(out, request.args[at]);
  }
  AppendWord(out, "EXEC");
}

}  // namespace

void AppendRequest(std::string& out, const Request& request) {
  switch (request.kind) {
    case Request::Kind::kCommand:
    case Request::Kind::kWait:
      return AppendCommand(out, request.args);
    case Request::Kind::kEval:
      return AppendEval(out, request);
    case Request::Kind::kTransaction:
      return AppendTransaction(out, request);
    case Request::Kind::kLoadScript:
      AppendArrayHeader(out, 3);
      AppendBulk(out, "SCRIPT");
      AppendBulk(out, "LOAD");
      return AppendBulk(out, request.script->source());
    case Request::Kind::kAsking:
      return AppendWord(out, "ASKING");
  }
}

size_t BytesOf(const Request& request) {
  size_t out = sizeof(Request) + kPerArgumentBytes * (request.args.size() + request.keys.size());
  for (const auto& arg : request.args) out += arg.size();
  for (const auto& key : request.keys) out += key.size();
  return out;
}

}  // namespace slipstream::redis
