/// The saved copy of what is known of the accounts: quota windows, cool-downs, credits, and what traffic has taught
/// about the windows. Written by evidence_keeper; nothing in it is secret.
///
///   {"version": 1, "accounts": {"codex:personal": {"kind": 1, "account_id": "…",
///     "short": {"seconds": 18000, "used": 4200, "source": "header", "resets_at": …, "seen_at": …, "full_since": …,
///               "tokens_per_percent": 9000.5, "percent_per_hour": 3.2, "samples": 12},
///     "long": {…}, "cooling": {"until": …, "since": …, "used_up": false, "reason": "…", "source": "error_answer"},
///     "credits": {"has": 1, "unlimited": 0, "balance": 12.5}}}}
///
/// Times are Unix milliseconds, `used` basis points. Account ids, not slots: slots are only good for one segment. What
/// a reader does not know is passed over, so that a program of another version can read it too.
#pragma once

#include "shared/base/result.hpp"
#include "shared/segment/layout.hpp"

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace supervisor {

/// Of `routing` only evidence counts: windows, cool-down, credits.
struct SavedEvidence {
    std::uint8_t kind = 0;  ///< CredentialKind: evidence of a login says nothing about an API key
    std::string account_id; ///< the vendor's; empty = unknown
    shared::AccountRouting routing;
    shared::WindowLearning short_learning;
    shared::WindowLearning long_learning;
};

using EvidenceById = std::map<std::string, SavedEvidence, std::less<>>;

[[nodiscard]] std::string encode_evidence(const EvidenceById& evidence);
/// A Problem if it is no such text or of a newer version.
[[nodiscard]] shared::Result<EvidenceById> decode_evidence(std::string_view text);

/// A missing file is no Problem: nothing is known.
[[nodiscard]] shared::Result<EvidenceById> load_evidence(const std::filesystem::path& file);

} // namespace supervisor
