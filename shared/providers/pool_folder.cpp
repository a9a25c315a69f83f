#include "shared/providers/pool_folder.hpp"

#include "shared/base/read_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace shared {

namespace {

/// As much of an id as every place that shows it can hold (FixedString<80> in the segment).
constexpr std::size_t kAccountIdBytesMax = 80;

constexpr std::string_view kSuffix = ".json";
/// Of a name that a file is made with.
constexpr std::size_t kNameBytesMax = 64;

/// The provider with the longest prefix that `stem` begins with; an empty prefix takes the rest.
const Provider* provider_of(const ProviderRegistry& registry, std::string_view stem)
{
    const Provider* best = nullptr;
    for (const auto& provider : registry.all()) {
        if (!stem.starts_with(provider->file_prefix())) continue;
        if (best == nullptr || provider->file_prefix().size() > best->file_prefix().size())
            best = provider.get();
    }
    return best;
}

bool is_name_char(char c) noexcept
{
    constexpr std::string_view kOthers = "._@+-";
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
}

/// A file that should be a credential of `provider`.
struct Candidate {
    const Provider* provider = nullptr;
    std::string id;
    std::filesystem::path file;
};

/// One run of load_pool.
class Loader {
public:
    Loader(const ProviderRegistry& registry, const std::filesystem::path& folder)
        : registry_(registry), folder_(folder)
    {}

    PoolLoad load()
    {
        list_folder(folder_, nullptr);
        if (load_.fatal) return std::move(load_);
        sort_and_bound();
        for (const Candidate& candidate : candidates_)
            load_file(candidate);
        std::sort(
            load_.accounts.begin(),
            load_.accounts.end(),
            [](const LoadedAccount& a, const LoadedAccount& b) { return a.id < b.id; });
        return std::move(load_);
    }

private:
    /// `owner` is the provider of a sub-folder, null in the flat folder.
    void list_folder(const std::filesystem::path& folder, const Provider* owner)
    {
        std::error_code error;
        std::filesystem::directory_iterator entry(folder, error);
        for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
            const std::string name = entry->path().filename().string();
            if (name.starts_with('.')) continue;
            const Provider* sub = owner == nullptr ? registry_.find(name) : nullptr;
            std::error_code ignored;
            if (sub != nullptr && entry->is_directory(ignored)) {
                list_folder(entry->path(), sub);
                if (load_.fatal) return;
            } else if (name.ends_with(kSuffix)) {
                add_candidate(entry->path(), name, owner);
            }
        }
        if (error) load_.fatal = folder_problem(folder, error);
    }

    void
    add_candidate(const std::filesystem::path& file, std::string_view name, const Provider* owner)
    {
        std::string_view stem = name.substr(0, name.size() - kSuffix.size());
        const Provider* provider = owner != nullptr ? owner : provider_of(registry_, stem);
        if (provider == nullptr) return;
        if (owner == nullptr) stem.remove_prefix(provider->file_prefix().size());
        const std::string id = fmt::format("{}:{}", provider->name(), stem);
        std::string fault;
        if (stem.empty())
            fault = "its name has nothing after the provider's prefix";
        else if (printable(stem) != stem)
            fault = "its name has control characters or is no UTF-8";
        else if (id.size() > kAccountIdBytesMax)
            fault =
                fmt::format("its name is too long (account ids have {} bytes)", kAccountIdBytesMax);
        if (fault.empty())
            candidates_.push_back({provider, id, file});
        else
            load_.problems.push_back(
                {printable(file.string()), fault, "rename it; the name becomes the account's id"});
    }

