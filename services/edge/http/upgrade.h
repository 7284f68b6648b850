// A request that asks for a WebSocket, with the connection that it came on.
#ifndef SERVICES_EDGE_HTTP_UPGRADE_H_
#define SERVICES_EDGE_HTTP_UPGRADE_H_

#include <memory>
#include <string>

namespace slipstream::edge {

// The socket and the parsed request; only http_connection.cc and websocket/ look inside.
struct UpgradeConnection;

struct UpgradeRequest {
  std::shared_ptr<UpgradeConnection> connection;
  std::string path;
  std::string query;
  std::string authorization;  // header, or empty
  std::string websocket_key;  // header, or empty
  std::string origin;         // header, or empty
  std::string host;           // header, or empty
  std::string forwarded_for;  // X-Forwarded-For, or empty
  std::string peer_address;
};

}  // namespace slipstream::edge

#endif  // SERVICES_EDGE_HTTP_UPGRADE_H_
