#include "refresher/account_intake.hpp"

#include "refresher/token_file.hpp"
#include "refresher/token_store.hpp"
#include "shared/base/read_file.hpp"
#include "shared/base/write_file.hpp"
#include "shared/providers/account_file.hpp"
#include "shared/providers/pool_folder.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace refresher {
namespace {

using shared::Credential;
using shared::CredentialKind;
using shared::Problem;
using shared::Provider;
using shared::Result;
using shared::Upload;
using shared::UploadAnswer;
using shared::UploadEnd;

/// Names that are tried for an account which nobody has named: "ann", "ann-2" …
constexpr int kNamesTriedMax = 1000;
constexpr std::size_t kMadeNameBytesMax = 40;

/// What a file that is no credential at all is; empty if it may be one.
std::string_view kind_of_file(std::string_view text)
{
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return "the file is empty";
    if (text.starts_with("PK\x03\x04")) return "this is a zip archive; send the file that is in it";
    if (text.starts_with("\x1F\x8B")) return "this is a compressed file; send what is in it";
    if (text[begin] == '<') return "this is a web page, not a credential file";
    if (text.find('\0') != std::string_view::npos) return "this is no text file";
    return {};
}

UploadAnswer answer(UploadEnd end, std::string sentence, std::string account = {})
{
    return {end, std::move(account), std::move(sentence)};
}

/// Whether a login says of itself that it was renewed after the other. What says nothing is not newer.
bool is_newer(const Credential& a, const Credential& b)
{
    if (a.expires_at.is_set() && b.expires_at.is_set() && a.expires_at != b.expires_at)
        return a.expires_at > b.expires_at;
    return a.last_refresh > b.last_refresh;
}

/// Whether nothing says that these are two accounts. Some vendors' files do not tell whose they are.
bool may_be_same(const Credential& a, const Credential& b)
{
    const auto differ = [](const std::string& x, const std::string& y) {
        return !x.empty() && !y.empty() && x != y;
    };
    return a.kind == CredentialKind::oauth && b.kind == CredentialKind::oauth &&
           !differ(a.account_id, b.account_id) && !differ(a.email, b.email);
}

bool same_tokens(const Credential& a, const Credential& b)
{
    return a.access_token.same_as(b.access_token) && a.refresh_token.same_as(b.refresh_token);
}

bool is_broken(const Provider& provider, const std::filesystem::path& file)
{
    const auto read = read_token_file(provider, file);
    return !read.has_value() || read->missing;
}

/// The e-mail's part before the @, as far as a file's name can have it.
std::string name_from(std::string_view email)
{
    std::string name;
    for (const char c : email.substr(0, email.find('@'))) {
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (c >= 'A' && c <= 'Z')
            name += static_cast<char>(c - 'A' + 'a');
        else if (plain)
            name += c;
        if (name.size() >= kMadeNameBytesMax) break;
    }
    const std::size_t begin = std::min(name.find_first_not_of(".-"), name.size());
    return name.substr(begin);
}

} // namespace

UploadAnswer AccountIntake::take(const Upload& upload, shared::UnixMillis now)
{
    if (const std::string_view fault = kind_of_file(upload.file.reveal()); !fault.empty())
        return answer(UploadEnd::invalid, std::string(fault) + ".");
    const Result<Read> made = read(upload);
    if (!made) return answer(UploadEnd::invalid, made.error().text() + ".");
    const Credential& credential = made->credential;
    const bool is_over = credential.kind == CredentialKind::oauth &&
                         credential.refresh_token.empty() && credential.expires_at.is_set() &&
                         credential.expires_at <= now;
    if (is_over)
        return answer(
            UploadEnd::invalid,
            "its access token has ended and there is no refresh token; sign in again and send the "
            "new file.");
    if (const auto* const same = same_account(*made))
        return replace(upload, *made, same->first, same->second);
    return add(upload, *made);
}

Result<AccountIntake::Read> AccountIntake::read(const Upload& upload) const
{
    const std::string_view text = upload.file.reveal();
    if (upload.wish.provider.empty()) return read_as_any(text);
    const Provider* const provider = registry_.find(upload.wish.provider);
    if (provider == nullptr)
        return Problem{"provider", "there is no such provider", "choose one of those the pool has"};
    auto credential = provider->parse_credential(text);
    if (credential) return Read{provider, std::move(*credential)};
    for (const auto& other : registry_.all()) {
        if (other.get() == provider || !other->parse_credential(text)) continue;
        return Problem{
            "the file",
            "is one of " + std::string(other->display_name()) + ", not of " +
                std::string(provider->display_name()),
            "choose the provider that it is for"};
    }
    Problem problem = credential.error();
    problem.where = "the file";
    return problem;
}

Result<AccountIntake::Read> AccountIntake::read_as_any(std::string_view text) const
{
    std::vector<Read> fits;
    std::string faults;
    bool all_alike = true;
    for (const auto& provider : registry_.all()) {
        auto credential = provider->parse_credential(text);
        if (credential) {
            fits.push_back({provider.get(), std::move(*credential)});
            continue;
        }
        const std::string& fault = credential.error().what;
        all_alike = all_alike && (faults.empty() || faults == fault);
        if (faults.empty()) faults = fault;
    }
    if (fits.size() == 1) return std::move(fits.front());
    if (fits.empty())
        return Problem{
            "the file",
            all_alike ? faults : "is no credential file of any provider",
            "send the file that the vendor's CLI wrote when you signed in, or an API key as the "
            "README shows"};
    std::string names;
    for (const Read& fit : fits)
        names.append(names.empty() ? "" : " or ").append(fit.provider->display_name());
    return Problem{"the file", "may be one of " + names, "say which provider it is for"};
}

