// A port for a server that a test starts.
#ifndef TESTS_HARNESS_FREE_PORT_H_
#define TESTS_HARNESS_FREE_PORT_H_

namespace slipstream::tests {

// A port of loopback that was free a moment ago, at random below the ports that the kernel gives
// to clients (net.ipv4.ip_local_port_range begins at 32768): a server that is killed and started
// again finds its port as it left it. 0: none was found. Any thread.
int FreePort();

}  // namespace slipstream::tests

#endif  // TESTS_HARNESS_FREE_PORT_H_
