#include "libs/redis/resp.h"

#include <hiredis/read.h>

#include <charconv>
#include <utility>

namespace slipstream::redis {
namespace {

// '*' or '$', a number, CRLF.
void AppendHeader(std::string& out, char type, size_t count) {
  char text[24];
  text[0] = type;
  char* end = std::to_chars(text + 1, text + sizeof(text) - 2, count).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(text, static_cast<size_t>(end - text));
}

// hiredis asks these for an object per reply; ours is the root, or the place in its parent's array.
Value* Place(const redisReadTask* task) {
  if (task->parent == nullptr) return static_cast<Value*>(task->privdata);
  return &static_cast<Value*>(task->parent->obj)->elements[static_cast<size_t>(task->idx)];
}

void* CreateString(const redisReadTask* task, char* text, size_t size) {
  Value* value = Place(task);
  value->kind = task->type == REDIS_REPLY_ERROR    ? Value::Kind::kError
                : task->type == REDIS_REPLY_STATUS ? Value::Kind::kStatus
                                                   : Value::Kind::kString;
  value->text.assign(text, size);
  return value;
}

void* CreateArray(const redisReadTask* task, int elements_count) {
  if (elements_count > ReplyReader::kMaxElements) return nullptr;
  Value* value = Place(task);
  value->kind = Value::Kind::kArray;
  value->elements.resize(static_cast<size_t>(elements_count));
  return value;
}

void* CreateInteger(const redisReadTask* task, long long integer) {
  Value* value = Place(task);
  value->kind = Value::Kind::kInteger;
  value->integer = integer;
  return value;
}

void* CreateNil(const redisReadTask* task) {
  Value* value = Place(task);
  value->kind = Value::Kind::kNil;
  return value;
}

// The root is a member of the reader and owns everything else.
void FreeObject(void*) {}

redisReplyObjectFunctions functions = {CreateString, CreateArray, CreateInteger, CreateNil,
                                       FreeObject};

}  // namespace

void AppendArrayHeader(std::string& out, size_t elements_count) {
  AppendHeader(out, '*', elements_count);
}

void AppendBulk(std::string& out, std::string_view bytes) {
  AppendHeader(out, '$', bytes.size());
  out.append(bytes);
  out.append("\r\n", 2);
}

void AppendCommand(std::string& out, const std::vector<std::string>& args) {
  AppendArrayHeader(out, args.size());
  for (const auto& arg : args) AppendBulk(out, arg);
}

struct ReplyReader::Impl {
  redisReader* reader = redisReaderCreateWithFunctions(&functions);
  Value root;
};

ReplyReader::ReplyReader() : impl_(std::make_unique<Impl>()) {
  // Each task carries it; the root task, which has no parent, is built there.
  impl_->reader->privdata = &impl_->root;
  impl_->reader->maxbuf = 0;  // keeps its buffer between replies
}

ReplyReader::~ReplyReader() { redisReaderFree(impl_->reader); }

void ReplyReader::Feed(const char* data, size_t size) {
  redisReaderFeed(impl_->reader, data, size);
}

ReplyReader::Next ReplyReader::Read(Value* value) {
  void* reply = nullptr;
  if (redisReaderGetReply(impl_->reader, &reply) != REDIS_OK) return Next::kBroken;
  if (reply == nullptr) return Next::kMore;
  *value = std::exchange(impl_->root, Value());
  return Next::kReply;
}

std::string ReplyReader::error() const { return impl_->reader->errstr; }

}  // namespace slipstream::redis
