// How many threads wait for gRPC's events in this process.
//
// gRPC 1.51's callback API has max(2, cores / 2) threads in grpc_completion_queue_next. One of them
// at a time waits in epoll, takes one event, hands the waiting over to the next thread and only
// then works: with few of them every event costs a wake-up and two changes of threads. It also naps
// for 100 ms when a thread has had nothing for a second, and a call that comes then waits.
//
// Linking //libs/rpc puts a grpc_completion_queue_next of our own in front of gRPC's: of each
// queue's threads half stay out of it (at least one is in) until the queue is shut down, and none
// naps. Queues that are not the callback API's are left alone. So nothing may block in a callback
// for another callback's sake; with stock gRPC that would be as wrong, and rarer.
//
// The queue ends with the process's last channel or server, which waits for the queue's threads. A
// callback may hold that channel last: the threads that stayed out are let go, and its own does not
// look at the queue again, which is gone by then (gRPC alone would).
#ifndef LIBS_RPC_POLLING_H_
#define LIBS_RPC_POLLING_H_

namespace slipstream::rpc {

// Threads of a queue that wait or work at a time: half of gRPC's own number.
int MaxPollingCount();

struct PollingFigures {
  int waiting_count = 0;  // threads in gRPC's own function, now or between two calls of it
  int parked_count = 0;   // threads kept out of it
};
// Of all callback queues of the process. Any thread.
PollingFigures Polling();

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_POLLING_H_
