// A server stream as an HTTP answer: Server-Sent Events, NDJSON, or raw bytes of HttpBody.
//
//   SSE (https://html.spec.whatwg.org/multipage/server-sent-events.html): one `data:` line of JSON
//   per message, an `id:` line where the message has a field with the sse_id option, a comment
//   every heartbeat, and at the end `event: end` or `event: error` with the problem, so that a
//   client can tell an end from a cut.
//   NDJSON: one JSON object per line; a failure is a last line {"error": problem}.
//   HttpBody: the first message's content type, headers from initial metadata "x-http-<name>", and
//   the status from "x-http-code".
#ifndef SERVICES_EDGE_STREAM_ANSWER_H_
#define SERVICES_EDGE_STREAM_ANSWER_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "libs/async/async.h"
#include "services/edge/http/exchange.h"
#include "services/edge/upstreams.h"

namespace slipstream::edge {

enum class StreamFormat { kSse, kNdjson, kRaw };

StreamFormat ChooseStreamFormat(const google::protobuf::Descriptor& output,
                                std::string_view accept);

// Answers `exchange` with all of `stream`. A status that is not OK means that nothing has been
// answered yet: the stream failed before its first message. `message` is scratch space of the
// output type.
Async<absl::Status> AnswerStream(Exchange& exchange, UpstreamStream& stream, StreamFormat format,
                                 absl::Duration heartbeat, const std::string& correlation_id,
                                 google::protobuf::Message* message);

// The last record of a stream.
std::string SseEnd(const absl::Status& status, const std::string& correlation_id);
std::string NdjsonEnd(const absl::Status& status, const std::string& correlation_id);

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_STREAM_ANSWER_H_
