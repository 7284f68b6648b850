// Messages on arenas: one of many parts is then made and freed in a few steps instead of one for
// each part.
//
// A message of a stream, which keeps its arena alive:
//   std::shared_ptr<WorkResponse> response = rpc::MakeArenaMessage<WorkResponse>();
//
// Request and response of a unary call on one arena, for methods that are called often:
//   class FooService : public v1::FooService::CallbackService {
//     FooService() { SetMessageAllocatorFor_GetFoo(&get_foo_messages_); }
//     rpc::ArenaMessages<GetFooRequest, Foo> get_foo_messages_;   // outlives the server
//
// A part that is moved into such a message from elsewhere, or out of it, is copied, as between any
// two arenas.
// Thread safety: a message as any of protobuf's; the allocator any, it has no state.
#ifndef LIBS_RPC_ARENA_MESSAGES_H_
#define LIBS_RPC_ARENA_MESSAGES_H_

#include <google/protobuf/arena.h>
#include <grpcpp/support/message_allocator.h>

#include <memory>
#include <utility>

namespace slipstream::rpc {

inline constexpr size_t kMaxArenaBlockBytes = 64 << 10;

template <class Message>
std::shared_ptr<Message> MakeArenaMessage() {
  google::protobuf::ArenaOptions options;
  options.max_block_size = kMaxArenaBlockBytes;
  auto arena = std::make_shared<google::protobuf::Arena>(options);
  auto* message = google::protobuf::Arena::CreateMessage<Message>(arena.get());
  return std::shared_ptr<Message>(std::move(arena), message);
}

template <class Request, class Response>
class ArenaMessages final : public grpc::MessageAllocator<Request, Response> {
 public:
  grpc::MessageHolder<Request, Response>* AllocateMessages() override { return new Holder; }

 private:
  // Enough for a call of a few hundred bytes, so that it costs one allocation in all.
  static constexpr size_t kFirstBlockBytes = 2816;

  class Holder final : public grpc::MessageHolder<Request, Response> {
   public:
    Holder() : arena_(Options(first_block_)) {
      this->set_request(google::protobuf::Arena::CreateMessage<Request>(&arena_));
      this->set_response(google::protobuf::Arena::CreateMessage<Response>(&arena_));
    }
    void Release() override { delete this; }

   private:
    static google::protobuf::ArenaOptions Options(char* block) {
      google::protobuf::ArenaOptions options;
      options.initial_block = block;
      options.initial_block_size = kFirstBlockBytes;
      options.max_block_size = kMaxArenaBlockBytes;
      return options;
    }
    alignas(8) char first_block_[kFirstBlockBytes];
    google::protobuf::Arena arena_;
  };
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_ARENA_MESSAGES_H_
