#include "refresher/token_file.hpp"

#include "shared/base/read_file.hpp"
#include "shared/providers/pool_folder.hpp"

#include <utility>

namespace refresher {

using shared::Credential;

shared::Sha256Digest digest_of(const shared::Secret& secret) noexcept
{
    return shared::sha256(secret.reveal());
}

shared::Result<TokenFile>
read_token_file(const shared::Provider& provider, const std::filesystem::path& file)
{
    auto text = shared::read_file(file, shared::kCredentialBytesMax, "credential file");
    if (!text) return text.error();
    TokenFile out;
    out.missing = text->missing;
    if (out.missing) return out;
    out.text = shared::Secret(std::move(text->bytes));
    auto credential = provider.parse_credential(out.text.reveal());
    if (!credential) {
        shared::Problem problem = credential.error();
        problem.where = shared::printable(file.string());
        return problem;
    }
    out.credential = std::move(*credential);
    return out;
}

TokenMerge
merge_of(const Credential& file, const JournalEntry& entry, const shared::RenewedTokens& ours)
{
    if (file.kind != shared::CredentialKind::oauth || file.refresh_token.empty())
        return TokenMerge::drop;
    const bool holds_sent = digest_of(file.refresh_token) == entry.sent;
    const bool holds_ours =
        ours.refresh_token.empty() ? holds_sent : file.refresh_token.same_as(ours.refresh_token);
    const bool old_access = digest_of(file.access_token) == entry.old_access;
    if (holds_ours) {
        if (ours.access_token.empty() || file.access_token.same_as(ours.access_token))
            return TokenMerge::written;
        // Where refresh tokens do not rotate, two who refresh hold the same one.
        return old_access || file.expires_at <= ours.expires_at ? TokenMerge::write
                                                                : TokenMerge::drop;
    }
    if (holds_sent) return TokenMerge::write;
    const bool same_account = !entry.vendor_id.empty() && file.account_id == entry.vendor_id;
    const bool not_later = file.expires_at.is_set() && entry.old_expires_at.is_set() &&
                           file.expires_at <= entry.old_expires_at;
    return same_account && not_later ? TokenMerge::write : TokenMerge::drop;
}

} // namespace refresher
