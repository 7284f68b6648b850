#include "libs/redis/client.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/async/deadline.h"
#include "libs/async/suspend.h"
#include "libs/metrics/registry.h"
#include "libs/random/random.h"
#include "libs/redis/collect_stats.h"
#include "libs/redis/counters.h"
#include "libs/redis/errors.h"
#include "libs/redis/router.h"
#include "libs/redis/subscription.h"
#include "libs/status/status.h"
#include "libs/sync/mutex.h"

namespace slipstream::redis {
namespace {

// How long the destructor waits for the executor; longer means that it no longer runs.
constexpr absl::Duration kMaxCloseTime = absl::Seconds(10);

absl::Status BadOption(absl::string_view what) {
  return status::Error(absl::StatusCode::kInvalidArgument, kOptionInvalid,
                       absl::StrCat("Redis: ", what));
}

absl::Status CheckOptions(const Options& options) {
  if (options.connect_timeout <= absl::ZeroDuration() ||
      options.command_timeout <= absl::ZeroDuration()) {
    return BadOption("connect_timeout and command_timeout must be positive");
  }
  if (options.backoff_min <= absl::ZeroDuration() || options.backoff_max < options.backoff_min) {
    return BadOption("backoff_min must be positive and not above backoff_max");
  }
  if (options.wait_replicas_count < 0) return BadOption("wait_replicas_count must not be negative");
  // Of the time for a command: one for the WAIT before it, one for its own, and some to spare.
  if (options.wait_replicas_count > 0 && (options.wait_timeout < absl::Milliseconds(1) ||
                                          3 * options.wait_timeout > options.command_timeout)) {
    return BadOption("wait_timeout must be 1 ms at least, and a third of command_timeout at most");
  }
  if (options.max_queued_count < 1 || options.max_queued_bytes < 1) {
    return BadOption("max_queued_count and max_queued_bytes must be positive");
  }
  const auto printable = [](char c) { return c > ' ' && c <= '~'; };
  if (!std::all_of(options.client_name.begin(), options.client_name.end(), printable)) {
    return BadOption("client_name has a space or a character that is not printable ASCII");
  }
  return absl::OkStatus();
}

}  // namespace

struct Client::Impl {
  Deps deps;
  Options options;
  DialSettings dial;
  std::shared_ptr<Counters> counters = std::make_shared<Counters>();
  std::shared_ptr<Router> router;
  bool is_cluster = false;
  metrics::Registry::Registration figures;

  Stats ReadStats() const {
    Stats out = counters->Read();
    for (const Node& node : router->nodes()) {
      ++out.nodes_count;
      out.nodes_up_count += node.connection->up() ? 1 : 0;
    }
    return out;
  }

  // The deadline counts from here.
  void Stamp(Request& request) const {
    request.submitted = async::After(absl::ZeroDuration());
    request.deadline = request.submitted + absl::ToChronoNanoseconds(options.command_timeout);
    Counters::Add(counters->commands);
  }
  void Submit(Request request, std::string_view routing_key) const {
    Stamp(request);
    router->Submit(std::move(request), routing_key);
  }

  static Request MakeCommand(std::vector<std::string> args) {
    Request request;
    request.args = std::move(args);
    return request;
  }
  static Request MakeEval(const Script& script, std::vector<std::string> keys,
                          std::vector<std::string> args) {
    Request request;
    request.kind = Request::Kind::kEval;
    request.script = script;
    request.keys = std::move(keys);
    request.args = std::move(args);
    return request;
  }

  static Request MakeTransaction(std::vector<std::vector<std::string>> commands) {
    Request request;
    request.kind = Request::Kind::kTransaction;
    for (std::vector<std::string>& command : commands) {
      request.words_counts.push_back(command.size());
      std::move(command.begin(), command.end(), std::back_inserter(request.args));
    }
    return request;
  }

