// The bootstrap of every gRPC server of the suite: health, reflection, channelz, keepalive, limits
// and graceful drain.
//
// Life: construct, AddService for each, Start, SetServing(true), ... SetServing(false), Shutdown.
// Thread safety: Start, Shutdown and the destructor from the owner; the rest from any thread.
#ifndef LIBS_RPC_SERVER_H_
#define LIBS_RPC_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace grpc {
class Channel;
class Service;
}  // namespace grpc

namespace slipstream::rpc {

struct ServerOptions {
  std::string address = "127.0.0.1:0";
  bool reflection = false;
  // A second server on a free loopback port: channelz bypasses the chain, so it is never served
  // beside the traffic.
  bool channelz = false;
  int max_message_bytes = 4 << 20;
  absl::Duration keepalive_time = absl::Seconds(30);
  absl::Duration keepalive_timeout = absl::Seconds(10);
};

class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // REQUIRES: not started; `service` outlives the server.
  void AddService(grpc::Service* service);

  // UNAVAILABLE when the address can't be bound: the message names it.
  absl::Status Start();

  int port() const { return port_; }
  // "127.0.0.1:port"-style address that this process's own clients dial.
  std::string LocalAddress() const;
  // 0 when channelz is off.
  int channelz_port() const { return channelz_port_; }

  // What grpc.health.v1 answers, for the server as a whole and for each service.
  void SetServing(bool serving);

  // Refuses new calls, lets those in progress end until `grace` is over, then cancels them.
  void Shutdown(absl::Duration grace);

 private:
  struct Impl;
  const ServerOptions options_;
  std::unique_ptr<Impl> impl_;
  int port_ = 0;
  int channelz_port_ = 0;
};

}  // namespace slipstream::rpc

#endif  // LIBS_RPC_SERVER_H_
