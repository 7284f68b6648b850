// The notification service's own binary.
#include "libs/service/main.h"

#include "services/notification/notification_module.h"

int main(int argc, char** argv) {
  return slipstream::service::Main(argc, argv, {.name = "notification"},
                                   {slipstream::notification::MakeNotificationModule});
}
