// Load of reads on the cache, all of them hits in its first tier.
//   cache_load --address=... --token=... [--keys_per_call=64] [--trace --timeout_s=S]
// Stores --keys values of --value_bytes, then reads one a call by Get, or several by GetMany.
// Prints what ClosedLoop measures, with the messages' sizes, which the echo is then asked for.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "absl/flags/flag.h"
#include "libs/client/cache/batch_buffers.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/client_call.h"
#include "slipstream/cache/v1/cache.grpc.pb.h"
#include "tests/bench/unary_load.h"

ABSL_DECLARE_FLAG(int, channels);
ABSL_FLAG(int, keys, 10000, "values stored, and read in turn");
ABSL_FLAG(int, keys_per_call, 1, "1: by Get; more: by GetMany");
ABSL_FLAG(int, value_bytes, 100, "of each value");

namespace slipstream::bench {
namespace {

using cache::v1::CacheKey;
using cache::v1::CacheService;
using cache::v1::GetRequest;
using cache::v1::GetResponse;

using Channels = std::vector<std::shared_ptr<grpc::Channel>>;
using Stubs = std::vector<std::unique_ptr<CacheService::Stub>>;

// Far apart for numbers that follow each other, so that no call reads the neighbours of another.
int KeyOf(int64_t number) {
  return static_cast<int>(static_cast<uint64_t>(number) * 7919 %
                          static_cast<uint64_t>(absl::GetFlag(FLAGS_keys)));
}

std::string NameOf(int key) {
  std::string out = "product:00000000";
  for (size_t at = out.size(); key > 0; key /= 10) out[--at] = static_cast<char>('0' + key % 10);
  return out;
}

CacheKey SampleKey() {
  CacheKey key;
  key.set_namespace_("bench");
  key.set_type(CacheKey::API_RESPONSE);
  key.set_scope(CacheKey::USER);
  key.set_key(NameOf(0));
  return key;
}

void Store(CacheService::Stub* stub) {
  constexpr int kBatchCount = 100;
  const std::string value(static_cast<size_t>(absl::GetFlag(FLAGS_value_bytes)), 'v');
  for (int begin = 0; begin < absl::GetFlag(FLAGS_keys); begin += kBatchCount) {
    cache::v1::SetManyRequest request;
    const int end = std::min(begin + kBatchCount, absl::GetFlag(FLAGS_keys));
    for (int key = begin; key < end; ++key) {
      auto* entry = request.add_entries();
      *entry->mutable_key() = SampleKey();
      entry->mutable_key()->set_key(NameOf(key));
      entry->set_value(value);
      entry->mutable_options()->set_ttl_ms(3600 * 1000);
    }
    grpc::ClientContext context;
    context.set_wait_for_ready(true);  // also for a server that starts slowly
    rpc::Apply(Call(), &context);
    cache::v1::SetManyResponse response;
    const grpc::Status status = stub->SetMany(&context, request, &response);
    for (const auto& result : response.results()) {
      if (result.version() == 0) std::fprintf(stderr, "%s\n", result.message().c_str());
      if (result.version() == 0) std::exit(1);
    }
    if (!status.ok()) {
      std::fprintf(stderr, "SetMany: %s\n", status.error_message().c_str());
      std::exit(1);
    }
  }
}

bool IsHit(const GetResponse& response) {
  return response.result() == GetResponse::HIT && response.tier() == GetResponse::L1 &&
         response.value().value().size() == static_cast<size_t>(absl::GetFlag(FLAGS_value_bytes));
}

void RunGet(const Stubs& stubs, nlohmann::json* out) {
  GetRequest sample;
  *sample.mutable_key() = SampleKey();
  std::atomic<size_t> response_bytes{0};
  UnaryLoad<GetRequest, GetResponse> load(
      sample,
      [](int64_t number, GetRequest* request) {
        request->mutable_key()->set_key(NameOf(KeyOf(number)));
      },
      [&](int64_t number, auto* context, auto* request, auto* response, auto done) {
        stubs[static_cast<size_t>(number) % stubs.size()]->async()->Get(context, request, response,
                                                                        std::move(done));
      },
      [&](int64_t number, const GetResponse& response) {
        if (number == 1000) response_bytes.store(response.ByteSizeLong());
        return IsHit(response);
      });
  (*out)["request_bytes"] = sample.ByteSizeLong();
  load.Run(out);
  (*out)["response_bytes"] = response_bytes.load();
}

bool IsHit(const cache_client::ValueBatch::Item& item) {
  return item.result == GetResponse::HIT && item.tier == GetResponse::L1 &&
         item.value.size() == static_cast<size_t>(absl::GetFlag(FLAGS_value_bytes));
}

// By the client library's batches, as whoever reads many small values would.
void RunGetMany(const Channels& channels, int count, nlohmann::json* out) {
  std::vector<grpc::GenericStub> stubs(channels.begin(), channels.end());
  std::atomic<size_t> request_bytes{0}, response_bytes{0};
  UnaryLoad<grpc::ByteBuffer, grpc::ByteBuffer> load(
      grpc::ByteBuffer(),
      [&, count](int64_t number, grpc::ByteBuffer* request) {
        // Used again for each call of a thread, as the commands of redis_load are.
        thread_local cache_client::KeyBatch keys(SampleKey());
        keys.Clear();
        for (int i = 0; i < count; ++i) keys.Add(NameOf(KeyOf(number * count + i)));
        *request = cache_client::RequestOf(keys);
        request_bytes.store(keys.bytes().size(), std::memory_order_relaxed);
      },
      [&](int64_t number, auto* context, auto* request, auto* response, auto done) {
        const std::string method = cache_client::kGetManyMethod;
        stubs[static_cast<size_t>(number) % stubs.size()].UnaryCall(
            context, method, grpc::StubOptions(cache_client::kGetManyMethod), request, response,
            std::move(done));
      },
      [&, count](int64_t, const grpc::ByteBuffer& response) {
        response_bytes.store(response.Length(), std::memory_order_relaxed);
        const auto values = cache_client::ValuesOf(response);
        return values.ok() && values->size() == static_cast<size_t>(count) &&
               std::all_of(values->begin(), values->end(),
                           [](const auto& item) { return IsHit(item); });
      });
  load.Run(out);
  (*out)["request_bytes"] = request_bytes.load();
  (*out)["response_bytes"] = response_bytes.load();
  (*out)["keys_per_second"] = out->at("calls_per_second").get<double>() * count;
}

int Main() {
  Channels channels;
  Stubs stubs;
  for (int i = 0; i < absl::GetFlag(FLAGS_channels); ++i) {
    channels.push_back(rpc::MakeChannel(absl::GetFlag(FLAGS_address)));
    stubs.push_back(CacheService::NewStub(channels.back()));
  }
  Store(stubs[0].get());
  nlohmann::json out;
  const int count = absl::GetFlag(FLAGS_keys_per_call);
  if (count == 1) {
    RunGet(stubs, &out);
  } else {
    RunGetMany(channels, count, &out);
  }
  Print(out);
  return 0;
}

}  // namespace
}  // namespace slipstream::bench

int main(int argc, char** argv) {
  slipstream::bench::ParseFlags(argc, argv);
  return slipstream::bench::Main();
}
