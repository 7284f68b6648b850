#include "services/task_queue/redis_codec.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "libs/status/status.h"
#include "services/task_queue/task_state.h"

namespace slipstream::task_queue::redis_codec {

namespace {

// Fields of a card (immutable) and of a state. Numbers are never used again for something else.
enum CardTag : uint8_t {
  kCardType = 1,
  kCardPriority,
  kCardOwner,
  kCardTenant,
  kCardCorrelationId,
  kCardTraceparent,
  kCardLabelKey,
  kCardLabelValue,
  kCardCreatedAt,
  kCardMaxAttempts,
  kCardExpiresIn,
  kCardAttemptDeadline,
  kCardResultTtl,
  kCardUniqueKey,
  kCardConcurrencyKey,
  kCardDependsOn,
  kCardRunAt,
  kCardCorrelationUuid,  // the 16 bytes, when it is a UUID
  kCardTrace,            // the 25 bytes of a traceparent of version 00
};
enum StateTag : uint8_t {
  kStateProgress = 1,
  kStateProgressMessage,
  kStateErrorReason,
  kStateErrorMessage,
  kStateErrorRetryable,
  kStateAttempt,
  kStateArtifactId,
  kStateArtifactName,
  kStateArtifactContentType,
  kStateArtifactSize,
  kStateCost,
  kStateInputTokens,
  kStateOutputTokens,
  kStateReadyAt,
  kStateRunAt,
  kStateNextRunAt,
  kStateStartedAt,
  kStateFinishedAt,
  kStateExpiresAt,
  kStateLeaseEpoch,
  kStateSessionId,
  kStateAttemptDeadlineAt,
  kStateReportedEpoch,
  kStateReportedKind,
  kStateLostLeases,
  kStateWaitsFor,
  kStateHasDependents,
  kStateLimited,
  kStateStatus,
  kStateResult,
};

// The high bit of a tag says that bytes follow, not a number.
constexpr uint8_t kBytes = 0x80;

class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  void Number(uint8_t tag, uint64_t value) {
    if (value == 0) return;
    out_.push_back(static_cast<char>(tag));
    Varint(value);
  }
  // Also when empty: for repeated and for optional fields.
  void Always(uint8_t tag, std::string_view bytes) {
    out_.push_back(static_cast<char>(tag | kBytes));
    Varint(bytes.size());
    out_.append(bytes);
  }
  void Bytes(uint8_t tag, std::string_view bytes) {
    if (!bytes.empty()) Always(tag, bytes);
  }
  // Absent when infinite.
  void Time(uint8_t tag, absl::Time time) {
    if (time != absl::InfiniteFuture() && time != absl::InfinitePast()) {
      Number(tag, static_cast<uint64_t>(absl::ToUnixMicros(time)));
    }
  }
  void Time(uint8_t tag, const std::optional<absl::Time>& time) {
    if (time) Time(tag, *time);
  }
  void Duration(uint8_t tag, absl::Duration duration) {
    if (duration != absl::InfiniteDuration()) {
      Number(tag, static_cast<uint64_t>(absl::ToInt64Microseconds(duration)));
    }
  }

 private:
  void Varint(uint64_t value) {
    std::array<char, 10> bytes;
    size_t count = 0;
    for (; value >= 0x80; value >>= 7) bytes[count++] = static_cast<char>(value | 0x80);
    bytes[count++] = static_cast<char>(value);
    out_.append(bytes.data(), count);
  }
  std::string& out_;
};

class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  // False at the end, or when the rest is broken.
  bool Next() {
    if (in_.empty()) return false;
    tag_ = static_cast<uint8_t>(in_.front());
    in_.remove_prefix(1);
    if (!Varint(number_)) return false;
    if ((tag_ & kBytes) == 0) return true;
    tag_ &= static_cast<uint8_t>(~kBytes);
    if (number_ > in_.size()) return broken_ = true, false;
    bytes_ = in_.substr(0, number_);
    in_.remove_prefix(number_);
    return true;
  }
  uint8_t tag() const { return tag_; }
  int64_t number() const { return static_cast<int64_t>(number_); }
  std::string_view bytes() const { return bytes_; }
  std::string text() const { return std::string(bytes_); }
  absl::Time time() const { return absl::FromUnixMicros(number()); }
  absl::Duration duration() const { return absl::Microseconds(number()); }
  bool broken() const { return broken_; }

