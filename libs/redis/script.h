// A Lua script and its SHA-1, by which Redis knows it (EVALSHA).
//
// Thread safety: immutable; copies share the text. Errors: none.
#ifndef LIBS_REDIS_SCRIPT_H_
#define LIBS_REDIS_SCRIPT_H_

#include <memory>
#include <string>

namespace slipstream::redis {

class Script {
 public:
  // `commits`: its callers are answered once as many replicas have what it wrote as
  // Options.wait_replicas_count asks for.
  explicit Script(std::string source, bool commits = false);

  const std::string& source() const { return data_->source; }
  // 40 lower-case hex digits.
  const std::string& sha1() const { return data_->sha1; }
  bool commits() const { return data_->commits; }

 private:
  struct Data {
    std::string source;
    std::string sha1;
    bool commits;
  };
  std::shared_ptr<const Data> data_;
};

}  // namespace slipstream::redis

#endif  // LIBS_REDIS_SCRIPT_H_
