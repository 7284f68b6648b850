#include "libs/logging/logger.h"

#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/sink.h>

#include <atomic>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "libs/clock/clock.h"
#include "libs/logging/json_escape.h"
#include "libs/logging/log_sink.h"

namespace slipstream::logging {
namespace {

constexpr std::string_view kTruncated = ",\"truncated\":true";
// RFC 3339 in UTC, with milliseconds.
constexpr char kTimeFormat[] = "%Y-%m-%d%ET%H:%M:%E3SZ";
// Room that a line keeps for its end: kTruncated, the brace and the newline.
constexpr std::size_t kTailBytes = 32;
// With() may fill at most half of a line.
constexpr std::size_t kMaxBoundBytes = kMaxLineBytes / 2;
constexpr std::size_t kMaxKeyBytes = 64;

constexpr std::string_view kSecretNames[] = {"password",      "token",  "secret",      "passwd",
                                             "authorization", "cookie", "private_key", "api_key"};

bool NamesSecret(std::string_view key) {
  for (std::string_view name : kSecretNames) {
    if (!key.ends_with(name)) continue;
    if (key.size() == name.size()) return true;
    const char before = key[key.size() - name.size() - 1];
    if (before == '_' || before == '-' || before == '.') return true;
  }
  return false;
}

std::string_view LevelName(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
    case Level::kOff:
      break;
  }
  return "off";
}

template <typename T>
void AppendNumber(T value, std::string* out) {
  char buffer[40];
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), value);
  out->append(buffer, result.ptr);
}

void AppendText(std::string_view text, std::string* out) {
  *out += '"';
  if (!AppendJsonEscaped(text, out, kMaxValueBytes)) *out += "...";
  *out += '"';
}

struct ValueWriter {
  std::string* out;
  void operator()(bool v) const { *out += v ? "true" : "false"; }
  void operator()(std::int64_t v) const { AppendNumber(v, out); }
  void operator()(std::uint64_t v) const { AppendNumber(v, out); }
  void operator()(double v) const {
    // JSON has no infinities and no NaN.
    if (std::isfinite(v)) {
      AppendNumber(v, out);
    } else {
      *out += std::isnan(v) ? "\"NaN\"" : (v > 0 ? "\"Inf\"" : "\"-Inf\"");
    }
  }
  void operator()(std::string_view v) const { AppendText(v, out); }
  void operator()(const absl::Status* v) const {
    std::string text = absl::StatusCodeToString(v->code());
    if (!v->ok()) {
      text += ": ";
      text.append(v->message().data(), v->message().size());
    }
    AppendText(text, out);
  }
};

// Appends `,"key":value`; takes it back and returns false when `out` would pass `limit`.
bool AppendField(const Field& field, std::size_t limit, std::string* out) {
  const std::size_t before = out->size();
  *out += ",\"";
  AppendJsonEscaped(field.key, out, kMaxKeyBytes);
  *out += "\":";
  if (NamesSecret(field.key)) {
    *out += "\"***\"";
  } else {
    std::visit(ValueWriter{out}, field.value);
  }
  if (out->size() <= limit) return true;
  out->resize(before);
  return false;
}

std::string JsonStart(absl::Time now, Level level, std::string_view message) {
  std::string line = "{\"time\":\"";
  line += absl::FormatTime(kTimeFormat, now, absl::UTCTimeZone());
  line += "\",\"level\":\"";
  line += LevelName(level);
  line += "\",\"message\":";
  AppendText(message, &line);
  return line;
}

std::string TextStart(absl::Time now, Level level, std::string_view message) {
  std::string line = absl::FormatTime(kTimeFormat, now, absl::UTCTimeZone());
  line += ' ';
  line += LevelName(level);
  line += ' ';
  if (!AppendJsonEscaped(message, &line, kMaxValueBytes)) line += "...";
  return line;
}

// Hands spdlog's messages to a LogSink; lines come formatted, so patterns mean nothing here.
class SpdlogAdapter final : public spdlog::sinks::sink {
 public:
  explicit SpdlogAdapter(std::shared_ptr<LogSink> sink) : sink_(std::move(sink)) {}
  void log(const spdlog::details::log_msg& m) override {
    sink_->WriteLine(std::string_view(m.payload.data(), m.payload.size()));
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  const std::shared_ptr<LogSink> sink_;
};

}  // namespace

bool ParseLevel(std::string_view name, Level* level) {
  for (Level l : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError, Level::kOff}) {
    if (name == LevelName(l)) {
      *level = l;
      return true;
    }
  }
  return false;
}