 private:
  bool Varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !in_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(in_.front());
      in_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    broken_ = true;
    return false;
  }
  std::string_view in_;
  std::string_view bytes_;
  uint64_t number_ = 0;
  uint8_t tag_ = 0;
  bool broken_ = false;
};

absl::Status Broken(std::string_view what) {
  return status::Error(
      absl::StatusCode::kDataLoss, "STORED_TASK_BROKEN",
      absl::StrCat("what Redis holds as the ", absl::string_view(what.data(), what.size()),
                   " of a task is not that; does something else write there?"));
}

void WriteCard(const TaskRecord& task, std::string& out) {
  Writer w(out);
  w.Bytes(kCardType, task.task_type);
  w.Number(kCardPriority, static_cast<uint64_t>(task.priority));
  w.Bytes(kCardOwner, task.owner);
  w.Bytes(kCardTenant, task.tenant);
  // Most are ours, and half as long as bytes.
  if (const std::string uuid = PackId(task.correlation_id); !uuid.empty()) {
    w.Always(kCardCorrelationUuid, uuid);
  } else {
    w.Bytes(kCardCorrelationId, task.correlation_id);
  }
  if (const std::string trace = PackTraceparent(task.traceparent); !trace.empty()) {
    w.Always(kCardTrace, trace);
  } else {
    w.Bytes(kCardTraceparent, task.traceparent);
  }
  for (const auto& [key, value] : task.labels) {
    w.Always(kCardLabelKey, key);
    w.Always(kCardLabelValue, value);
  }
  w.Time(kCardCreatedAt, task.created_at);
  w.Number(kCardMaxAttempts, static_cast<uint64_t>(task.max_attempts));
  w.Duration(kCardExpiresIn, task.expires_in);
  w.Duration(kCardAttemptDeadline, task.attempt_deadline);
  w.Duration(kCardResultTtl, task.result_ttl);
  w.Bytes(kCardUniqueKey, task.unique_key);
  w.Bytes(kCardConcurrencyKey, task.concurrency_key);
  for (const std::string& id : task.depends_on) w.Always(kCardDependsOn, PackId(id));
  w.Time(kCardRunAt, task.run_at);
}

absl::Status ReadCard(std::string_view card, TaskRecord& task) {
  Reader r(card);
  std::string label;
  while (r.Next()) {
    switch (r.tag()) {
      case kCardType:
        task.task_type = r.text();
        break;
      case kCardPriority:
        task.priority = static_cast<TaskPriority>(r.number());
        break;
      case kCardOwner:
        task.owner = r.text();
        break;
      case kCardTenant:
        task.tenant = r.text();
        break;
      case kCardCorrelationId:
        task.correlation_id = r.text();
        break;
      case kCardTraceparent:
        task.traceparent = r.text();
        break;
      case kCardCorrelationUuid:
        task.correlation_id = UnpackId(r.bytes());
        break;
      case kCardTrace:
        task.traceparent = UnpackTraceparent(r.bytes());
        break;
      case kCardLabelKey:
        label = r.text();
        break;
      case kCardLabelValue:
        task.labels[label] = r.text();
        break;
      case kCardCreatedAt:
        task.created_at = r.time();
        break;
      case kCardMaxAttempts:
        task.max_attempts = static_cast<int>(r.number());
        break;
      case kCardExpiresIn:
        task.expires_in = r.duration();
        break;
      case kCardAttemptDeadline:
        task.attempt_deadline = r.duration();
        break;
      case kCardResultTtl:
        task.result_ttl = r.duration();
        break;
      case kCardUniqueKey:
        task.unique_key = r.text();
        break;
      case kCardConcurrencyKey:
        task.concurrency_key = r.text();
        break;
      case kCardDependsOn:
        task.depends_on.push_back(UnpackId(r.bytes()));
        break;
      case kCardRunAt:
        task.run_at = r.time();
        break;
      default:
        break;
    }
  }
  return r.broken() ? Broken("body") : absl::OkStatus();
}

