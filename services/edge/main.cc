#include "libs/service/main.h"

#include "services/edge/edge_module.h"

int main(int argc, char** argv) {
  return slipstream::service::Main(argc, argv, {.name = "edge"},
                                   {slipstream::edge::MakeEdgeModule});
}
