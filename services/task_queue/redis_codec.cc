#include "services/task_queue/redis_codec.h"

#include <algorithm>

#include "services/task_queue/redis_records.h"
#include "services/task_queue/task_state.h"

namespace slipstream::task_queue::redis_codec {

namespace {

constexpr size_t kStateHeaderBytes = kFenceBytes + 4;

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
  out.resize(kIdBytes);
  if (!PackId(task.task_id, out.data())) out.clear();
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

}  // namespace slipstream::task_queue::redis_codec