void WriteState(const Stored& stored, bool with_result, std::string& out) {
  const TaskRecord& task = stored.task;
  Writer w(out);
  w.Number(kStateStatus, static_cast<uint64_t>(task.status));
  w.Number(kStateProgress, static_cast<uint64_t>(task.progress));
  w.Bytes(kStateProgressMessage, task.progress_message);
  if (task.error) {
    w.Always(kStateErrorReason, task.error->reason);
    w.Bytes(kStateErrorMessage, task.error->message);
    w.Number(kStateErrorRetryable, task.error->retryable ? 1 : 0);
  }
  w.Number(kStateAttempt, static_cast<uint64_t>(task.attempt));
  for (const TaskArtifact& artifact : task.artifacts) {
    w.Always(kStateArtifactId, artifact.artifact_id);
    w.Bytes(kStateArtifactName, artifact.name);
    w.Bytes(kStateArtifactContentType, artifact.content_type);
    w.Number(kStateArtifactSize, static_cast<uint64_t>(artifact.size_bytes));
  }
  if (task.usage) {
    // One more, so that a usage of nothing is told from none.
    w.Number(kStateCost, static_cast<uint64_t>(task.usage->cost_usd_micros) + 1);
    w.Number(kStateInputTokens, static_cast<uint64_t>(task.usage->input_tokens));
    w.Number(kStateOutputTokens, static_cast<uint64_t>(task.usage->output_tokens));
  }
  w.Time(kStateReadyAt, task.ready_at);
  w.Time(kStateRunAt, task.run_at);
  w.Time(kStateNextRunAt, task.next_run_at);
  w.Time(kStateStartedAt, task.started_at);
  w.Time(kStateFinishedAt, task.finished_at);
  w.Time(kStateExpiresAt, task.expires_at);
  w.Number(kStateLeaseEpoch, static_cast<uint64_t>(task.lease_epoch));
  w.Bytes(kStateSessionId, task.session_id);
  w.Time(kStateAttemptDeadlineAt, task.attempt_deadline_at);
  w.Number(kStateReportedEpoch, static_cast<uint64_t>(task.reported_epoch));
  w.Number(kStateReportedKind, static_cast<uint64_t>(task.reported_kind));
  w.Number(kStateLostLeases, static_cast<uint64_t>(task.lost_leases_count));
  for (const std::string& id : task.waits_for) w.Always(kStateWaitsFor, PackId(id));
  w.Number(kStateHasDependents, stored.has_dependents ? 1 : 0);
  w.Number(kStateLimited, stored.limited ? 1 : 0);
  if (with_result && task.result != nullptr) w.Always(kStateResult, *task.result);
}

absl::Status ReadState(std::string_view state, Stored& stored) {
  TaskRecord& task = stored.task;
  task.ready_at = absl::InfiniteFuture();
  task.expires_at = absl::InfiniteFuture();
  task.run_at.reset();
  Reader r(state);
  while (r.Next()) {
    switch (r.tag()) {
      case kStateStatus:
        task.status = static_cast<TaskStatus>(r.number());
        break;
      case kStateProgress:
        task.progress = static_cast<int>(r.number());
        break;
      case kStateProgressMessage:
        task.progress_message = r.text();
        break;
      case kStateErrorReason:
        task.error.emplace().reason = r.text();
        break;
      case kStateErrorMessage:
        if (task.error) task.error->message = r.text();
        break;
      case kStateErrorRetryable:
        if (task.error) task.error->retryable = true;
        break;
      case kStateAttempt:
        task.attempt = static_cast<int>(r.number());
        break;
      case kStateArtifactId:
        task.artifacts.emplace_back().artifact_id = r.text();
        break;
      case kStateArtifactName:
        if (!task.artifacts.empty()) task.artifacts.back().name = r.text();
        break;
      case kStateArtifactContentType:
        if (!task.artifacts.empty()) task.artifacts.back().content_type = r.text();
        break;
      case kStateArtifactSize:
        if (!task.artifacts.empty()) task.artifacts.back().size_bytes = r.number();
        break;
      case kStateCost:
        task.usage.emplace().cost_usd_micros = r.number() - 1;
        break;
      case kStateInputTokens:
        if (task.usage) task.usage->input_tokens = r.number();
        break;
      case kStateOutputTokens:
        if (task.usage) task.usage->output_tokens = r.number();
        break;
      case kStateReadyAt:
        task.ready_at = r.time();
        break;
      case kStateRunAt:
        task.run_at = r.time();
        break;
      case kStateNextRunAt:
        task.next_run_at = r.time();
        break;
      case kStateStartedAt:
        task.started_at = r.time();
        break;
      case kStateFinishedAt:
        task.finished_at = r.time();
        break;
      case kStateExpiresAt:
        task.expires_at = r.time();
        break;
      case kStateLeaseEpoch:
        task.lease_epoch = r.number();
        break;
      case kStateSessionId:
        task.session_id = r.text();
        break;
      case kStateAttemptDeadlineAt:
        task.attempt_deadline_at = r.time();
        break;
      case kStateReportedEpoch:
        task.reported_epoch = r.number();
        break;
      case kStateReportedKind:
        task.reported_kind = static_cast<ReportKind>(r.number());
        break;
      case kStateLostLeases:
        task.lost_leases_count = static_cast<int>(r.number());
        break;
      case kStateWaitsFor:
        task.waits_for.push_back(UnpackId(r.bytes()));
        break;
      case kStateHasDependents:
        stored.has_dependents = true;
        break;
      case kStateLimited:
        stored.limited = true;
        break;
      case kStateResult:
        task.result = MakeBytes(r.text());
        break;
      default:
        break;
    }
  }
  return r.broken() ? Broken("state") : absl::OkStatus();
}

