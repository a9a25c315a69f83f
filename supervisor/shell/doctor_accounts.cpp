/// The accounts, each with what can be done for it.
#include "shared/base/read_file.hpp"
#include "shared/base/time_text.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "supervisor/shell/doctor_checks.hpp"

namespace supervisor::shell {
namespace {

constexpr std::int64_t kSoonMs = std::int64_t{10} * 60 * 1000;

/// The vendor's own words on how to sign in again, where the file is known.
std::string login_remedy(
    const std::string& id, const shared::ProviderRegistry& registry, const shared::PoolLoad& files)
{
    for (const shared::LoadedAccount& account : files.accounts) {
        if (account.id != id) continue;
        return registry.get(account.provider).login_remedy(account.file.string()) +
               ", then codex-pool reload";
    }
    return {};
}

void add_broken_files(Findings& findings, const shared::PoolLoad& files)
{
    if (files.fatal)
        findings.push_back(
            {"accounts",
             Grade::bad,
             files.fatal->where + ": " + files.fatal->what,
             files.fatal->remedy});
    for (const shared::Problem& problem : files.problems)
        findings.push_back(
            {"accounts", Grade::bad, problem.where + ": " + problem.what, problem.remedy});
}

} // namespace

Findings check_running_accounts(
    const Snapshot& snapshot,
    const shared::ProviderRegistry& registry,
    const shared::PoolLoad& files)
{
    Findings findings;
    add_broken_files(findings, files);
    for (const AccountLine& account : snapshot.accounts) {
        Finding finding{
            "accounts", Grade::good, account.id + " is " + account.state, account.next_step};
        std::replace(
            finding.what.begin() + static_cast<std::ptrdiff_t>(account.id.size()),
            finding.what.end(),
            '_',
            ' ');
        if (!account.note.empty()) finding.what += ": " + account.note;
        if (account.severity == "owner") {
            finding.grade = Grade::bad;
            const std::string remedy = login_remedy(account.id, registry, files);
            if (!remedy.empty()) finding.remedy = remedy;
        } else if (account.state == "failing") {
            finding.grade = Grade::warn;
        } else if (account.severity != "good") {
            finding.grade = Grade::note;
        }
        findings.push_back(std::move(finding));
    }
    if (snapshot.accounts.empty())
        findings.push_back(
            {"accounts",
             Grade::bad,
             "there is none",
             "put credential files into the pool folder, then codex-pool reload"});
    return findings;
}

Findings check_account_files(
    const shared::PoolLoad& files, const shared::ProviderRegistry& registry, shared::UnixMillis now)
{
    Findings findings;
    add_broken_files(findings, files);
    for (const shared::LoadedAccount& account : files.accounts) {
        const shared::Credential& credential = account.credential;
        Finding finding{"accounts", Grade::good, account.id, ""};
        const bool key = credential.kind == shared::CredentialKind::api_key;
        const bool ends =
            credential.expires_at.is_set() && credential.expires_at.value < now.value + kSoonMs;
        if (credential.disabled) {
            finding.grade = Grade::note;
            finding.what += ": disabled in its file";
        } else if (!key && credential.refresh_token.empty()) {
            finding.grade = ends ? Grade::bad : Grade::warn;
            finding.what += ": its token cannot be renewed";
            finding.remedy = registry.get(account.provider).login_remedy(account.file.string());
        } else if (!key && ends) {
            finding.what += ": its token ended " +
                            shared::relative_time(credential.expires_at, now) +
                            "; it is renewed when the pool starts";
        }
        findings.push_back(std::move(finding));
        for (const std::string& warning : account.warnings)
            findings.push_back({"accounts", Grade::warn, account.id + ": " + warning, ""});
    }
    if (files.accounts.empty() && files.problems.empty() && !files.fatal)
        findings.push_back(
            {"accounts",
             Grade::bad,
             "there is none",
             "put credential files into the pool folder: see README"});
    return findings;
}

} // namespace supervisor::shell
