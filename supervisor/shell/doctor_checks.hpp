/// The single examinations of `codex-pool doctor`. Each is bounded in time.
#pragma once

#include "shared/config/config.hpp"
#include "shared/net/forward_proxy.hpp"
#include "shared/net/proxy_settings.hpp"
#include "shared/providers/pool_folder.hpp"
#include "shared/providers/provider.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "supervisor/shell/doctor.hpp"
#include "supervisor/shell/snapshot.hpp"

namespace supervisor::shell {

// ---- doctor_files.cpp -------------------------------------------------------------------------------

/// Whether the pool's folders and secrets are its own and nobody else's.
[[nodiscard]] Findings check_permissions(const shared::Config& config);
/// Room for the database.
[[nodiscard]] Findings check_disk(const shared::Config& config);
/// How long it takes until something is really on the disk: a rotated token waits for it.
[[nodiscard]] Findings check_fsync(const shared::Config& config);

// ---- doctor_network.cpp -----------------------------------------------------------------------------

/// What is to be reached, and how.
struct Reach {
    std::string name; ///< "upstream codex"
    shared::http::BaseUrl base;
    std::optional<shared::net::ForwardProxy> proxy; ///< instead of the machine's
};

/// All upstreams of the providers that have accounts (of all, if there are none), and once more through each proxy of
/// an account.
[[nodiscard]] std::vector<Reach> reaches(
    const shared::ProviderRegistry& registry,
    const shared::Config& config,
    const std::vector<shared::LoadedAccount>& accounts);

struct NetworkReport {
    Findings findings;
    /// How much this machine's clock is ahead of the upstreams', in seconds; nothing if nobody said.
    std::optional<std::int64_t> clock_ahead;
};

/// All at once: name, connection, TLS, an answer; at most ten seconds.
[[nodiscard]] NetworkReport
check_network(const std::vector<Reach>& all, const shared::net::ProxySettings& proxies);

// ---- doctor_system.cpp ------------------------------------------------------------------------------

[[nodiscard]] Findings check_clock(std::optional<std::int64_t> ahead_of_upstreams);
/// The listener: answered by the running pool, or free.
[[nodiscard]] Findings check_port(const shared::Config& config, bool pool_runs);
/// The service as systemd knows it, with what its sandbox should be.
[[nodiscard]] Findings check_systemd();
/// What `systemctl show` printed of it: lines "Name=value".
[[nodiscard]] Findings judge_unit(std::string_view properties);

// ---- doctor_accounts.cpp ----------------------------------------------------------------------------

/// As the running pool knows them.
[[nodiscard]] Findings check_running_accounts(
    const Snapshot& snapshot,
    const shared::ProviderRegistry& registry,
    const shared::PoolLoad& files);
/// As the files say.
[[nodiscard]] Findings check_account_files(
    const shared::PoolLoad& files,
    const shared::ProviderRegistry& registry,
    shared::UnixMillis now);

} // namespace supervisor::shell
