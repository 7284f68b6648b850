#include "libs/redis/redis_fixture.h"
