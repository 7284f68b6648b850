#include "libs/service/process.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/admin_http/admin_server.h"
#include "libs/admin_http/readiness.h"
#include "libs/audit/file_audit_log.h"
#include "libs/rpc/polling.h"
#include "libs/rpc/server.h"
#include "libs/rpc/server_chain.h"
#include "libs/service/addresses.h"
#include "libs/service/context.h"
#include "libs/service/forwarding_audit_log.h"
#include "libs/service/monitoring_reporter.h"
#include "libs/service/monitoring_sends.h"
#include "libs/service/peers.h"
#include "libs/service/process_metrics.h"
#include "libs/service/service_token.h"
#include "slipstream/config/v1/config.pb.h"

namespace slipstream::service {

namespace {

logging::Level LevelOf(const config::v1::LoggingConfig& config) {
  switch (config.level()) {
    case config::v1::LoggingConfig::DEBUG:
      return logging::Level::kDebug;
    case config::v1::LoggingConfig::WARN:
      return logging::Level::kWarning;
    case config::v1::LoggingConfig::ERROR:
      return logging::Level::kError;
    default:
      return logging::Level::kInfo;
  }
}

logging::Options LogOptions(const config::v1::LoggingConfig& config) {
  logging::Options options;
  options.level = LevelOf(config);
  options.format = config.format() == config::v1::LoggingConfig::TEXT ? logging::Format::kText
                                                                      : logging::Format::kJson;
  return options;
}

absl::StatusOr<auth::PermissionMap> PermissionsOf(const config::v1::AuthConfig& config) {
  auth::RolePermissions mapping;
  for (const auto& role : config.roles()) {
    auto& permissions = mapping[role.role()];
    permissions.insert(permissions.end(), role.permissions().begin(), role.permissions().end());
  }
  return auth::PermissionMap::Create(mapping);
}

int ThreadCount(int configured, const ProcessOptions& options) {
  if (configured > 0) return configured;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, options.leaves_cores_to_grpc ? cores - rpc::MaxPollingCount() : cores);
}

}  // namespace

struct Process::Impl {
  Impl(const config::v1::Config& c, const ProcessOptions& o)
      : config(c),
        options(o),
        logger(logging::Logger::ToFd(STDERR_FILENO, clock, LogOptions(c.logging()))
                   .With({{logging::kService, o.name}})) {}

  // Members are destroyed bottom up, so each part's users stand below it.
  const config::v1::Config& config;
  const ProcessOptions options;
  clock::SystemClock clock;
  random::SystemRandom random;
  logging::Logger logger;
  metrics::Registry metrics;
  metrics::Registry::Registration process_metrics;
  std::unique_ptr<auth::KeySet> keys;
  std::optional<auth::PermissionMap> permissions;
  std::unique_ptr<auth::Authenticator> authenticator;
  std::unique_ptr<ServiceToken> token;
  std::unique_ptr<ConfiguredPeers> peers;
  std::unique_ptr<MonitoringReporter> reporter;
  std::unique_ptr<audit::AuditLog> audit;
  std::optional<rpc::Chain> chain;
  std::unique_ptr<async::Runtime> runtime;
  std::optional<rpc::Dispatcher> dispatcher;
  std::optional<Context> context;
  admin_http::Readiness readiness;
  std::vector<std::unique_ptr<Module>> modules;
  std::unique_ptr<rpc::Server> server;
  std::unique_ptr<admin_http::AdminServer> admin;
  bool started = false;

  absl::Status MakeAuth();
  absl::Status MakeShared();
  absl::Status MakeModules(const std::vector<ModuleFactory>& factories);
  absl::Status OpenPorts();
};

