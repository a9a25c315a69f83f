/// A worker's copies of what rarely changes about accounts (ids, projects, tokens), kept fresh by version
/// numbers, so that a request takes no lock for them.
#pragma once

#include "shared/segment/layout.hpp"
#include "worker/select_account.hpp"

#include <array>
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
};

class AccountCache {
public:
    explicit AccountCache(shared::Segment& segment);

    /// The account's copies, fresh. The reference holds until the next call with the same slot; for use across
    /// a wait take a copy.
    [[nodiscard]] const CachedAccount& get(shared::AccountSlot slot);

    /// All accounts of a provider (none = of every provider) as they stand now; `out` is cleared first.
    void candidates(shared::ProviderId provider, std::vector<Candidate>& out);

    /// Whether any account of the pool owns this project.
    [[nodiscard]] bool owns_project(std::string_view project);

private:
    struct Entry {
        CachedAccount account;
        std::uint64_t roster_version = 0;
        std::uint64_t token_version = 0;
    };

    shared::Segment& segment_;
    std::vector<std::unique_ptr<Entry>> entries_;
};

} // namespace worker
