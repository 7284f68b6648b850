// ScheduleService: designed and announced, not built yet. Every call that auth lets through is
// answered UNIMPLEMENTED with reason NOT_BUILT_YET.
//
// Thread safety: as gRPC calls it, from many threads at once.
#ifndef SERVICES_TASK_QUEUE_SCHEDULE_SCHEDULE_SERVICE_H_
#define SERVICES_TASK_QUEUE_SCHEDULE_SCHEDULE_SERVICE_H_

#include <string>
#include <utility>

#include "libs/rpc/handler.h"
#include "libs/status/status.h"
#include "slipstream/schedule/v1/schedule.grpc.pb.h"

namespace slipstream::schedule {

class ScheduleService final : public v1::ScheduleService::CallbackService {
 public:
  ScheduleService(const rpc::Dispatcher& dispatcher, rpc::MethodTable methods)
      : rpc_(dispatcher, std::move(methods)) {}

  grpc::ServerUnaryReactor* GetNextRuns(grpc::CallbackServerContext* context,
                                        const v1::GetNextRunsRequest* request,
                                        v1::GetNextRunsResponse* response) override {
    return Refuse("GetNextRuns", context, request, response);
  }
  grpc::ServerUnaryReactor* ValidateSchedule(grpc::CallbackServerContext* context,
                                             const v1::ValidateScheduleRequest* request,
                                             v1::ValidateScheduleResponse* response) override {
    return Refuse("ValidateSchedule", context, request, response);
  }
  grpc::ServerUnaryReactor* CreateSchedule(grpc::CallbackServerContext* context,
                                           const v1::CreateScheduleRequest* request,
                                           v1::Schedule* response) override {
    return Refuse("CreateSchedule", context, request, response);
  }
  grpc::ServerUnaryReactor* BatchCreateSchedules(
      grpc::CallbackServerContext* context, const v1::BatchCreateSchedulesRequest* request,
      v1::BatchCreateSchedulesResponse* response) override {
    return Refuse("BatchCreateSchedules", context, request, response);
  }
  grpc::ServerUnaryReactor* GetSchedule(grpc::CallbackServerContext* context,
                                        const v1::GetScheduleRequest* request,
                                        v1::Schedule* response) override {
    return Refuse("GetSchedule", context, request, response);
  }
  grpc::ServerUnaryReactor* ListSchedules(grpc::CallbackServerContext* context,
                                          const v1::ListSchedulesRequest* request,
                                          v1::ListSchedulesResponse* response) override {
    return Refuse("ListSchedules", context, request, response);
  }
  grpc::ServerUnaryReactor* UpdateSchedule(grpc::CallbackServerContext* context,
                                           const v1::UpdateScheduleRequest* request,
                                           v1::Schedule* response) override {
    return Refuse("UpdateSchedule", context, request, response);
  }
  grpc::ServerUnaryReactor* DeleteSchedule(grpc::CallbackServerContext* context,
                                           const v1::DeleteScheduleRequest* request,
                                           google::protobuf::Empty* response) override {
    return Refuse("DeleteSchedule", context, request, response);
  }
  grpc::ServerUnaryReactor* GetScheduleStats(grpc::CallbackServerContext* context,
                                             const v1::GetScheduleStatsRequest* request,
                                             v1::GetScheduleStatsResponse* response) override {
    return Refuse("GetScheduleStats", context, request, response);
  }

 private:
  template <class Request, class Response>
  grpc::ServerUnaryReactor* Refuse(std::string method, grpc::CallbackServerContext* context,
                                   const Request* request, Response* response) {
    return rpc_.Unary(method, context, request, response,
                      [method](rpc::CallContext&, const Request&, Response*) {
                        return status::NotBuiltYet("ScheduleService." + method);
                      });
  }

  rpc::Endpoint rpc_;
};

}  // namespace slipstream::schedule

#endif  // SERVICES_TASK_QUEUE_SCHEDULE_SCHEDULE_SERVICE_H_