absl::Status Process::Impl::MakeAuth() {
  const auto& auth_config = config.auth();
  auth::KeySetOptions key_options;
  key_options.secret_path = auth_config.hs256_secret_file();
  key_options.jwk_set_paths.assign(auth_config.jwks_files().begin(),
                                   auth_config.jwks_files().end());
  key_options.check_interval = absl::Milliseconds(auth_config.key_reload_interval_ms());
  key_options.on_reload = [log = logger](const absl::Status& status) {
    if (status.ok()) {
      log.Info("keys reloaded");
    } else {
      log.Error("keys not reloaded; the old ones stay in force", {{"error", status}});
    }
  };
  auto opened = auth::KeySet::Open(std::move(key_options), clock);
  if (!opened.ok()) return opened.status();
  keys = *std::move(opened);
  if (keys->Current()->keys.empty()) {
    logger.Warning(
        "no key is configured, so no token is valid; set auth.hs256_secret_file or "
        "auth.jwks_files");
  }
  auto mapping = PermissionsOf(auth_config);
  if (!mapping.ok()) return mapping.status();
  permissions.emplace(*std::move(mapping));

  auth::AuthenticatorOptions auth_options;
  auth_options.max_cached_token_count = auth_config.token_cache_count();
  auto& verifier = auth_options.verifier;
  verifier.issuer = auth_config.issuer();
  verifier.audiences.clear();
  if (!auth_config.audience().empty()) verifier.audiences.push_back(auth_config.audience());
  verifier.leeway = absl::Seconds(auth_config.leeway_s());
  verifier.algorithms.clear();
  for (const std::string& name : auth_config.allowed_algorithms()) {
    const auto algorithm = auth::AlgorithmFromName(name);
    if (!algorithm) {
      return absl::InvalidArgumentError(absl::StrCat("auth.allowed_algorithms: ", name,
                                                     " is not one of HS256, RS256, ES256, EdDSA"));
    }
    verifier.algorithms.push_back(*algorithm);
  }
  authenticator = std::make_unique<auth::Authenticator>(auth_options, *keys, *permissions, clock);
  token = std::make_unique<ServiceToken>(auth_config, options.name, *keys, clock);
  return absl::OkStatus();
}

absl::Status Process::Impl::MakeShared() {
  process_metrics = AddProcessMetrics(metrics);
  if (absl::Status status = MakeAuth(); !status.ok()) return status;
  peers = std::make_unique<ConfiguredPeers>(config, *token, logger);
  reporter =
      std::make_unique<MonitoringReporter>(GrpcMonitoringSends(*peers), clock, metrics, logger);

  audit::AuditLogOptions audit_options;
  audit_options.file.path = config.audit().file();
  audit_options.memory_entry_count = config.audit().memory_entries_count();
  auto log = audit::OpenAuditLog(std::move(audit_options), clock, random, logger);
  if (!log.ok()) return log.status();
  audit = *std::move(log);
  // Monitoring lists its own log, so a copy of that would be sent to itself.
  if (options.name != "monitoring" && options.name != "standalone") {
    audit = std::make_unique<ForwardingAuditLog>(std::move(audit), *reporter, clock, random);
  }

  chain.emplace(rpc::MakeServerChain(
      {.clock = clock,
       .random = random,
       .authenticator = *authenticator,
       .permissions = *permissions,
       .metrics = metrics,
       .logger = logger,
       .audit = *audit,
       .service = options.name,
       .max_inflight_count = config.rpc().max_inflight_count(),
       .default_deadline = absl::Milliseconds(config.rpc().default_deadline_ms())}));
  runtime =
      std::make_unique<async::Runtime>(ThreadCount(config.runtime().io_threads_count(), options));
  dispatcher.emplace(rpc::Dispatcher{*chain, runtime->executor(), clock});
  context.emplace(Context{config, clock, random, logger, metrics, *runtime, *dispatcher,
                          *authenticator, *permissions, *audit, *peers, *reporter});
  return absl::OkStatus();
}

absl::Status Process::Impl::MakeModules(const std::vector<ModuleFactory>& factories) {
  for (const auto& factory : factories) {
    auto module = factory(*context);
    if (!module.ok()) return module.status();
    for (auto& check : (*module)->ReadinessChecks()) {
      readiness.Add(check.name, std::move(check.check), check.only_degrades);
    }
    modules.push_back(*std::move(module));
  }
  return absl::OkStatus();
}

