// SimStream: the bidi stream between a simulated worker and a simulated server, as the wire would
// have it: messages arrive in order and late, or not at all once it breaks; its two ends learn of
// the break at different times.
//
// Thread safety: none.
#ifndef SERVICES_TASK_QUEUE_SIMULATION_SIM_STREAM_H_
#define SERVICES_TASK_QUEUE_SIMULATION_SIM_STREAM_H_

#include <memory>
#include <string>
#include <vector>

#include "services/task_queue/simulation/faults.h"
#include "services/task_queue/simulation/scheduler.h"
#include "services/task_queue/worker_sessions.h"
#include "slipstream/task_queue/v1/worker.pb.h"

namespace slipstream::task_queue::simulation {

using v1::WorkRequest;
using v1::WorkResponse;

class SimStream final : public WorkerSink, public std::enable_shared_from_this<SimStream> {
 public:
  // What an end hears. It outlives the stream's events of its owner.
  class End {
   public:
    virtual ~End() = default;
    virtual void OnGone(const std::shared_ptr<SimStream>& stream) = 0;
  };
  class ServerEnd : public End {
   public:
    virtual void OnRequest(const std::shared_ptr<SimStream>& stream, WorkRequest request) = 0;
  };
  class WorkerEnd : public End {
   public:
    virtual void OnResponse(const std::shared_ptr<SimStream>& stream, WorkResponse response) = 0;
  };

  SimStream(Scheduler& scheduler, ServerEnd& server, Owner server_owner, WorkerEnd& worker,
            Owner worker_owner, std::string user)
      : scheduler_(scheduler),
        server_{&server, server_owner},
        worker_{&worker, worker_owner},
        user_(std::move(user)),
        number_(scheduler.NewOwner()) {}

  const std::string& user() const { return user_; }
  // The order of streams must not follow from where they are in memory.
  struct Older {
    bool operator()(const std::shared_ptr<SimStream>& a,
                    const std::shared_ptr<SimStream>& b) const {
      return a->number_ < b->number_;
    }
  };

  // --- the worker's half
  void SendToServer(WorkRequest request, absl::Duration later = absl::ZeroDuration());
  // --- the server's half; messages before Open wait for the welcome
  void Open(WorkResponse welcome);
  bool SendToWorker(WorkResponse response);
  bool Assign(const std::vector<TaskRecord>& tasks) override;
  void Cancel(const LeaseKey& lease, std::string_view reason) override;
  void Drain(absl::Duration grace) override;
  void Close() override;  // by the server

  // The network, or one end's process, is gone. `server_hears`: it may hear nothing for as long as
  // nothing is sent.
  void Break(bool server_hears);
  void WorkerDied(bool server_hears);
  void ServerDied();

  bool broken() const { return broken_; }
  absl::Time opened_at() const { return opened_at_; }
  Owner server_owner() const { return server_.owner; }

  // Kept by the server's conversation.
  std::string session_id;

 private:
  template <class T>
  struct Side {
    T* end;
    Owner owner;
    absl::Time next = absl::InfinitePast();  // nothing arrives before what was sent earlier
    bool gone = false;                       // it knows, or is dead
  };
  template <class T>
  absl::Duration Delay(Side<T>& side);
  template <class T>
  void Tell(Side<T>& side);

  Scheduler& scheduler_;
  Side<ServerEnd> server_;
  Side<WorkerEnd> worker_;
  const std::string user_;
  const int number_;
  bool opened_ = false;
  bool broken_ = false;
  absl::Time opened_at_ = absl::InfiniteFuture();
  std::vector<WorkResponse> waiting_;
};

}  // namespace slipstream::task_queue::simulation

#endif  // SERVICES_TASK_QUEUE_SIMULATION_SIM_STREAM_H_