    /// By file name, so that which of two duplicates is served does not depend on the folder's order.
    void sort_and_bound()
    {
        std::sort(
            candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
                return std::forward_as_tuple(a.file.filename().native(), a.file.native()) <
                       std::forward_as_tuple(b.file.filename().native(), b.file.native());
            });
        if (candidates_.size() <= kPoolFilesMax) return;
        load_.problems.push_back(
            {printable(folder_.string()),
             fmt::format(
                 "holds {} credential files; only the first {} by name are read",
                 candidates_.size(),
                 kPoolFilesMax),
             "move the others away"});
        candidates_.resize(kPoolFilesMax);
    }

    void load_file(const Candidate& candidate)
    {
        if (const LoadedAccount* first = find_id(candidate.id)) {
            // Not broken: the account is served, from the other file.
            load_.problems.push_back(
                {printable(candidate.file.string()),
                 fmt::format(
                     "has the same account id, {}, as {}",
                     candidate.id,
                     printable(first->file.string())),
                 "rename or remove one of them"});
            return;
        }
        auto text = read_file(candidate.file, kCredentialBytesMax, "credential file");
        if (!text) return broken(candidate, text.error());
        if (text->missing) return; // gone since the folder was listed
        const unsigned mode = text->mode;
        const Secret bytes(std::move(text->bytes));
        if (bytes.reveal().find_first_not_of(" \t\r\n") == std::string_view::npos)
            return broken(candidate, {{}, "the file is empty", "put the credential into it again"});
        auto credential = candidate.provider->parse_credential(bytes.reveal());
        if (!credential) return broken(candidate, credential.error());

        LoadedAccount account{
            candidate.id, candidate.provider->id(), std::move(*credential), candidate.file, {}};
        if (const LoadedAccount* first = find_same(account)) {
            load_.problems.push_back(
                {printable(candidate.file.string()),
                 fmt::format("is the same account as {}", printable(first->file.string())),
                 "remove one of them; two copies of one login end each other's refresh tokens"});
            return;
        }
        account.warnings = account.credential.warnings;
        const std::string exposed = exposure_warning(account.file, mode);
        if (!exposed.empty()) account.warnings.push_back(exposed);
        load_.broken.erase(account.id); // another file of this id was broken; this one serves
        load_.accounts.push_back(std::move(account));
    }

    void broken(const Candidate& candidate, Problem problem)
    {
        problem.where = printable(candidate.file.string());
        // Two broken files of one id: the first names the fault, both are listed.
        load_.broken.try_emplace(candidate.id, load_.problems.size());
        load_.problems.push_back(std::move(problem));
    }

    [[nodiscard]] const LoadedAccount* find_id(std::string_view id) const
    {
        for (const LoadedAccount& account : load_.accounts)
            if (account.id == id) return &account;
        return nullptr;
    }

    /// Another file of the same login at the vendor.
    [[nodiscard]] const LoadedAccount* find_same(const LoadedAccount& account) const
    {
        for (const LoadedAccount& other : load_.accounts)
            if (other.provider == account.provider &&
                same_login(other.credential, account.credential))
                return &other;
        return nullptr;
    }

    static Problem folder_problem(const std::filesystem::path& folder, const std::error_code& error)
    {
        Problem problem{printable(folder.string()), {}, {}};
        if (error == std::errc::no_such_file_or_directory) {
            problem.what = "the pool folder does not exist";
            problem.remedy = fmt::format(
                "create it (mkdir -m 700 {}) and put credential files into it, or set pool_dir "
                "(POOL_DIR)",
                shell_quoted(folder.string()));
        } else if (error == std::errc::not_a_directory) {
            problem.what = "the pool folder is a file";
            problem.remedy =
                "set pool_dir (POOL_DIR) to the folder that holds the credential files";
        } else {
            problem.what = fmt::format("the pool folder cannot be read: {}", error.message());
            problem.remedy = fmt::format(
                "give it to the user that runs codex-pool: chown, or chmod u+rx {}",
                shell_quoted(folder.string()));
        }
        return problem;
    }

    const ProviderRegistry& registry_;
    const std::filesystem::path& folder_;
    std::vector<Candidate> candidates_;
    PoolLoad load_;
};

} // namespace

PoolLoad load_pool(const ProviderRegistry& registry, const std::filesystem::path& folder)
{
    return Loader(registry, folder).load();
}

bool same_login(const Credential& a, const Credential& b)
{
    if (a.kind != b.kind) return false;
    const auto equal = [](const Secret& x, const Secret& y) { return !x.empty() && x.same_as(y); };
    if (equal(a.access_token, b.access_token) || equal(a.refresh_token, b.refresh_token))
        return true;
    // The members of a company's workspace share its account id; their quotas are their own.
    const bool two_people = !a.email.empty() && !b.email.empty() && a.email != b.email;
    return !a.account_id.empty() && a.account_id == b.account_id && !two_people;
}

Result<std::string>
account_file_name(const ProviderRegistry& registry, const Provider& provider, std::string_view name)
{
    const bool safe = !name.empty() && name.size() <= kNameBytesMax && name.front() != '.' &&
                      name.front() != '-' && std::all_of(name.begin(), name.end(), is_name_char);
    if (!safe)
        return Problem{
            "the name",
            fmt::format(
                "must have 1 to {} letters, digits or any of ._@+- and begin with no dot or dash",
                kNameBytesMax),
            "choose another"};
    const std::string stem = std::string(provider.file_prefix()).append(name);
    if (const Provider* const taken = provider_of(registry, stem); taken != &provider)
        return Problem{
            "the name",
            fmt::format("begins like those of {} files", taken->display_name()),
            "choose another"};
    return Result<std::string>(boost::system::in_place_value, stem + std::string(kSuffix));
}

} // namespace shared
