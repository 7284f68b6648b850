// The reference of `tools/bench queue-submit`: a bare gRPC callback server, with nothing around it.
//   echo_server ADDRESS        prints {"port": N} and serves until its standard input ends
#include <grpcpp/grpcpp.h>

#include <cstdio>

#include "absl/synchronization/mutex.h"
#include "echo.grpc.pb.h"

namespace slipstream::bench {
namespace {

class EchoServer final : public EchoService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context, const EchoRequest* request,
                                 EchoResponse* response) override {
    response->mutable_payload()->assign(static_cast<size_t>(request->response_bytes()), 'x');
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

int Main(int argc, char** argv) {
  // As our own servers do: Debian's Abseil would else check each of gRPC's locks for deadlocks.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  EchoServer service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(argc > 1 ? argv[1] : "127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  std::printf("{\"port\": %d}\n", port);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  server->Shutdown();
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) { return slipstream::bench::Main(argc, argv); }
