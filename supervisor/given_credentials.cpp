#include "supervisor/given_credentials.hpp"

#include "shared/base/hash.hpp"
#include "shared/base/log.hpp"
#include "shared/base/read_file.hpp"
#include "shared/base/write_file.hpp"
#include "shared/config/config_keys.hpp"

#include <algorithm>
#include <map>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace supervisor {
namespace {

using shared::Result;

constexpr std::size_t kSecretBytesMax = std::size_t{64} * 1024;
constexpr std::size_t kCredentialBytesMax = std::size_t{1} << 20U;
constexpr std::size_t kRecordBytesMax = std::size_t{1} << 20U;

std::string digest(std::string_view bytes)
{
    const shared::Sha256Digest sum = shared::sha256(bytes);
    return shared::to_hex({reinterpret_cast<const char*>(sum.data()), sum.size()});
}

/// Lines "digest name".
std::map<std::string, std::string> parse_record(const std::string& text)
{
    std::map<std::string, std::string> imported;
    std::istringstream lines(text);
    std::string sum;
    std::string name;
    while (lines >> sum && std::getline(lines >> std::ws, name))
        imported[name] = sum;
    return imported;
}

std::string to_text(const std::map<std::string, std::string>& imported)
{
    std::string text;
    for (const auto& [name, sum] : imported)
        text.append(sum).append(" ").append(name).append("\n");
    return text;
}

/// In the order of their names; none if the folder cannot be read.
std::vector<std::filesystem::path> account_files(const std::filesystem::path& folder)
{
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

} // namespace

std::filesystem::path credentials_folder(const shared::Environment& environment)
{
    const auto found = environment.find("CREDENTIALS_DIRECTORY");
    if (found == environment.end()) return {};
    return found->second;
}

void add_given_secrets(const std::filesystem::path& folder, shared::Environment& environment)
{
    if (folder.empty()) return;
    for (const shared::Setting& setting : shared::settings()) {
        const bool secret = std::holds_alternative<shared::Secret shared::Config::*>(setting.field);
        if (!secret || setting.environment.empty() || environment.contains(setting.environment))
            continue;
        for (const std::string_view name : {setting.environment, setting.key}) {
            auto text = shared::read_file(folder / name, kSecretBytesMax, "secret");
            if (!text || text->missing) continue;
            while (text->bytes.ends_with('\n'))
                text->bytes.pop_back();
            environment.emplace(setting.environment, std::move(text->bytes));
            break;
        }
    }
}

Result<std::size_t> import_credentials(
    const std::filesystem::path& folder,
    const std::filesystem::path& pool_folder,
    const std::filesystem::path& record)
{
    if (folder.empty()) return std::size_t{0};
    auto known = shared::read_file(record, kRecordBytesMax, "record of imported credentials");
    if (!known) return known.error();
    std::map<std::string, std::string> imported = parse_record(known->bytes);
    std::size_t count = 0;
    for (const std::filesystem::path& file : account_files(folder)) {
        auto text = shared::read_file(file, kCredentialBytesMax, "credential file");
        if (!text) return text.error();
        const std::string name = file.filename();
        const std::string sum = digest(text->bytes);
        if (imported[name] == sum) continue;
        if (auto copied = shared::replace_file(pool_folder / name, text->bytes); !copied)
            return copied.error();
        imported[name] = sum;
        ++count;
        shared::log::info("event=credential_imported file={}", name);
        // Before the next one: an import that is not remembered would be repeated over a renewed token.
        if (auto kept = shared::replace_file(record, to_text(imported)); !kept) return kept.error();
    }
    return count;
}

} // namespace supervisor
