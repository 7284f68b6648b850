// A message on an arena of its own, which it keeps alive: one of many parts, such as a batch, is
// then made and freed in a few steps instead of one for each part.
//
//   std::shared_ptr<WorkResponse> response = rpc::MakeArenaMessage<WorkResponse>();
//
// A part that is moved into such a message from elsewhere, or out of it, is copied.
// Thread safety: as protobuf messages, by one thread at a time unless it is only read.
#ifndef LIBS_RPC_ARENA_MESSAGE_H_
#define LIBS_RPC_ARENA_MESSAGE_H_

#include <google/protobuf/arena.h>

#include <memory>

namespace slipstream::rpc {

template <class Message>
std::shared_ptr<Message> MakeArenaMessage() {
  constexpr size_t kMaxBlockBytes = 64 << 10;
  google::protobuf::ArenaOptions options;
  options.max_block_size = kMaxBlockBytes;
  auto arena = std::make_shared<google::protobuf::Arena>(options);
  auto* message = google::protobuf::Arena::CreateMessage<Message>(arena.get());
  return std::shared_ptr<Message>(std::move(arena), message);
}

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_ARENA_MESSAGE_H_
