// Structured logs: one JSON object per line, on stderr (fd 2) in a server.
//
//   logger.Info("task leased", {{"task_id", id}, {"attempt", attempt}});
//   {"time":"2026-01-02T03:04:05.678Z","level":"info","message":"task
//   leased","service":...,"task_id":...}
//
// There is no global logger: main() opens one and hands it around by value; With() adds fields to
// every line of the copy. A copy is cheap (a pointer and the bound fields), and every member is
// safe to call from any thread.
//
// Callers never wait for the output: a line is formatted on the caller's thread, put into a queue
// of kMaxQueuedLines and written by one thread of the log's own. When the reader of stderr is slow
// the oldest lines are dropped, counted in dropped_count(), and a line says how many were once the
// reader is back. With Options::synchronous (tests, command line tools) a line is written before
// the call returns.
//
// Secrets: the value of a field whose name says it is one (password, token, secret, authorization,
// cookie, private_key, api_key; also as the last part of a name, as in smtp_password) is written as
// ***. That is a second line of defence; callers do not log secrets or task arguments.
#ifndef SLIPSTREAM_LIBS_LOGGING_LOGGER_H_
#define SLIPSTREAM_LIBS_LOGGING_LOGGER_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace slipstream::clock {
class Clock;
}

namespace slipstream::logging {

// A line, with its newline, always fits one atomic write to a pipe (PIPE_BUF), so lines of several
// processes on one stderr never mix. Longer ones lose their last fields and carry "truncated":true.
inline constexpr std::size_t kMaxLineBytes = 4096;
// A longer value is cut and ends in "...".
inline constexpr std::size_t kMaxValueBytes = 1024;
inline constexpr std::size_t kMaxQueuedLines = 4096;

enum class Level { kDebug, kInfo, kWarning, kError, kOff };

// "debug", "info", "warning", "error" or "off"; false for anything else.
bool ParseLevel(std::string_view name, Level* level);

// Field names with a meaning across the suite.
inline constexpr std::string_view kTraceId = "trace_id";
inline constexpr std::string_view kSpanId = "span_id";
inline constexpr std::string_view kCorrelationId = "correlation_id";
inline constexpr std::string_view kService = "service";

// One key and value of a line. It only refers to its text: pass it to a call, do not keep it.
struct Field {
  Field(std::string_view k, bool v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  Field(std::string_view k, absl::string_view v)
      : key(k), value(std::string_view(v.data(), v.size())) {}
  // Written as "CODE: message".
  Field(std::string_view k, const absl::Status& v) : key(k), value(&v) {}
  template <std::signed_integral T>
  Field(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  Field(std::string_view k, T v) : key(k), value(static_cast<std::uint64_t>(v)) {}
  template <std::floating_point T>
  Field(std::string_view k, T v) : key(k), value(static_cast<double>(v)) {}

  std::string_view key;
  std::variant<bool, std::int64_t, std::uint64_t, double, std::string_view, const absl::Status*>
      value;
};
using Fields = std::initializer_list<Field>;

class LogSink;  // Where lines go; see log_sink.h.

// kJson is for machines and the default; kText, for a person at a terminal, is
// `TIME LEVEL message {"field":...}` with the same escaping, on one line too.
enum class Format { kJson, kText };

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kJson;
  bool synchronous = false;
};

class Logger {
 public:
  // Drops everything; for code that was given no logger.
  Logger();

  // Lines to a file descriptor, which stays the caller's. `clock` outlives every copy.
  static Logger ToFd(int fd, const clock::Clock& clock, Options options = {});
  static Logger ToSink(std::shared_ptr<LogSink> sink, const clock::Clock& clock,
                       Options options = {});

  // A logger whose lines carry `fields` too, after those that this one already carries.
  Logger With(Fields fields) const;
  // The identifiers of one call; empty ones are left out.
  Logger WithCall(std::string_view trace_id, std::string_view span_id,
                  std::string_view correlation_id) const;

  void Debug(std::string_view message, Fields fields = {}) const {
    if (Enabled(Level::kDebug)) Write(Level::kDebug, message, fields);
  }
  void Info(std::string_view message, Fields fields = {}) const {
    if (Enabled(Level::kInfo)) Write(Level::kInfo, message, fields);
  }
  void Warning(std::string_view message, Fields fields = {}) const {
    if (Enabled(Level::kWarning)) Write(Level::kWarning, message, fields);
  }
  void Error(std::string_view message, Fields fields = {}) const {
    if (Enabled(Level::kError)) Write(Level::kError, message, fields);
  }

  bool Enabled(Level level) const;
  // For all copies of this logger.
  void SetLevel(Level level) const;
  // Asks for the queued lines to be written; does not wait. The last copy's destructor does: for
  // at most about a second when nobody reads.
  void Flush() const;
  // Lines lost since the log was opened, in the queue or because nobody read the descriptor.
  std::uint64_t dropped_count() const;

 private:
  class Core;
  explicit Logger(std::shared_ptr<Core> core);

  void Write(Level level, std::string_view message, Fields fields) const;

  std::shared_ptr<Core> core_;  // null: drops everything
  std::string bound_;           // the JSON of With()'s fields, each with a leading comma
};

}  // namespace slipstream::logging

#endif  // SLIPSTREAM_LIBS_LOGGING_LOGGER_H_
