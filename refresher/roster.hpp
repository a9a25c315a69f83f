/// Keeps the segment's accounts in step with the pool folder. Pure but for the segment: what was loaded and the time
/// come in as arguments.
///
/// A slot belongs to one account id for as long as the supervisor lives. A new Roster (the refresher died and
/// was replaced) finds the accounts of its predecessor by id and takes them over with their quota, cooling,
/// penalty and state; only identity and token come from the file.
#pragma once

#include "shared/base/hash.hpp"
#include "shared/net/forward_proxy.hpp"
#include "shared/providers/pool_folder.hpp"
#include "shared/segment/layout.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace refresher {

/// What one look at the pool folder came to.
struct RosterReport {
    std::uint32_t in_service = 0; ///< accounts the pool has now, disabled and failing ones included
    std::uint32_t broken =
        0; ///< files not served as they stand; at least 1 if the folder is unusable
    std::vector<std::string> added;
    std::vector<std::string> changed;
    std::vector<std::string> removed;
    std::vector<shared::Problem> problems; ///< one per broken file, or the folder's own
    std::vector<std::string> warnings;     ///< "codex:personal: …", whole sentences
};

class Roster {
public:
    explicit Roster(shared::Segment& segment);

    /// Publishes a load: new accounts appear, changed ones get their new token and identity, accounts without a file
    /// become `removed`, a broken file leaves its last good account as it is. Pins, cooldowns and counters stay.
    [[nodiscard]] RosterReport apply(shared::PoolLoad load, shared::UnixMillis now);

    /// Publishes one account whose file was read or written outside of a load. Returns whether anything changed.
    bool update(shared::LoadedAccount account, shared::UnixMillis now);

    /// Its refresh token is dead. `remedy` is shown as the account's problem. A disabled account stays disabled.
    void set_needs_login(
        std::string_view id,
        std::string_view reason,
        std::string_view remedy,
        shared::UnixMillis now);
    /// What the account's file or its refresh suffers from now; empty = nothing.
    void note_problem(std::string_view id, const std::string& text);

    /// An account that may need a project, with what is needed to find it.
    struct Held {
        shared::AccountSlot slot;
        shared::ProviderId provider = shared::ProviderId::none;
        shared::Credential credential;
        std::filesystem::path file;
        shared::Sha256Digest digest{}; ///< of everything the file says
        bool project_sought = false;   ///< discovery is running or done for this digest
    };

    /// The accounts whose files this process has read, by id.
    [[nodiscard]] std::map<std::string, Held, std::less<>>& held() noexcept { return held_; }

    /// The account's own way out (its proxy_url), for every call in its name; nothing = this machine's. One that cannot
    /// be used has no host: then the call fails, rather than going out from elsewhere.
    [[nodiscard]] std::optional<shared::net::ForwardProxy> proxy_of(std::string_view id);

    /// What owner actions say about an account; it beats its file, now and whenever the file is read.
    void set_owner_options(
        std::string_view id, const shared::AccountOptions& owner, shared::UnixMillis now);

    /// The same for all accounts: of those that are not in `all` nothing is said any longer.
    void replace_owner_options(
        const std::map<std::string, shared::AccountOptions, std::less<>>& all,
        shared::UnixMillis now);

    /// Records what discovery found; nothing happens if the file has changed since `digest`.
    void set_project(
        std::string_view id,
        const shared::Sha256Digest& digest,
        std::string_view project,
        std::string_view plan);

private:
    [[nodiscard]] std::optional<shared::AccountSlot> new_slot();
    void publish(shared::LoadedAccount&& account, shared::UnixMillis now, RosterReport& report);
    void remove(shared::AccountSlot slot, shared::UnixMillis now);

    shared::Segment& segment_;
    std::map<std::string, Held, std::less<>> held_;
    std::map<std::string, shared::AccountOptions, std::less<>> owner_options_;
};

} // namespace refresher
