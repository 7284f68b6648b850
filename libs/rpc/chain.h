// The one ordered list of what happens around every RPC, before its handler runs.
//
// The list is composed in server_chain.cc and nowhere else. It is the suite's own and not gRPC's
// server interceptors, because those can observe a call but not refuse it.
//
// Thread safety: a Chain is immutable once built; stages are called from many threads at once.
#ifndef LIBS_RPC_CHAIN_H_
#define LIBS_RPC_CHAIN_H_

#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "libs/rpc/call_context.h"

namespace slipstream::rpc {

class Stage {
 public:
  virtual ~Stage() = default;
  virtual std::string_view name() const = 0;
  // A status that is not OK refuses the call: neither later stages nor the handler run.
  // Never blocks: it runs on a gRPC thread.
  virtual absl::Status Begin(CallContext&) { return absl::OkStatus(); }
  // Called once per call on every stage, in reverse order, also when the call was refused.
  virtual void End(CallContext&, const absl::Status&) {}
};

class Chain {
 public:
  explicit Chain(std::vector<std::unique_ptr<Stage>> stages) : stages_(std::move(stages)) {}

  absl::Status Begin(CallContext& call) const {
    for (const auto& stage : stages_) {
      if (absl::Status status = stage->Begin(call); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
  void End(CallContext& call, const absl::Status& status) const {
    for (auto it = stages_.rbegin(); it != stages_.rend(); ++it) (*it)->End(call, status);
  }
  std::vector<std::string_view> StageNames() const {
    std::vector<std::string_view> out;
    for (const auto& stage : stages_) out.push_back(stage->name());
    return out;
  }

 private:
  std::vector<std::unique_ptr<Stage>> stages_;
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_CHAIN_H_