  // `to` null: wherever the key belongs.
  static Async<absl::StatusOr<Value>> Run(std::shared_ptr<Impl> impl, Request request,
                                          std::string routing_key, std::shared_ptr<Connection> to) {
    co_return co_await async::Suspend<absl::StatusOr<Value>>(
        [&](async::Resume<absl::StatusOr<Value>> resume) {
          auto shared = std::make_shared<decltype(resume)>(std::move(resume));
          request.done = [shared](absl::StatusOr<Value> result) { (*shared)(std::move(result)); };
          if (to == nullptr) return impl->Submit(std::move(request), routing_key);
          impl->Stamp(request);
          request.pinned = true;
          to->Submit(std::move(request));
        });
  }

  static Async<std::vector<NodeReply>> RunOnEach(std::shared_ptr<Impl> impl,
                                                 std::vector<std::string> args) {
    std::vector<NodeReply> out;
    for (const Node& node :
         co_await impl->router->KnownNodes(async::After(impl->options.command_timeout))) {
      auto reply = co_await Run(impl, MakeCommand(args), "", node.connection);
      out.push_back({node.address, std::move(reply)});
    }
    co_return out;
  }
};

absl::StatusOr<std::unique_ptr<Client>> Client::Create(Deps deps, Options options) {
  auto url = ParseUrl(options.url);
  if (!url.ok()) return url.status();
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  auto impl = std::make_shared<Impl>(Impl{.deps = std::move(deps), .options = options});
  impl->dial = {.server_name = options.server_name,
                .user = url->user,
                .password = url->password,
                .client_name = options.client_name,
                .db = url->db,
                .greeting = options.greeting,
                .timeout = options.connect_timeout};
  if (url->tls) {
    auto tls = MakeTlsContext({options.ca_file, options.cert_file, options.key_file});
    if (!tls.ok()) return tls.status();
    impl->dial.tls = *std::move(tls);
  }
  RouterConfig config{.connection = {.executor = impl->deps.executor,
                                     .random = &impl->deps.random,
                                     .logger = impl->deps.logger,
                                     .counters = impl->counters,
                                     .options = std::move(options),
                                     .dial = impl->dial},
                      .url = *std::move(url)};
  impl->is_cluster = config.url.mode == Url::Mode::kCluster;
  impl->router = config.url.mode == Url::Mode::kCluster ? MakeClusterRouter(std::move(config))
                                                        : MakeSingleRouter(std::move(config));
  if (impl->deps.metrics != nullptr) {
    impl->figures = impl->deps.metrics->AddCollector([of = impl.get()](metrics::Samples& samples) {
      CollectStats(of->ReadStats(), of->options.client_name, samples);
    });
  }
  impl->router->Start();
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Client::Client(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Client::~Client() { Close(); }

void Client::Close() {
  if (closed_.exchange(true)) return;
  impl_->figures = {};  // nothing reads them from here on
  struct Closed {
    sync::Mutex mutex;
    sync::CondVar changed;
    bool done ABSL_GUARDED_BY(mutex) = false;
  };
  auto closed = std::make_shared<Closed>();
  impl_->router->Close([closed] {
    sync::MutexLock lock(closed->mutex);
    closed->done = true;
    closed->changed.SignalAll();
  });
  sync::MutexLock lock(closed->mutex);
  while (!closed->done) {
    if (!closed->changed.WaitFor(closed->mutex, kMaxCloseTime) && !closed->done) {
      impl_->deps.logger.Error("the Redis client was destroyed after its executor had stopped");
      return;
    }
  }
}

void Client::Command(std::string_view routing_key, std::vector<std::string> args, Done done) {
  Request request = Impl::MakeCommand(std::move(args));
  request.done = std::move(done);
  impl_->Submit(std::move(request), routing_key);
}

Async<absl::StatusOr<Value>> Client::Command(std::string_view routing_key,
                                             std::vector<std::string> args) {
  return Impl::Run(impl_, Impl::MakeCommand(std::move(args)), std::string(routing_key), nullptr);
}

void Client::Eval(const Script& script, std::vector<std::string> keys,
                  std::vector<std::string> args, Done done) {
  Request request = Impl::MakeEval(script, std::move(keys), std::move(args));
  request.done = std::move(done);
  // A view of the vector's memory, which moves with the request.
  const std::string_view routing_key =
      request.keys.empty() ? std::string_view() : request.keys.front();
  impl_->Submit(std::move(request), routing_key);
}

Async<absl::StatusOr<Value>> Client::Eval(const Script& script, std::vector<std::string> keys,
                                          std::vector<std::string> args) {
  std::string routing_key = keys.empty() ? std::string() : keys.front();
  return Impl::Run(impl_, Impl::MakeEval(script, std::move(keys), std::move(args)),
                   std::move(routing_key), nullptr);
}

void Client::Transaction(std::string_view routing_key,
                         std::vector<std::vector<std::string>> commands, Done done) {
  Request request = Impl::MakeTransaction(std::move(commands));
  request.done = std::move(done);
  impl_->Submit(std::move(request), routing_key);
}

Async<absl::StatusOr<Value>> Client::Transaction(std::string_view routing_key,
                                                 std::vector<std::vector<std::string>> commands) {
  return Impl::Run(impl_, Impl::MakeTransaction(std::move(commands)), std::string(routing_key),
                   nullptr);
}

Async<std::vector<NodeReply>> Client::ForEachPrimary(std::vector<std::string> args) {
  return Impl::RunOnEach(impl_, std::move(args));
}

const Executor& Client::executor() const { return impl_->deps.executor; }

bool Client::connected() const { return impl_->router->connected(); }

std::vector<std::string> Client::NodeAddresses() const {
  std::vector<std::string> out;
  for (const Node& node : impl_->router->nodes()) out.push_back(node.address);
  return out;
}

Stats Client::stats() const { return impl_->ReadStats(); }

std::unique_ptr<Client::Subscription> Client::Subscribe(
    std::vector<std::string> channels,
    std::function<void(std::string_view channel, std::string_view payload)> on_message,
    std::function<void(bool up)> on_link) {
  Subscription::Impl::Config config;
  config.executor = impl_->deps.executor;
  config.seed = impl_->deps.random.Next64();
  config.logger = impl_->deps.logger;
  config.options = impl_->options;
  config.dial = impl_->dial;
  config.locate = impl_->router->locate();
  config.channels = std::move(channels);
  config.on_message = std::move(on_message);
  config.on_link = std::move(on_link);
  auto impl = std::make_shared<Subscription::Impl>(std::move(config));
  impl->Start();
  return std::unique_ptr<Subscription>(new Subscription({std::move(impl)}));
}

std::unique_ptr<Client::Subscription> Client::SubscribeSharded(
    std::vector<std::string> channels,
    std::function<void(std::string_view channel, std::string_view payload)> on_message,
    std::function<void(bool up)> on_link) {
  // One link to the caller, made of all: `missing` are not up.
  struct Links {
    sync::Mutex mutex;
    size_t missing ABSL_GUARDED_BY(mutex);
  };
  auto links = std::make_shared<Links>();
  {
    sync::MutexLock lock(links->mutex);
    links->missing = channels.size();
  }
  std::vector<std::shared_ptr<Subscription::Impl>> impls;
  for (std::string& channel : channels) {
    Subscription::Impl::Config config;
    config.executor = impl_->deps.executor;
    config.seed = impl_->deps.random.Next64();
    config.logger = impl_->deps.logger;
    config.options = impl_->options;
    config.dial = impl_->dial;
    config.locate = impl_->router->locate_owner(channel);
    config.sharded = true;
    config.channels = {std::move(channel)};
    config.on_message = on_message;
    config.on_link = [links, on_link](bool up) {
      bool tell;
      {
        sync::MutexLock lock(links->mutex);
        tell = up ? --links->missing == 0 : links->missing++ == 0;
      }
      if (tell) on_link(up);
    };
    impls.push_back(std::make_shared<Subscription::Impl>(std::move(config)));
  }
  for (const auto& impl : impls) impl->Start();
  return std::unique_ptr<Subscription>(new Subscription(std::move(impls)));
}

bool Client::is_cluster() const { return impl_->is_cluster; }

}  // namespace slipstream::redis
