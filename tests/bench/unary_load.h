// A closed loop of unary calls: the one client of all benchmarks that compare a service with the
// echo, so that both sides pay the same for it.
//
// Each slot's messages are made once and used again. What a call carries beside them is said by
// flags: --token, --trace (a traceparent and a request id, others for each call), --timeout_s.
// Thread safety: one Run.
#ifndef TESTS_BENCH_UNARY_LOAD_H_
#define TESTS_BENCH_UNARY_LOAD_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/rpc/call_options.h"
#include "tests/bench/bench_load.h"
#include "tests/bench/closed_loop.h"

namespace slipstream::bench {

// What a slot's calls carry, by the flags.
class CallMetadata {
 public:
  CallMetadata();
  // For call `number`.
  void Apply(int64_t number, grpc::ClientContext* context);

 private:
  rpc::CallOptions options_;
  const bool trace_;
};

template <class Request, class Response>
class UnaryLoad {
 public:
  using Done = std::function<void(grpc::Status)>;
  // Calls the stub of call `number`.
  using Invoke =
      std::function<void(int64_t number, grpc::ClientContext*, const Request*, Response*, Done)>;
  // Makes the request of call `number` out of the slot's request before.
  using Prepare = std::function<void(int64_t number, Request*)>;
  // Whether this answers call `number`.
  using Check = std::function<bool(int64_t number, const Response&)>;

  UnaryLoad(const Request& sample, Prepare prepare, Invoke invoke, Check check)
      : prepare_(std::move(prepare)), invoke_(std::move(invoke)), check_(std::move(check)) {
    for (int i = 0; i < loop_.slots_count(); ++i) {
      calls_.push_back(std::make_unique<Call>());
      calls_.back()->request = sample;
    }
  }

  void Run(nlohmann::json* out) {
    loop_.Run([this](int slot, int64_t number) { Start(slot, number); }, out);
  }

 private:
  struct Call {
    std::optional<grpc::ClientContext> context;
    CallMetadata metadata;
    Request request;
    Response response;
    int64_t number = 0;
  };

  void Start(int slot, int64_t number) {
    Call& call = *calls_[static_cast<size_t>(slot)];
    call.number = number;
    prepare_(number, &call.request);
    call.context.emplace();
    call.metadata.Apply(number, &*call.context);
    invoke_(number, &*call.context, &call.request, &call.response,
            [this, slot](const grpc::Status& status) { End(slot, status); });
  }
  void End(int slot, const grpc::Status& status) {
    const Call& call = *calls_[static_cast<size_t>(slot)];
    loop_.Ended(slot, status.ok() && check_(call.number, call.response));
  }

  ClosedLoop loop_;
  const Prepare prepare_;
  const Invoke invoke_;
  const Check check_;
  std::vector<std::unique_ptr<Call>> calls_;
};

}  // namespace slipstream::bench

#endif  // TESTS_BENCH_UNARY_LOAD_H_
