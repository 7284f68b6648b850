#include "services/edge/stream_answer.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/async/event.h"
#include "services/edge/transcoder/json_writer.h"
#include "services/edge/transcoder/problem.h"
#include "slipstream/api/v1/policy.pb.h"

namespace slipstream::edge {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// The field whose value is the event's id, or null.
const FieldDescriptor* SseIdField(const google::protobuf::Descriptor& type) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* field = type.field(i);
    // Descriptors of a dynamic pool carry the option as an unknown field of their own FieldOptions;
    // reparsing by the generated type resolves it.
    google::protobuf::FieldOptions options;
    options.ParseFromString(field->options().SerializeAsString());
    if (options.GetExtension(slipstream::api::v1::field).sse_id()) return field;
  }
  return nullptr;
}

std::string SseRecord(const Message& message, const FieldDescriptor* id_field,
                      absl::Status* status) {
  std::string json;
  *status = WriteJson(message, &json);
  std::string id;
  if (id_field != nullptr) id = message.GetReflection()->GetString(message, id_field);
  return id.empty() ? absl::StrCat("data: ", json, "\n\n")
                    : absl::StrCat("id: ", id, "\ndata: ", json, "\n\n");
}

// Sends a comment whenever the stream has been quiet for a heartbeat. One writer at a time: the
// beats are written by the coroutine that writes the messages, which waits for either.
class NextMessage {
 public:
  NextMessage(UpstreamStream& stream, Message* message) : stream_(stream), message_(message) {}

  // Starts one read in the background.
  Async<void> Start() {
    if (pending_) co_return;
    pending_ = true;
    version_ = done_->version();
    auto executor = co_await boost::asio::this_coro::executor;
    auto read = [](UpstreamStream& stream, Message* message, NextMessage* self,
                   std::shared_ptr<async::Event> done) -> Async<void> {
      self->more_ = co_await stream.Read(message);
      self->pending_ = false;
      done->Notify();
    };
    boost::asio::co_spawn(executor, read(stream_, message_, this, done_),
                          [](std::exception_ptr error) {
                            if (error) std::rethrow_exception(error);
                          });
  }
  // False when the heartbeat came first.
  Async<bool> Wait(absl::Duration heartbeat) {
    if (!pending_) co_return true;
    co_await done_->Wait(version_, async::After(heartbeat));
    co_return !pending_;
  }
  bool pending() const { return pending_; }
  bool more() const { return more_; }

 private:
  UpstreamStream& stream_;
  Message* const message_;
  std::shared_ptr<async::Event> done_ = std::make_shared<async::Event>();
  uint64_t version_ = 0;
  bool pending_ = false;
  bool more_ = false;
};

Async<absl::Status> AnswerText(Exchange& exchange, UpstreamStream& stream, StreamFormat format,
                               absl::Duration heartbeat, const std::string& correlation_id,
                               Message* message) {
  const bool sse = format == StreamFormat::kSse;
  const FieldDescriptor* id_field = sse ? SseIdField(*message->GetDescriptor()) : nullptr;
  NextMessage next(stream, message);
  co_await next.Start();
  // A refusal arrives within this time and becomes a plain problem; a quiet stream is answered with
  // its headers meanwhile, so that the client sees it open.
  const bool early = co_await next.Wait(absl::Milliseconds(250));
  if (early && !next.more() && !stream.status().ok()) co_return stream.status();

  HttpResponse head;
  head.content_type = sse ? "text/event-stream" : "application/x-ndjson";
  head.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  bool open = co_await exchange.StartStream(std::move(head));
  exchange.OnDisconnect([&stream] { stream.Cancel(); });
  if (open && sse) open = co_await exchange.WriteChunk(": open\n\n");
  for (;;) {
    if (!open) stream.Cancel();
    if (!co_await next.Wait(heartbeat)) {
      if (open) open = co_await exchange.WriteChunk(sse ? ": beat\n\n" : "\n");
      continue;
    }
    if (!next.more()) break;
    absl::Status written;
    std::string record;
    if (sse) {
      record = SseRecord(*message, id_field, &written);
    } else {
      written = WriteJson(*message, &record);
      record += '\n';
    }
    if (!written.ok())
      record = sse ? SseEnd(written, correlation_id) : NdjsonEnd(written, correlation_id);
    co_await next.Start();
    if (open) open = co_await exchange.WriteChunk(std::move(record));
  }
  exchange.OnDisconnect([] {});
  if (open) {
    co_await exchange.WriteChunk(sse ? SseEnd(stream.status(), correlation_id)
                                     : NdjsonEnd(stream.status(), correlation_id));
    co_await exchange.EndStream();
  }
  co_return absl::OkStatus();
}

std::string FieldText(const Message& message, const char* name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  return message.GetReflection()->GetString(message, field);
}

Async<absl::Status> AnswerRaw(Exchange& exchange, UpstreamStream& stream, Message* message) {
  const bool any = co_await stream.Read(message);
  if (!any && !stream.status().ok()) co_return stream.status();
  HttpResponse head;
  int code = 0;
  if (absl::SimpleAtoi(stream.metadata("x-http-code").value_or(""), &code)) head.status = code;
  for (auto& [name, value] : stream.metadata_with_prefix("x-http-")) {
    if (name != "code") head.headers.emplace_back(name, value);
  }
  if (any) head.content_type = FieldText(*message, "content_type");
  // It becomes a header line: a service behind the edge must not be able to end it early.
  if (head.content_type.empty() || head.content_type.size() > 256 ||
      head.content_type.find_first_of("\r\n") != std::string::npos) {
    head.content_type = "application/octet-stream";
  }
  bool open = co_await exchange.StartStream(std::move(head));
  exchange.OnDisconnect([&stream] { stream.Cancel(); });
  for (bool more = any; more; more = co_await stream.Read(message)) {
    if (open) open = co_await exchange.WriteChunk(FieldText(*message, "data"));
    if (!open) stream.Cancel();
  }
  exchange.OnDisconnect([] {});
  // A stream that broke is not ended: without the last chunk the client sees that it is cut.
  if (open && stream.status().ok()) co_await exchange.EndStream();
  co_return absl::OkStatus();
}

}  // namespace

std::string SseEnd(const absl::Status& status, const std::string& correlation_id) {
  if (status.ok()) return "event: end\ndata: {}\n\n";
  return absl::StrCat("event: error\ndata: ", MakeProblem(status, correlation_id).body, "\n\n");
}

std::string NdjsonEnd(const absl::Status& status, const std::string& correlation_id) {
  if (status.ok()) return "";
  return absl::StrCat("{\"error\": ", MakeProblem(status, correlation_id).body, "}\n");
}

StreamFormat ChooseStreamFormat(const google::protobuf::Descriptor& output,
                                std::string_view accept) {
  if (output.full_name() == "google.api.HttpBody") return StreamFormat::kRaw;
  const bool ndjson =
      absl::StrContains(absl::AsciiStrToLower(absl::string_view(accept.data(), accept.size())),
                        "application/x-ndjson");
  return ndjson ? StreamFormat::kNdjson : StreamFormat::kSse;
}

Async<absl::Status> AnswerStream(Exchange& exchange, UpstreamStream& stream, StreamFormat format,
                                 absl::Duration heartbeat, const std::string& correlation_id,
                                 Message* message) {
  if (format == StreamFormat::kRaw) return AnswerRaw(exchange, stream, message);
  return AnswerText(exchange, stream, format, heartbeat, correlation_id, message);
}

}  // namespace slipstream::edge