const std::map<std::string, Roster::Held, std::less<>>::value_type*
AccountIntake::same_account(const Read& made) const
{
    for (const auto& known : roster_.held()) {
        if (known.second.provider == made.provider->id() &&
            shared::same_login(known.second.credential, made.credential))
            return &known;
    }
    return nullptr;
}

UploadAnswer AccountIntake::add(const Upload& upload, const Read& made) const
{
    const std::string& user = upload.wish.owner;
    if (!user.empty() && contributed_by(user) >= kContributedMax)
        return answer(
            UploadEnd::conflict,
            "You have contributed " + std::to_string(kContributedMax) + " accounts already.");
    const std::string name = upload.wish.name.empty() ? name_for(made) : upload.wish.name;
    const auto file = shared::account_file_name(registry_, *made.provider, name);
    if (!file) return answer(UploadEnd::invalid, file.error().text() + ".");
    const std::string account = std::string(made.provider->name()) + ":" + name;
    const auto held = roster_.held().find(account);
    const bool is_theirs =
        held != roster_.held().end() && (user.empty() || owner_of(held->second.slot) == user);
    if (is_theirs && may_be_same(made.credential, held->second.credential))
        return replace(upload, made, account, held->second);
    // A file that has never been read with success gives way to one that can be.
    const bool is_broken = held == roster_.held().end() && is_taken(account, *file);
    if (is_broken && user.empty()) return put_over(upload, account, folder_ / *file);
    if (is_broken || held != roster_.held().end())
        return answer(
            UploadEnd::conflict, "There is another account " + account + "; choose another name.");
    const std::string_view text = upload.file.reveal();
    const shared::Secret owned =
        user.empty() ? shared::Secret(std::string(text)) : shared::with_owner(text, user);
    if (auto stored = shared::create_file(folder_ / *file, owned.reveal()); !stored)
        return answer(UploadEnd::failed, stored.error().text() + ".");
    return answer(UploadEnd::added, account + " was added.", account);
}

UploadAnswer AccountIntake::replace(
    const Upload& upload,
    const Read& made,
    const std::string& account,
    const Roster::Held& held) const
{
    const std::string& user = upload.wish.owner;
    // Whose account it is is told to nobody else, nor what its name is.
    if (!user.empty() && owner_of(held.slot) != user)
        return answer(UploadEnd::conflict, "This account is in the pool already, as another's.");
    if (same_tokens(made.credential, held.credential))
        return answer(
            UploadEnd::unchanged, account + " is in the pool with this file already.", account);
    const bool is_dead = needs_login(held.slot) || is_broken(*made.provider, held.file);
    if (!is_dead && !is_newer(made.credential, held.credential))
        return answer(
            UploadEnd::unchanged,
            account + " is in the pool with a newer login; nothing was changed.",
            account);
    return put_over(upload, account, held.file);
}

UploadAnswer AccountIntake::put_over(
    const Upload& upload, const std::string& account, const std::filesystem::path& file) const
{
    auto before = shared::read_file(file, shared::kCredentialBytesMax, "credential file");
    if (!before) return answer(UploadEnd::failed, before.error().text() + ".", account);
    const shared::Secret old(std::move(before->bytes));
    const shared::Secret text = shared::with_options_of(upload.file.reveal(), old.reveal());
    auto replacement = FileReplacement::prepare(file, text.reveal().size());
    if (!replacement) return answer(UploadEnd::failed, replacement.error().text() + ".", account);
    const auto beside = file.parent_path() / ("." + file.filename().string() + ".replaced");
    if (auto kept = shared::replace_file(beside, old.reveal()); !kept)
        return answer(UploadEnd::failed, kept.error().text() + ".", account);
    if (auto stored = replacement->commit(text.reveal()); !stored)
        return answer(UploadEnd::failed, stored.error().text() + ".", account);
    return answer(
        UploadEnd::replaced,
        account + " has this login now; the file before is kept as " + beside.filename().string() +
            ".",
        account);
}

std::string AccountIntake::name_for(const Read& made) const
{
    std::string base = name_from(made.credential.email);
    if (!shared::account_file_name(registry_, *made.provider, base))
        base = made.credential.kind == CredentialKind::api_key ? "key" : "account";
    for (int i = 1; i <= kNamesTriedMax; ++i) {
        const std::string name = i == 1 ? base : base + "-" + std::to_string(i);
        const auto file = shared::account_file_name(registry_, *made.provider, name);
        const std::string account = std::string(made.provider->name()) + ":" + name;
        if (file && !is_taken(account, *file)) return name;
    }
    return base;
}

bool AccountIntake::is_taken(std::string_view account, const std::string& file) const
{
    std::error_code error;
    return roster_.held().contains(account) ||
           std::filesystem::exists(std::filesystem::symlink_status(folder_ / file, error));
}

std::size_t AccountIntake::contributed_by(std::string_view user) const
{
    const auto& held = roster_.held();
    return static_cast<std::size_t>(std::count_if(held.begin(), held.end(), [&](const auto& known) {
        return owner_of(known.second.slot) == user;
    }));
}

std::string AccountIntake::owner_of(shared::AccountSlot slot) const
{
    const auto owner = segment_.accounts[slot.value].with_lock(
        [](const shared::AccountRecord& record) { return record.identity.owner; });
    return std::string(owner.view());
}

bool AccountIntake::needs_login(shared::AccountSlot slot) const
{
    return segment_.accounts[slot.value].with_lock([](const shared::AccountRecord& record) {
        return record.routing.state == shared::AccountState::needs_login;
    });
}

} // namespace refresher
