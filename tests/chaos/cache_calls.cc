#include "tests/chaos/cache_calls.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/rpc/channel.h"

namespace slipstream::chaos {

CacheCalls::CacheCalls(const std::vector<std::string>& addresses, std::string token)
    : authorization_(absl::StrCat("Bearer ", token)) {
  for (const std::string& address : addresses) {
    stubs_.push_back(cache::v1::CacheService::NewStub(rpc::MakeChannel(address)));
  }
}

void CacheCalls::Prepare(grpc::ClientContext& context, absl::Duration timeout) const {
  context.AddMetadata("authorization", authorization_);
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout));
}

// The suite's errors carry a google.rpc.Status; gRPC's own do not.
bool CacheCalls::IsAnswered(const grpc::Status& status) { return !status.error_details().empty(); }

}  // namespace slipstream::chaos
