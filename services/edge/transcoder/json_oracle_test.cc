// Our codec against protobuf's json_util on random messages, both directions and both kinds of
// message.
#include <cstdlib>
#include <memory>
#include <string>

#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/dynamic_message.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "kinds.pb.h"
#include "services/edge/transcoder/json_reader.h"
#include "services/edge/transcoder/json_writer.h"
#include "services/edge/transcoder/random_message.h"

namespace slipstream::edge {
namespace {

using google::protobuf::util::MessageDifferencer;
using testdata::Kinds;

constexpr uint64_t kSeed = 20250117;
constexpr int kMessage_count = 3000;

// Equal to the bit: -0.0 differs from 0.0. Maps have no order, so serialization must be
// deterministic.
std::string Bytes(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

std::string OracleText(const Kinds& message, bool defaults) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = defaults;
  options.preserve_proto_field_names = Bytes(message).size() % 2 == 0;  // both spellings are input
  std::string text;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(message, &text, options).ok());
  return text;
}

TEST(JsonOracle, RandomMessagesAgreeInBothDirections) {
  for (int i = 0; i < kMessage_count; ++i) {
    SCOPED_TRACE(testing::Message() << "seed " << kSeed + static_cast<uint64_t>(i));
    Kinds message;
    RandomMessage(kSeed + static_cast<uint64_t>(i)).Fill(&message);

    std::string ours;
    ASSERT_TRUE(WriteJson(message, &ours).ok());
    ASSERT_TRUE(CheckJson(ours).ok()) << ours;
    Kinds back;
    const absl::Status read = ReadJson(ours, &back);
    ASSERT_TRUE(read.ok()) << read << "\n" << ours;
    ASSERT_EQ(Bytes(back), Bytes(message)) << ours;

    Kinds by_oracle;
    const auto parsed = google::protobuf::util::JsonStringToMessage(ours, &by_oracle);
    ASSERT_TRUE(parsed.ok()) << parsed.ToString() << "\n" << ours;
    std::string difference;
    MessageDifferencer differencer;
    differencer.ReportDifferencesToString(&difference);
    ASSERT_TRUE(differencer.Compare(by_oracle, message)) << difference << ours;

    const std::string theirs = OracleText(message, i % 2 == 0);
    Kinds from_theirs;
    const absl::Status read_theirs = ReadJson(theirs, &from_theirs);
    ASSERT_TRUE(read_theirs.ok()) << read_theirs << "\n" << theirs;
    ASSERT_TRUE(MessageDifferencer::Equals(from_theirs, message)) << theirs;
  }
}

TEST(JsonOracle, DynamicMessagesReadAndWriteTheSame) {
  google::protobuf::DescriptorPool pool;
  for (const auto* file :
       {"google/protobuf/any.proto", "google/protobuf/duration.proto",
        "google/protobuf/field_mask.proto", "google/protobuf/struct.proto",
        "google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto", "kinds.proto"}) {
    google::protobuf::FileDescriptorProto proto;
    google::protobuf::DescriptorPool::generated_pool()->FindFileByName(file)->CopyTo(&proto);
    // CopyTo leaves json_name out; a descriptor set from protoc has it.
    google::protobuf::DescriptorPool::generated_pool()->FindFileByName(file)->CopyJsonNameTo(
        &proto);
    ASSERT_NE(pool.BuildFile(proto), nullptr) << file;
  }
  google::protobuf::DynamicMessageFactory factory(&pool);
  const auto* type = pool.FindMessageTypeByName("slipstream.edge.testdata.Kinds");
  for (int i = 0; i < 500; ++i) {
    SCOPED_TRACE(testing::Message() << "seed " << kSeed + static_cast<uint64_t>(i));
    Kinds message;
    RandomMessage(kSeed + static_cast<uint64_t>(i)).Fill(&message);
    std::string expected;
    ASSERT_TRUE(WriteJson(message, &expected).ok());

    std::unique_ptr<google::protobuf::Message> dynamic(factory.GetPrototype(type)->New());
    const absl::Status read = ReadJson(expected, dynamic.get());
    ASSERT_TRUE(read.ok()) << read << "\n" << expected;
    Kinds back;
    ASSERT_TRUE(back.ParseFromString(dynamic->SerializeAsString()));
    ASSERT_EQ(Bytes(back), Bytes(message));
    std::string again;
    ASSERT_TRUE(WriteJson(*dynamic, &again).ok());
    ASSERT_EQ(again, expected);
  }
}

}  // namespace
}  // namespace slipstream::edge