constexpr size_t kStateHeaderBytes = kFenceBytes + 4;
constexpr size_t kLeaseHeaderBytes = kFenceBytes + 8;

}  // namespace

std::string EncodeBody(const TaskRecord& task) {
  std::string out(4, '\0');
  out.reserve(192 + static_cast<size_t>(SizeOf(task.args)));
  WriteCard(task, out);
  out.replace(0, 4, Number(out.size() - 4, 4));
  if (task.args != nullptr) out.append(*task.args);
  return out;
}

std::string FenceOf(const TaskRecord& task) {
  return "S" + Number(static_cast<uint64_t>(task.version), 8);
}

std::string EncodeState(const Stored& stored) {
  std::string out;
  out.reserve(128 + static_cast<size_t>(SizeOf(stored.task.result)));
  out += FenceOf(stored.task);
  AppendNumber(out, stored.place, 4);
  WriteState(stored, true, out);
  return out;
}

absl::Status Decode(std::string_view id, std::string_view body, std::string_view state,
                    Stored& stored) {
  if (body.size() < 4) return Broken("body");
  const size_t card_bytes = ReadNumber(body.substr(0, 4));
  if (card_bytes > body.size() - 4) return Broken("body");
  TaskRecord& task = stored.task;
  task.task_id = UnpackId(id);
  if (absl::Status read = ReadCard(body.substr(4, card_bytes), task); !read.ok()) return read;
  task.args = MakeBytes(std::string(body.substr(4 + card_bytes)));
  stored.fence = std::string(state.substr(0, kFenceBytes));
  // As submitted.
  task.status = TaskStatus::kPending;
  task.version = 1;
  task.ready_at = task.created_at;
  task.expires_at = task.created_at + task.expires_in;
  if (state.empty()) return absl::OkStatus();

  std::string_view lease;
  if (state[0] == 'L') {
    if (state.size() < kLeaseHeaderBytes) return Broken("lease");
    const size_t length = kLeaseHeaderBytes + static_cast<uint8_t>(state[kLeaseHeaderBytes - 1]);
    if (length > state.size()) return Broken("lease");
    lease = state.substr(0, length);
    state.remove_prefix(length);
  }
  if (!state.empty()) {
    if (state[0] != 'S' || state.size() < kStateHeaderBytes) return Broken("state");
    task.version = static_cast<int64_t>(ReadNumber(state.substr(1, 8)));
    stored.place = static_cast<uint32_t>(ReadNumber(state.substr(kFenceBytes, 4)));
    if (absl::Status read = ReadState(state.substr(kStateHeaderBytes), stored); !read.ok()) {
      return read;
    }
  }
  if (!lease.empty()) {
    const absl::Time at =
        absl::FromUnixMillis(static_cast<int64_t>(ReadNumber(lease.substr(kFenceBytes, 6))));
    absl::Status leased = task_state::Lease(task, lease.substr(kLeaseHeaderBytes), at);
    if (!leased.ok()) return leased;
    task.lease_epoch = static_cast<int64_t>(ReadNumber(lease.substr(1, 8)));
    stored.limited = lease[kFenceBytes + 6] != 0;
  }
  return absl::OkStatus();
}

