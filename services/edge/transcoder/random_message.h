// Random protobuf messages for property tests: every field kind, reachable from a seed.
#ifndef SERVICES_EDGE_TRANSCODER_RANDOM_MESSAGE_H_
#define SERVICES_EDGE_TRANSCODER_RANDOM_MESSAGE_H_

#include <cstdint>
#include <random>
#include <string>

#include "google/protobuf/message.h"

namespace slipstream::edge {

class RandomMessage {
 public:
  explicit RandomMessage(uint64_t seed) : engine_(seed) {}

  // Sets some fields of *message to values that have a JSON form.
  void Fill(google::protobuf::Message* message, int depth = 0);

  std::string Text();  // valid UTF-8, with quotes, controls and characters beyond the BMP
  uint64_t Below(uint64_t bound) { return engine_() % bound; }

 private:
  void FillField(const google::protobuf::FieldDescriptor& field, google::protobuf::Message* message,
                 int depth);
  bool FillWellKnown(google::protobuf::Message* message, int depth);
  uint64_t Bits();
  double Real();

  std::mt19937_64 engine_;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_TRANSCODER_RANDOM_MESSAGE_H_
