// Changes: what one step does to a shard, as a whole or not at all: by the Apply script, or by a
// transaction where nothing must be looked at before.
//
// Effects on one key are gathered, so that a step over many tasks is few commands.
//
// Thread safety: none; a plain value.
#ifndef SERVICES_TASK_QUEUE_REDIS_CHANGES_H_
#define SERVICES_TASK_QUEUE_REDIS_CHANGES_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipstream::task_queue {

class Changes {
 public:
  // --- conditions, in the order of the indexes that the script answers
  void RequireRange(std::string key, size_t first, size_t last, std::string value);
  void RequireValue(std::string key, std::string value);  // "": no such key
  void RequireRoom(std::string counter, int64_t delta, int64_t limit);
  void RequireHead(std::string list, std::string element);  // "": empty
  void RequireScore(std::string set, std::string member, std::string score);

  // --- effects; sets and deletions first, then the others in the order of their first use
  void Set(std::string key, std::string value) {
    sets_.emplace_back(std::move(key), std::move(value));
  }
  void Delete(std::string key) { deletes_.push_back(std::move(key)); }
  // A command of the form `command key members...`: RPUSH, LPUSH, SADD, SREM, ZREM, HDEL. The
  // command is a literal.
  void Add(std::string_view command, std::string_view key, std::string member);
  void SortedAdd(std::string key, int64_t score, std::string member);
  void Count(std::string_view field, int64_t delta);
  void Join(std::string_view ring, std::string_view tenant);
  void Command(std::vector<std::string> args) { commands_.push_back(std::move(args)); }

  // Who has a concurrency key after these changes, where they touch it; packed id, "" for nobody.
  std::map<std::string, std::string> key_holders;

  // ARGV of the Apply script; `counters` is the key of the hash of counters.
  std::vector<std::string> Encode(const std::string& counters) &&;
  // The same as the commands of a transaction, the joins first. REQUIRES: no conditions, and no
  // Command with a word of the script's own. Who joins has the least pass, and has its turn next,
  // as with the pass that was served last, which only the script can know.
  std::vector<std::vector<std::string>> EncodeCommands(const std::string& counters) &&;
  // How many of those commands, from the first, are joins.
  size_t joins_count() const { return joins_.size(); }

 private:
  // The commands without joins and counts, `take` each.
  template <class Take>
  void EachCommand(const Take& take);

  std::vector<std::string> conditions_;
  int conditions_count_ = 0;
  std::vector<std::pair<std::string, std::string>> sets_;
  std::vector<std::string> deletes_;
  struct Group {
    std::string_view command;  // a literal
    std::string key;
    std::vector<std::string> members;
  };
  // Few keys and many members is the usual case, for which looking through the last few groups is
  // faster than any index; a step over many keys gets some of them twice, which is right too.
  std::vector<Group> groups_;
  std::map<std::string, int64_t, std::less<>> counts_;
  std::vector<std::pair<std::string, std::string>> joins_;
  std::vector<std::vector<std::string>> commands_;
};

}  // namespace slipstream::task_queue

#endif  // SERVICES_TASK_QUEUE_REDIS_CHANGES_H_
