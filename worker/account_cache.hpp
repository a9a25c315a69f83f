/// A worker's copies of what rarely changes about accounts (ids, projects, tokens), kept fresh by version
/// numbers, so that a request takes no lock for them.
#pragma once

#include "shared/net/forward_proxy.hpp"
#include "shared/providers/provider.hpp"
#include "shared/segment/layout.hpp"
#include "shared/selection/score.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace worker {

struct CachedAccount {
    std::string id;         ///< "codex:personal"
    std::string account_id; ///< the vendor's
    std::string project;
    std::string token; ///< access token or API key
    shared::ProviderId provider = shared::ProviderId::none;
    shared::CredentialKind kind = shared::CredentialKind::none;
    float capacity = 1;         ///< of its plan, see Provider::plan_weight
    std::string models_allowed; ///< as in AccountIdentity
    std::string models_denied;
    /// Its own way out; null = this machine's. Lives as long as the cache. Without a host: cannot be used.
    const shared::net::ForwardProxy* proxy = nullptr;
    std::string owner; ///< the pool user it belongs to; empty = the pool's owner

    [[nodiscard]] bool serves_model(std::string_view model) const noexcept;
    [[nodiscard]] bool is_owned_by(std::string_view user) const noexcept;
};

/// Whose request accounts are looked at for.
struct Asking {
    shared::ProviderId provider = shared::ProviderId::none; ///< none = accounts of every provider
    std::string_view model; ///< empty = unknown: no account is ruled out by it
    std::string_view user;
};

class AccountCache {
public:
    AccountCache(shared::Segment& segment, const shared::ProviderRegistry& registry);

    /// The account's copies, fresh. The reference holds until the next call with the same slot; for use across
    /// a wait take a copy.
    [[nodiscard]] const CachedAccount& get(shared::AccountSlot slot);

    /// All accounts of a provider as they stand now; `out` is cleared first.
    void candidates(const Asking& asking, std::vector<shared::Candidate>& out);

    /// A conversation began on it: its turn for the next one comes after the others'.
    void note_turn(shared::AccountSlot slot);

    /// Whether any account of the pool owns this project.
    [[nodiscard]] bool owns_project(std::string_view project);

private:
    struct Entry {
        CachedAccount account;
        std::uint64_t roster_version = 0;
        std::uint64_t token_version = 0;
        std::uint64_t turn = 0; ///< number of its last one; 0 = none yet
    };

    [[nodiscard]] const shared::net::ForwardProxy* proxy_of(std::string_view url);
    [[nodiscard]] std::uint32_t turns_waited(shared::AccountSlot slot) const noexcept;
    void load_identity(CachedAccount& account, shared::AccountSlot slot);

    shared::Segment& segment_;
    const shared::ProviderRegistry& registry_;
    std::uint64_t turns_ = 0;
    /// By URL, kept for ever: connections and requests refer to them. There are as many as accounts have had.
    std::map<std::string, std::unique_ptr<const shared::net::ForwardProxy>, std::less<>> proxies_;
    std::vector<std::unique_ptr<Entry>> entries_;
};

} // namespace worker