class Logger::Core {
 public:
  Core(std::shared_ptr<LogSink> sink, const clock::Clock& clock, Options options)
      : sink_(std::move(sink)), clock_(clock), format_(options.format), level_(options.level) {
    auto adapter = std::make_shared<SpdlogAdapter>(sink_);
    if (options.synchronous) {
      logger_ = std::make_shared<spdlog::logger>("slipstream", std::move(adapter));
    } else {
      pool_ = std::make_shared<spdlog::details::thread_pool>(kMaxQueuedLines, 1);
      logger_ = std::make_shared<spdlog::async_logger>(
          "slipstream", std::move(adapter), pool_, spdlog::async_overflow_policy::overrun_oldest);
    }
    logger_->set_level(spdlog::level::trace);
    logger_->flush_on(spdlog::level::off);
  }

  bool Enabled(Level level) const { return level >= level_.load(std::memory_order_relaxed); }
  void SetLevel(Level level) { level_.store(level, std::memory_order_relaxed); }
  void Flush() { logger_->flush(); }

  std::uint64_t dropped_count() const {
    return sink_->dropped_count() + (pool_ == nullptr ? 0 : pool_->overrun_counter());
  }

  void Submit(Level level, std::string_view message, std::string_view bound, Fields fields) {
    ReportDropped();
    Post(Line(level, message, bound, fields));
  }

 private:
  // `bound` and each appended field start with a comma.
  std::string Line(Level level, std::string_view message, std::string_view bound,
                   Fields fields) const {
    const bool json = format_ == Format::kJson;
    std::string line =
        json ? JsonStart(clock_.Now(), level, message) : TextStart(clock_.Now(), level, message);
    const std::size_t start = line.size();
    line += bound;
    bool whole = true;
    for (const Field& field : fields) {
      whole = AppendField(field, kMaxLineBytes - kTailBytes, &line) && whole;
    }
    if (!whole) line += kTruncated;
    if (json) {
      line += '}';
    } else if (line.size() > start) {
      line.replace(start, 1, " {");
      line += '}';
    }
    return line;
  }

  void Post(const std::string& line) {
    logger_->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  }

  // Says once how many lines were lost since it was last said.
  void ReportDropped() {
    const std::uint64_t dropped = dropped_count();
    std::uint64_t reported = reported_.load(std::memory_order_relaxed);
    if (dropped <= reported || !reported_.compare_exchange_strong(reported, dropped)) return;
    Post(Line(Level::kWarning, "log lines were dropped: the reader of the log is too slow", "",
              {{"dropped_count", dropped - reported}}));
  }

  const std::shared_ptr<LogSink> sink_;
  const clock::Clock& clock_;
  const Format format_;
  std::atomic<Level> level_;
  std::atomic<std::uint64_t> reported_{0};
  // The logger only refers weakly to the pool: declared in this order, the pool's thread drains
  // the queue and ends while the logger is still there.
  std::shared_ptr<spdlog::logger> logger_;
  std::shared_ptr<spdlog::details::thread_pool> pool_;
};

Logger::Logger() = default;
Logger::Logger(std::shared_ptr<Core> core) : core_(std::move(core)) {}

Logger Logger::ToFd(int fd, const clock::Clock& clock, Options options) {
  return ToSink(std::make_shared<FdSink>(fd), clock, options);
}

Logger Logger::ToSink(std::shared_ptr<LogSink> sink, const clock::Clock& clock, Options options) {
  return Logger(std::make_shared<Core>(std::move(sink), clock, options));
}

Logger Logger::With(Fields fields) const {
  Logger child = *this;
  for (const Field& field : fields) AppendField(field, kMaxBoundBytes, &child.bound_);
  return child;
}

Logger Logger::WithCall(std::string_view trace_id, std::string_view span_id,
                        std::string_view correlation_id) const {
  Logger child = *this;
  const Field fields[] = {
      {kTraceId, trace_id}, {kSpanId, span_id}, {kCorrelationId, correlation_id}};
  const std::string_view values[] = {trace_id, span_id, correlation_id};
  for (std::size_t i = 0; i < 3; ++i) {
    if (!values[i].empty()) AppendField(fields[i], kMaxBoundBytes, &child.bound_);
  }
  return child;
}

bool Logger::Enabled(Level level) const { return core_ != nullptr && core_->Enabled(level); }

void Logger::SetLevel(Level level) const {
  if (core_ != nullptr) core_->SetLevel(level);
}

void Logger::Flush() const {
  if (core_ != nullptr) core_->Flush();
}

std::uint64_t Logger::dropped_count() const {
  return core_ == nullptr ? 0 : core_->dropped_count();
}

void Logger::Write(Level level, std::string_view message, Fields fields) const {
  core_->Submit(level, message, bound_, fields);
}

}  // namespace slipstream::logging
