#include "tests/chaos/ledger_publisher.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "libs/rpc/channel.h"

namespace slipstream::chaos {

namespace {

namespace v1 = slipstream::notification::v1;

constexpr size_t kBatchCount = 64;
constexpr auto kCallTimeout = std::chrono::seconds(3);

void Sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

}  // namespace

LedgerPublisher::LedgerPublisher(PublisherOptions options, std::vector<Topic*> topics,
                                 std::function<void(const std::string& what)> violation)
    : options_(std::move(options)), violation_(std::move(violation)), random_(options_.seed) {
  for (Topic* topic : topics) {
    order_.insert(order_.end(), static_cast<size_t>(topic->wanted_count), topic);
  }
  std::shuffle(order_.begin(), order_.end(), random_);
  limit_count_ = order_.size();
  for (const std::string& server : options_.servers) {
    stubs_.push_back(v1::NotificationService::NewStub(rpc::MakeChannel(server)));
  }
}

LedgerPublisher::~LedgerPublisher() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void LedgerPublisher::Start() {
  thread_ = std::thread([this] { Run(); });
}

void LedgerPublisher::Run() {
  for (size_t next = 0; next < order_.size() && !stop_;) {
    idle_ = true;
    while ((paused_ || next >= limit_count_) && !stop_) Sleep(0.01);
    idle_ = false;
    // Paused again between the two looks: the next batch is then the last one before the pause.
    if (paused_) continue;
    const size_t end = std::min(order_.size(), next + kBatchCount);
    v1::PublishManyRequest request;
    for (size_t i = next; i < end; ++i) {
      Topic& topic = *order_[i];
      const int64_t number = ++topic.published.begun_count;
      auto& event = *request.add_events();
      event.set_channel(topic.channel);
      event.set_type(topic.type);
      event.set_idempotency_key(absl::StrCat(number));
      if (topic.type != "budget_alert") event.set_task_id(absl::StrCat("task-", number));
      (*event.mutable_payload()->mutable_fields())["number"].set_number_value(
          static_cast<double>(number));
    }
    Insist(request);
    if (stop_) break;
    for (size_t i = next; i < end; ++i) ++order_[i]->published.acknowledged_count;
    Sleep(static_cast<double>(end - next) / options_.rate);
    next = end;
  }
  idle_ = true;
  done_ = true;
}

void LedgerPublisher::Insist(const v1::PublishManyRequest& request) {
  while (!stop_) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + options_.token);
    context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    v1::PublishManyResponse response;
    auto& stub = stubs_[std::uniform_int_distribution<size_t>(0, stubs_.size() - 1)(random_)];
    const grpc::Status status = stub->PublishMany(&context, request, &response);
    if (status.ok()) return;
    if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT ||
        status.error_code() == grpc::StatusCode::PERMISSION_DENIED ||
        status.error_code() == grpc::StatusCode::UNAUTHENTICATED) {
      violation_("a publish was refused: " + status.error_message());
      return;
    }
    ++repeated_count_;
    Sleep(std::uniform_real_distribution<double>(0.02, 0.2)(random_));
  }
}

}  // namespace slipstream::chaos