absl::Status Process::Impl::OpenPorts() {
  const Addresses addresses = AddressesOf(config, options.name);
  const auto& rpc_config = config.rpc();
  server = std::make_unique<rpc::Server>(rpc::ServerOptions{
      .address = addresses.grpc,
      .reflection = rpc_config.reflection(),
      .channelz = rpc_config.channelz(),
      .max_message_bytes = rpc_config.max_message_bytes(),
      .keepalive_time = absl::Milliseconds(rpc_config.keepalive_time_ms()),
      .keepalive_timeout = absl::Milliseconds(rpc_config.keepalive_timeout_ms())});
  for (auto& module : modules) {
    for (grpc::Service* service : module->Services()) server->AddService(service);
  }
  if (absl::Status status = server->Start(); !status.ok()) return status;
  if (options.name == "standalone") peers->RedirectAll(server->LocalAddress());
  admin_http::Options admin_options;
  admin_options.address = addresses.http;
  auto http = admin_http::AdminServer::Start(
      admin_options, {.registry = metrics, .readiness = readiness, .logger = logger});
  if (!http.ok()) return http.status();
  admin = *std::move(http);
  return absl::OkStatus();
}

Process::Process(const config::v1::Config& config, const ProcessOptions& options)
    : impl_(std::make_unique<Impl>(config, options)) {}

Process::~Process() { Shutdown(); }

absl::Status Process::Start(const std::vector<ModuleFactory>& modules) {
  impl_->started = true;
  if (absl::Status status = impl_->MakeShared(); !status.ok()) return status;
  if (absl::Status status = impl_->MakeModules(modules); !status.ok()) return status;
  if (absl::Status status = impl_->OpenPorts(); !status.ok()) return status;
  impl_->reporter->Start(impl_->runtime->executor());
  for (auto& module : impl_->modules) {
    if (absl::Status status = module->Start(); !status.ok()) return status;
  }
  impl_->server->SetServing(true);
  impl_->logger.Info("ready", {{"grpc_port", impl_->server->port()},
                               {"http_port", impl_->admin->port()},
                               {"channelz_port", impl_->server->channelz_port()}});
  return absl::OkStatus();
}

void Process::Shutdown() {
  if (!impl_->started) return;
  impl_->started = false;
  impl_->readiness.StartDraining();
  if (impl_->server) {
    impl_->server->SetServing(false);
    const absl::Duration grace = absl::Milliseconds(impl_->config.rpc().drain_grace_ms());
    impl_->logger.Info("draining", {{"grace_ms", absl::ToInt64Milliseconds(grace)}});
    const absl::Time deadline = impl_->clock.Now() + grace;
    for (auto it = impl_->modules.rbegin(); it != impl_->modules.rend(); ++it) {
      (*it)->Drain(deadline);
    }
    const absl::Duration left = deadline - impl_->clock.Now();
    impl_->server->Shutdown(std::max(left, absl::Milliseconds(100)));
  }
  // All work has ended by now, so these are the last reports.
  if (impl_->reporter) impl_->reporter->Stop();
  for (auto it = impl_->modules.rbegin(); it != impl_->modules.rend(); ++it) (*it)->Stop();
  // No coroutine runs from here on, so the modules can go once nobody else asks them.
  if (impl_->runtime) impl_->runtime->Stop();
  // Its thread asks the modules whether they are ready and what their figures are.
  impl_->admin.reset();
  impl_->modules.clear();
  impl_->server.reset();
  impl_->logger.Info("ended");
  impl_->logger.Flush();
}

int Process::grpc_port() const { return impl_->server ? impl_->server->port() : 0; }
int Process::http_port() const { return impl_->admin ? impl_->admin->port() : 0; }

}  // namespace slipstream::service
