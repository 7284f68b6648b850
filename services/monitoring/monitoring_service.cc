#include "services/monitoring/monitoring_service.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/audit/audit_message.h"
#include "libs/rpc/handler.h"
#include "libs/status/status.h"
#include "services/monitoring/audit_message.h"
#include "services/monitoring/monitoring_metrics.h"
#include "slipstream/monitoring/v1/monitoring.grpc.pb.h"

namespace slipstream::monitoring {

namespace {

constexpr char kVersion[] = "0.1.0";
constexpr int kDefaultPageSize = 50;

}  // namespace

class MonitoringService::Adapter final : public v1::MonitoringService::CallbackService {
 public:
  explicit Adapter(Deps deps)
      : deps_(std::move(deps)),
        recorded_(deps_.metrics.Add(kRequestsRecorded).With({})),
        dropped_(deps_.metrics.Add(kRequestsDropped).With({})),
        rpc_(deps_.dispatcher,
             *rpc::MethodTable::ForService("slipstream.monitoring.v1.MonitoringService")) {}

  grpc::ServerUnaryReactor* GetHealth(grpc::CallbackServerContext* c, const v1::GetHealthRequest* q,
                                      v1::GetHealthResponse* p) override {
    return Run("GetHealth", c, q, p, &Adapter::HandleGetHealth);
  }
  grpc::ServerUnaryReactor* GetOverview(grpc::CallbackServerContext* c,
                                        const v1::GetOverviewRequest* q,
                                        v1::GetOverviewResponse* p) override {
    return Run("GetOverview", c, q, p, &Adapter::HandleGetOverview);
  }
  grpc::ServerUnaryReactor* GetMetricsSummary(grpc::CallbackServerContext* c,
                                              const v1::GetMetricsSummaryRequest* q,
                                              v1::GetMetricsSummaryResponse* p) override {
    return Run("GetMetricsSummary", c, q, p, &Adapter::HandleGetMetricsSummary);
  }
  grpc::ServerUnaryReactor* RecordRequests(grpc::CallbackServerContext* c,
                                           const v1::RecordRequestsRequest* q,
                                           v1::RecordRequestsResponse* p) override {
    return Run("RecordRequests", c, q, p, &Adapter::HandleRecordRequests);
  }
  grpc::ServerUnaryReactor* GetLlmHealth(grpc::CallbackServerContext* c,
                                         const v1::GetLlmHealthRequest* q,
                                         v1::GetLlmHealthResponse* p) override {
    return Run("GetLlmHealth", c, q, p, &Adapter::HandleGetLlmHealth);
  }
  grpc::ServerUnaryReactor* ListAuditEntries(grpc::CallbackServerContext* c,
                                             const v1::ListAuditEntriesRequest* q,
                                             v1::ListAuditEntriesResponse* p) override {
    return Run("ListAuditEntries", c, q, p, &Adapter::HandleListAuditEntries);
  }
  grpc::ServerUnaryReactor* RecordAuditEntries(grpc::CallbackServerContext* c,
                                               const v1::RecordAuditEntriesRequest* q,
                                               v1::RecordAuditEntriesResponse* p) override {
    return Run("RecordAuditEntries", c, q, p, &Adapter::HandleRecordAuditEntries);
  }

 private:
  template <class Q, class P>
  grpc::ServerUnaryReactor* Run(std::string_view name, grpc::CallbackServerContext* c, const Q* q,
                                P* p, absl::Status (Adapter::*handle)(const Q&, P*)) {
    return rpc_.Unary(name, c, q, p,
                      [this, handle](rpc::CallContext&, const Q& request, P* response) {
                        return (this->*handle)(request, response);
                      });
  }

  absl::Status HandleGetHealth(const v1::GetHealthRequest&, v1::GetHealthResponse* p) {
    *p = deps_.engine.Health();
    p->set_version(kVersion);
    return absl::OkStatus();
  }

  absl::Status HandleGetOverview(const v1::GetOverviewRequest&, v1::GetOverviewResponse* p) {
    *p = deps_.engine.Overview();
    p->mutable_health()->set_version(kVersion);
    return absl::OkStatus();
  }

  absl::Status HandleGetMetricsSummary(const v1::GetMetricsSummaryRequest& q,
                                       v1::GetMetricsSummaryResponse* p) {
    auto summary = deps_.engine.MetricsSummary(q);
    if (!summary.ok()) return summary.status();
    *p = *std::move(summary);
    return absl::OkStatus();
  }

  absl::Status HandleRecordRequests(const v1::RecordRequestsRequest& q,
                                    v1::RecordRequestsResponse* p) {
    auto recorded = deps_.engine.RecordRequests(q);
    if (!recorded.ok()) return recorded.status();
    *p = *recorded;
    recorded_.Increment(p->accepted_count());
    dropped_.Increment(p->dropped_count());
    return absl::OkStatus();
  }

  absl::Status HandleGetLlmHealth(const v1::GetLlmHealthRequest&, v1::GetLlmHealthResponse* p) {
    *p = deps_.engine.LlmHealth();
    return absl::OkStatus();
  }

  absl::Status HandleListAuditEntries(const v1::ListAuditEntriesRequest& q,
                                      v1::ListAuditEntriesResponse* p) {
    auto query = QueryOf(q);
    if (!query.ok()) return query.status();
    if (q.page_size() == 0) query->max_entry_count = kDefaultPageSize;
    v1::ListAuditEntriesRequest filter = q;
    filter.clear_page_size();
    filter.clear_page_token();
    const std::string filter_text = filter.SerializeAsString();
    auto position = deps_.page_tokens.Decode(q.page_token(), filter_text);
    if (!position.ok()) return position.status();
    if (!position->empty() && !absl::SimpleAtoi(*position, &query->before_sequence)) {
      return status::FieldError("page_token", "is not one of this listing");
    }
    const audit::AuditPage page = deps_.audit.List(*query);
    for (const auto& entry : page.entries) *p->add_entries() = audit::MessageOf(entry);
    if (page.next_before_sequence == 0) return absl::OkStatus();
    auto next = deps_.page_tokens.Encode(absl::StrCat(page.next_before_sequence), filter_text);
    if (!next.ok()) return next.status();
    p->set_next_page_token(*std::move(next));
    return absl::OkStatus();
  }

  absl::Status HandleRecordAuditEntries(const v1::RecordAuditEntriesRequest& q,
                                        v1::RecordAuditEntriesResponse* p) {
    if (absl::Status bad = CheckEntries(q); !bad.ok()) return bad;
    int appended_count = 0;
    for (const auto& entry : q.entries()) appended_count += deps_.audit.Record(EntryOf(entry));
    p->set_appended_count(appended_count);
    return absl::OkStatus();
  }

  const Deps deps_;
  const metrics::Counter recorded_;
  const metrics::Counter dropped_;
  rpc::Endpoint rpc_;
};

MonitoringService::MonitoringService(Deps deps)
    : adapter_(std::make_unique<Adapter>(std::move(deps))) {}
MonitoringService::~MonitoringService() = default;
grpc::Service* MonitoringService::grpc() { return adapter_.get(); }

}  // namespace slipstream::monitoring
