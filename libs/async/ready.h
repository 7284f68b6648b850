// What a plain function returns where an Async is wanted and there is nothing to wait for.
//
// Thread safety: a free function.
#ifndef LIBS_ASYNC_READY_H_
#define LIBS_ASYNC_READY_H_

#include <utility>

#include "libs/async/async.h"

namespace slipstream::async {

template <class T>
Async<T> Ready(T value) {
  co_return std::move(value);
}

}  // namespace slipstream::async

#endif  // LIBS_ASYNC_READY_H_
