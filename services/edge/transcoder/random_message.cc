#include "services/edge/transcoder/random_message.h"

#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>

#include "google/protobuf/descriptor.h"

namespace slipstream::edge {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kMaxDepth = 3;

}  // namespace

uint64_t RandomMessage::Bits() {
  switch (Below(5)) {
    case 0:
      return Below(3);
    case 1:
      return std::numeric_limits<uint64_t>::max() - Below(3);
    case 2:
      return uint64_t{1} << Below(64);
    default:
      return engine_() >> Below(64);
  }
}

double RandomMessage::Real() {
  switch (Below(6)) {
    case 0:
      return static_cast<double>(static_cast<int64_t>(Bits()));
    case 1:
      return static_cast<double>(Below(100000)) / 100;
    case 2:
      return -0.0;
    default: {
      const uint64_t bits = engine_();
      double value;
      std::memcpy(&value, &bits, sizeof(value));
      return std::isfinite(value) ? value : 1e300;
    }
  }
}

std::string RandomMessage::Text() {
  static constexpr const char* kPieces[] = {"a",
                                            "Zz9",
                                            "\"",
                                            "\\",
                                            "/",
                                            "\n",
                                            "\x01",
                                            "\x7f",
                                            "é",
                                            "€",
                                            "😀",
                                            "</script>",
                                            " ",
                                            "plain words here",
                                            "\xE2\x80\xA8",
                                            "\t"};
  std::string text;
  for (uint64_t n = Below(6); n > 0; --n) text += kPieces[Below(std::size(kPieces))];
  return text;
}

bool RandomMessage::FillWellKnown(Message* message, int depth) {
  const Descriptor& type = *message->GetDescriptor();
  const auto& reflection = *message->GetReflection();
  const auto* first = type.field_count() > 0 ? type.field(0) : nullptr;
  switch (type.well_known_type()) {
    case Descriptor::WELLKNOWNTYPE_UNSPECIFIED:
      return false;
    case Descriptor::WELLKNOWNTYPE_TIMESTAMP:
      reflection.SetInt64(message, first, static_cast<int64_t>(Below(315537897600)) - 62135596800);
      reflection.SetInt32(message, type.field(1),
                          static_cast<int32_t>(Below(1000)) * (Below(2) ? 1000000 : 999));
      return true;
    case Descriptor::WELLKNOWNTYPE_DURATION: {
      const int sign = Below(2) != 0 ? 1 : -1;
      reflection.SetInt64(message, first, sign * static_cast<int64_t>(Below(315576000000)));
      reflection.SetInt32(message, type.field(1), sign * static_cast<int32_t>(Below(1000000000)));
      return true;
    }
    case Descriptor::WELLKNOWNTYPE_FIELDMASK:
      for (uint64_t n = Below(3); n > 0; --n) {
        reflection.AddString(message, first, Below(2) != 0 ? "name" : "inner.size");
      }
      return true;
    case Descriptor::WELLKNOWNTYPE_VALUE: {
      const auto* kind = type.field(static_cast<int>(depth > kMaxDepth + 3 ? Below(4) : Below(6)));
      if (kind->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
        reflection.SetEnumValue(message, kind, 0);
      } else {
        FillField(*kind, message, depth);
      }
      return true;
    }
    case Descriptor::WELLKNOWNTYPE_STRUCT:
    case Descriptor::WELLKNOWNTYPE_LISTVALUE:
      FillField(*first, message, depth);
      return true;
    case Descriptor::WELLKNOWNTYPE_ANY: {
      const auto* inner =
          type.file()->pool()->FindMessageTypeByName("slipstream.edge.testdata.Inner");
      std::unique_ptr<Message> value(reflection.GetMessageFactory()->GetPrototype(inner)->New());
      Fill(value.get(), depth);
      reflection.SetString(message, first, "type.googleapis.com/" + inner->full_name());
      reflection.SetString(message, type.field(1), value->SerializeAsString());
      return true;
    }
    default:
      FillField(*first, message, depth);
      return true;
  }
}

void RandomMessage::Fill(Message* message, int depth) {
  if (FillWellKnown(message, depth)) return;
  const Descriptor& type = *message->GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    if (Below(3) != 0) continue;
    const auto* oneof = type.field(i)->real_containing_oneof();
    if (oneof != nullptr && message->GetReflection()->HasOneof(*message, oneof)) continue;
    FillField(*type.field(i), message, depth);
  }
}

void RandomMessage::FillField(const FieldDescriptor& field, Message* message, int depth) {
  const auto& reflection = *message->GetReflection();
  const bool many = field.is_repeated();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && depth > kMaxDepth &&
      field.message_type()->well_known_type() == Descriptor::WELLKNOWNTYPE_UNSPECIFIED &&
      !field.is_map()) {
    return;
  }
  // Maps get one entry: random keys must not collide.
  for (uint64_t n = !many || field.is_map() ? 1 : Below(4); n > 0; --n) {
    switch (field.cpp_type()) {
#define SLIP_CASE(KIND, Kind, value)                     \
  case FieldDescriptor::CPPTYPE_##KIND:                  \
    many ? reflection.Add##Kind(message, &field, value)  \
         : reflection.Set##Kind(message, &field, value); \
    break;
      SLIP_CASE(INT32, Int32, static_cast<int32_t>(Bits()))
      SLIP_CASE(INT64, Int64, static_cast<int64_t>(Bits()))
      SLIP_CASE(UINT32, UInt32, static_cast<uint32_t>(Bits()))
      SLIP_CASE(UINT64, UInt64, Bits())
      SLIP_CASE(DOUBLE, Double, Real())
      SLIP_CASE(FLOAT, Float, static_cast<float>(static_cast<int32_t>(Bits())) / 7)
      SLIP_CASE(BOOL, Bool, Below(2) != 0)
      SLIP_CASE(STRING, String, Text())
      SLIP_CASE(ENUM, Enum,
                field.enum_type()->value(static_cast<int>(
                    Below(static_cast<uint64_t>(field.enum_type()->value_count())))))
#undef SLIP_CASE
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        Message* inner = many ? reflection.AddMessage(message, &field)
                              : reflection.MutableMessage(message, &field);
        if (field.is_map()) {
          FillField(*field.message_type()->map_key(), inner, depth + 1);
          FillField(*field.message_type()->map_value(), inner, depth + 1);
        } else {
          Fill(inner, depth + 1);
        }
      }
    }
  }
}

}  // namespace slipstream::edge
