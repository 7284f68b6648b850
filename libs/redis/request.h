// A command on its way: what to send, whom to tell, and until when.
//
// Thread safety: a value with one owner at a time (a queue, the list of unanswered ones, a router).
#ifndef LIBS_REDIS_REQUEST_H_
#define LIBS_REDIS_REQUEST_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libs/redis/client.h"
#include "libs/redis/script.h"

namespace slipstream::redis {

using TimePoint = std::chrono::steady_clock::time_point;

struct Request {
  enum class Kind : uint8_t {
    kCommand,
    kEval,
    kTransaction,
    kLoadScript,  // our own, before an EVALSHA that met NOSCRIPT
    kAsking,      // our own, before a command that was sent here by ASK
    kWait,        // our own, behind the commits of a write
  };

  Kind kind = Kind::kCommand;
  bool asking = false;
  bool pinned = false;             // for this node or none
  uint8_t moves_count = 0;         // MOVED, ASK and TRYAGAIN so far
  uint8_t script_tries_count = 0;  // NOSCRIPT so far; from the second on the source travels (EVAL)
  int slot = -1;                   // of a cluster; -1: any node
  // kCommand, kWait: all words; kEval: those after the keys; kTransaction: those of all commands.
  std::vector<std::string> args;
  std::vector<size_t> words_counts;  // kTransaction: of each command
  std::vector<std::string> keys;     // kEval
  std::optional<Script> script;      // kEval, kLoadScript
  size_t replies_left = 0;   // kTransaction, once sent: MULTI's, one for each command, EXEC's
  std::string refused_text;  // kTransaction: the first error among those before EXEC's
  size_t bytes_count = 0;    // its share of max_queued_bytes
  TimePoint submitted;
  TimePoint deadline;
  Client::Done done;  // empty for our own
};

void AppendRequest(std::string& out, const Request& request);
size_t BytesOf(const Request& request);

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_REQUEST_H_
