// A cache service in this process, over a real server and channel on loopback, with the permissions
// as shipped; only the verification of tokens is replaced, by plain metadata.
//
// Thread safety: the accessors, from any thread.
#ifndef TESTS_HARNESS_CACHE_SERVER_H_
#define TESTS_HARNESS_CACHE_SERVER_H_

#include <memory>
#include <string>

#include "libs/async/runtime.h"
#include "libs/clock/clock.h"
#include "libs/random/random.h"
#include "libs/rpc/call_options.h"
#include "services/cache/cache_engine.h"

namespace grpc {
class Channel;
}

namespace slipstream::testing_harness {

class CacheServer {
 public:
  // `clock` decides about lifetimes and outlives it.
  explicit CacheServer(const clock::Clock& clock);
  ~CacheServer();

  // The server ends: calls fail as those to a host that is away.
  void Shutdown();

  const std::shared_ptr<grpc::Channel>& channel() const;
  Executor executor() { return runtime_.executor(); }
  cache::CacheEngine::Stats Stats() const { return engine_->GetStats(); }

  // A call of this user in tenant acme.
  static rpc::CallOptions As(const std::string& user, const std::string& role = "user");

 private:
  struct Parts;
  async::Runtime runtime_{2};
  random::SystemRandom random_;
  std::unique_ptr<cache::CacheStore> store_;
  std::unique_ptr<cache::CacheEngine> engine_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace slipstream::testing_harness

#endif  // TESTS_HARNESS_CACHE_SERVER_H_