std::string EncodeLease(int64_t epoch, absl::Time at, bool limited, std::string_view session_id) {
  std::string out = "L" + Number(static_cast<uint64_t>(epoch), 8);
  out += Number(static_cast<uint64_t>(absl::ToUnixMillis(at)), 6);
  out.push_back(limited ? 1 : 0);
  out.push_back(static_cast<char>(session_id.size()));
  out.append(session_id);
  return out;
}

std::string EncodeLaneElement(const TaskRecord& task, uint32_t place) {
  std::string out;
  out.reserve(kLaneElementBytes);
  out += PackId(task.task_id);
  AppendNumber(out, static_cast<uint64_t>(task.version), 8);
  AppendNumber(out, static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixMillis(task.ready_at))),
               6);
  out.push_back(static_cast<char>(task.attempt + 1));
  const bool expires = task.expires_at != absl::InfiniteFuture();
  AppendNumber(out, expires ? static_cast<uint64_t>(absl::ToUnixMillis(task.expires_at)) : 0, 6);
  AppendNumber(out, place, 4);
  return out;
}

uint32_t PlaceOfLaneElement(std::string_view element) {
  return static_cast<uint32_t>(ReadNumber(element.substr(kLaneElementBytes - 4, 4)));
}

// --- the outbox

std::string EncodeEvent(std::string_view type, const Stored& stored) {
  std::string body;
  WriteCard(stored.task, body);
  std::string out = "E";
  out += PackId(stored.task.task_id);
  out += Number(static_cast<uint64_t>(stored.task.version), 8);
  out.push_back(static_cast<char>(type.size()));
  out.append(type);
  out += Number(body.size(), 4);
  out += body;
  WriteState(stored, false, out);
  return out;
}

std::string EncodeSuccesses(const std::vector<std::string>& ids) {
  std::string out = "D";
  for (const std::string& id : ids) out += id;
  return out;
}

absl::StatusOr<OutboxElement> DecodeOutboxElement(std::string_view element) {
  OutboxElement out;
  if (element.empty()) return Broken("event");
  const char kind = element[0];
  element.remove_prefix(1);
  if (kind == 'D' && element.size() % kIdBytes == 0) {
    out.kind = OutboxElement::Kind::kSuccesses;
    for (size_t i = 0; i < element.size(); i += kIdBytes) {
      out.ids.emplace_back(element.substr(i, kIdBytes));
    }
    return out;
  }
  if (kind == 'L' && element.size() >= kLeaseHeaderBytes - 1) {
    out.kind = OutboxElement::Kind::kStarts;
    out.epoch = static_cast<int64_t>(ReadNumber(element.substr(0, 8)));
    out.at = absl::FromUnixMillis(static_cast<int64_t>(ReadNumber(element.substr(8, 6))));
    const size_t length = static_cast<uint8_t>(element[15]);
    if (element.size() < 16 + length) return Broken("event");
    out.session_id = std::string(element.substr(16, length));
    element.remove_prefix(16 + length);
    if (element.size() % kLaneElementBytes != 0) return Broken("event");
    for (; !element.empty(); element.remove_prefix(kLaneElementBytes)) {
      out.starts.push_back({std::string(element.substr(0, kIdBytes)),
                            static_cast<int64_t>(ReadNumber(element.substr(16, 8))) + 1,
                            static_cast<uint8_t>(element[30])});
    }
    return out;
  }
  if (kind != 'E' || element.size() < 29) return Broken("event");
  Stored stored;
  stored.task.task_id = UnpackId(element.substr(0, kIdBytes));
  stored.task.version = static_cast<int64_t>(ReadNumber(element.substr(kIdBytes, 8)));
  const size_t type_bytes = static_cast<uint8_t>(element[24]);
  if (element.size() < 29 + type_bytes) return Broken("event");
  out.type = std::string(element.substr(25, type_bytes));
  const size_t card_bytes = ReadNumber(element.substr(25 + type_bytes, 4));
  element.remove_prefix(29 + type_bytes);
  if (card_bytes > element.size()) return Broken("event");
  absl::Status read = ReadCard(element.substr(0, card_bytes), stored.task);
  if (read.ok()) read = ReadState(element.substr(card_bytes), stored);
  if (!read.ok()) return read;
  out.task = std::move(stored.task);
  return out;
}

}  // namespace slipstream::task_queue::redis_codec
