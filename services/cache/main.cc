// The cache service as a process of its own.
#include "libs/service/main.h"

#include "services/cache/cache_module.h"

int main(int argc, char** argv) {
  return slipstream::service::Main(argc, argv, {.name = "cache"},
                                   {slipstream::cache::MakeCacheModule});
}
