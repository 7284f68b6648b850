// The Redis protocol (RESP2): commands to bytes, bytes to replies.
//
// Commands are written straight into the connection's buffer: redisFormatCommandArgv would want
// arrays of pointers and an allocation for each command. Replies are parsed by hiredis's reader.
//
// Thread safety: one thread at a time per object.
#ifndef LIBS_REDIS_RESP_H_
#define LIBS_REDIS_RESP_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/redis/value.h"

namespace slipstream::redis {

void AppendArrayHeader(std::string& out, size_t elements_count);
void AppendBulk(std::string& out, std::string_view bytes);
void AppendCommand(std::string& out, const std::vector<std::string>& args);

class ReplyReader {
 public:
  ReplyReader();
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  // Feed small pieces (8 KiB) and take the replies between: hiredis moves what is left of its
  // buffer to the front after each kilobyte of replies.
  static constexpr size_t kFeedBytes = 8 << 10;
  void Feed(const char* data, size_t size);

  enum class Next { kReply, kMore, kBroken };
  // kReply: `*value` is the next reply. kMore: it is not complete. kBroken: that is not RESP2, or
  // an array of more than kMaxElements or deeper than 7; error() says so, and it stays broken.
  Next Read(Value* value);
  std::string error() const;

  static constexpr int kMaxElements = 1 << 24;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_RESP_H_
