// Load on the echo: the reference of the unary benchmarks.
//   echo_load --address=... --request_bytes=N --response_bytes=N [--token=... --trace
//   --timeout_s=S]
// The sizes are those of the serialized messages. Prints what ClosedLoop measures.
#include <grpcpp/grpcpp.h>

#include "absl/flags/flag.h"
#include "echo.grpc.pb.h"
#include "libs/rpc/channel.h"
#include "tests/bench/unary_load.h"

ABSL_DECLARE_FLAG(int, channels);
ABSL_FLAG(int, request_bytes, 150, "of each request");
ABSL_FLAG(int, response_bytes, 250, "of each answer");

namespace slipstream::bench {
namespace {

// The largest payload with which a message is no longer than `bytes`.
template <class Message>
std::string PayloadFor(int bytes, Message message) {
  std::string payload(static_cast<size_t>(bytes), 'x');
  for (; !payload.empty(); payload.pop_back()) {
    message.set_payload(payload);
    if (message.ByteSizeLong() <= static_cast<size_t>(bytes)) break;
  }
  return payload;
}

int Main() {
  std::vector<std::unique_ptr<EchoService::Stub>> stubs;
  for (int i = 0; i < absl::GetFlag(FLAGS_channels); ++i) {
    stubs.push_back(EchoService::NewStub(rpc::MakeChannel(absl::GetFlag(FLAGS_address))));
  }
  const size_t response_bytes =
      PayloadFor(absl::GetFlag(FLAGS_response_bytes), EchoResponse()).size();
  EchoRequest sample;
  sample.set_response_bytes(static_cast<int>(response_bytes));
  sample.set_payload(PayloadFor(absl::GetFlag(FLAGS_request_bytes), sample));
  UnaryLoad<EchoRequest, EchoResponse> load(
      sample, [](int64_t, EchoRequest*) {},
      [&](int64_t number, auto* context, auto* request, auto* response, auto done) {
        stubs[static_cast<size_t>(number) % stubs.size()]->async()->Echo(context, request, response,
                                                                         std::move(done));
      },
      [&](int64_t, const EchoResponse& response) {
        return response.payload().size() == response_bytes;
      });
  nlohmann::json out;
  out["request_bytes"] = sample.ByteSizeLong();
  load.Run(&out);
  Print(out);
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  return slipstream::bench::Main();
}
