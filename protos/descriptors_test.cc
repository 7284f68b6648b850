// The linked descriptors, the shipped descriptor set and the libraries of gRPC agree: one
// definition of each file (a second one would abort the process at start), and every RPC states its
// policy.
#include <grpcpp/ext/channelz_service_plugin.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <string>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/rpc/error_details.pb.h"
#include "slipstream/api/v1/policy.pb.h"
#include "slipstream/artifact/v1/artifact.grpc.pb.h"
#include "slipstream/budget/v1/budget.grpc.pb.h"
#include "slipstream/cache/v1/cache.grpc.pb.h"
#include "slipstream/config/v1/config.pb.h"
#include "slipstream/database_optimizer/v1/database_optimizer.grpc.pb.h"
#include "slipstream/monitoring/v1/monitoring.grpc.pb.h"
#include "slipstream/notification/v1/notification.grpc.pb.h"
#include "slipstream/schedule/v1/schedule.grpc.pb.h"
#include "slipstream/task_queue/v1/task_queue.grpc.pb.h"
#include "slipstream/task_queue/v1/worker.grpc.pb.h"
#include "slipstream/webhook/v1/webhook.grpc.pb.h"

namespace slipstream {
namespace {

using google::protobuf::DescriptorPool;

google::protobuf::FileDescriptorSet ShippedSet() {
  google::protobuf::FileDescriptorSet set;
  std::ifstream in("protos/descriptor_set.pb", std::ios::binary);
  EXPECT_TRUE(set.ParseFromIstream(&in)) << "//protos:descriptor_set is missing or damaged";
  return set;
}

TEST(DescriptorsTest, ShippedSetIsCompleteAndWhatIsLinked) {
  // The plugins bring protos of their own into the generated pool.
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::channelz::experimental::InitChannelzService();
  google::rpc::ErrorInfo().SerializeAsString();
  const google::protobuf::FileDescriptorSet set = ShippedSet();
  DescriptorPool pool;
  int ours_count = 0;
  for (const auto& file : set.file()) {
    ASSERT_NE(pool.BuildFile(file), nullptr) << file.name();
    ours_count += file.package().starts_with("slipstream.");
  }
  EXPECT_GE(ours_count, 11);
}

TEST(DescriptorsTest, EveryRpcStatesItsPolicy) {
  DescriptorPool const& pool = *DescriptorPool::generated_pool();
  std::set<std::string> services;
  const google::protobuf::FileDescriptorSet set = ShippedSet();
  for (const auto& file : set.file()) {
    if (!file.package().starts_with("slipstream.")) continue;
    for (const auto& proto : file.service()) {
      const auto* service = pool.FindServiceByName(file.package() + "." + proto.name());
      ASSERT_NE(service, nullptr) << proto.name() << " is not linked: add its header to this test";
      services.insert(service->full_name());
      for (int i = 0; i < service->method_count(); ++i) {
        const auto& options = service->method(i)->options();
        ASSERT_TRUE(options.HasExtension(api::v1::policy)) << service->method(i)->full_name();
        const auto& policy = options.GetExtension(api::v1::policy);
        EXPECT_NE(policy.permission().empty(), !policy.open())
            << service->method(i)->full_name() << ": either a permission or `open`";
      }
    }
  }
  EXPECT_GE(services.size(), 9u);
}

}  // namespace
}  // namespace slipstream
