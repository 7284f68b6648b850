// What the tests of every service share whose nodes meet on a Redis: the servers of a contract,
// each started once for all cases, names of their own, and patience.
//
// Thread safety: none; the thread of the test.
#ifndef TESTS_HARNESS_REDIS_NODES_H_
#define TESTS_HARNESS_REDIS_NODES_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/redis/client.h"
#include "libs/sync/deadline.h"
#include "libs/sync/mutex.h"
#include "tests/harness/redis_server.h"

namespace slipstream::tests {

inline constexpr absl::Duration kPatience = absl::Seconds(60);

// Repeats until it is true; false after kPatience. What is waited for is in another process.
template <class Condition>
bool Eventually(Condition condition) {
  const sync::Deadline deadline(kPatience);
  while (!condition()) {
    if (deadline.Passed()) return false;
    sync::Mutex mutex;
    sync::CondVar never;
    sync::MutexLock lock(mutex);
    (void)never.WaitFor(mutex, absl::Milliseconds(2));
  }
  return true;
}

// A key prefix of its own for each case.
inline std::string FreshPrefix() {
  static int count = 0;
  return absl::StrCat("test", ++count);
}

inline redis::Options OneServer() {
  static auto* server = new std::unique_ptr<RedisServer>(*RedisServer::Start());
  return {.url = (*server)->url()};
}

inline redis::Options ACluster() {
  static auto* cluster = new std::unique_ptr<RedisCluster>(*RedisCluster::Start(3));
  return {.url = (*cluster)->url()};
}

// TLS, and a user of that name who may do no more than `rights` on what begins like a FreshPrefix
// with `tag` behind it. One for each process: the first call's.
inline redis::Options TlsAndAcl(std::string_view user, std::string_view tag,
                                std::string_view rights) {
  const absl::string_view name(user.data(), user.size()), behind(tag.data(), tag.size());
  static auto* server = new std::unique_ptr<RedisServer>(*RedisServer::Start(
      {.settings = {absl::StrCat("user ", name, " on >secret ~test*", behind, "* &test*", behind,
                                 "* -@all ", absl::string_view(rights.data(), rights.size()))},
       .tls = true}));
  std::string url = (*server)->url();
  url.insert(url.find("://") + 3, absl::StrCat(name, ":secret@"));
  return {.url = url, .ca_file = (*server)->ca_file()};
}

}  // namespace slipstream::tests

#endif  // TESTS_HARNESS_REDIS_NODES_H_
