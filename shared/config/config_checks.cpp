#include "shared/config/config_checks.hpp"

#include "shared/base/read_file.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shared {

namespace {

/// Page 0 of a BoltDB has 16 bytes of header, then the magic number in the byte order of the machine that wrote it.
constexpr std::size_t kBoltMagicOffset = 16;
constexpr std::array<unsigned char, 4> kBoltMagic{0xED, 0xDA, 0x0C, 0xED};

bool begins_like_bolt(int fd)
{
    std::array<unsigned char, 4> bytes{};
    const ssize_t count = ::pread(fd, bytes.data(), bytes.size(), kBoltMagicOffset);
    if (count != static_cast<ssize_t>(bytes.size())) return false;
    const std::array<unsigned char, 4> swapped{bytes[3], bytes[2], bytes[1], bytes[0]};
    return bytes == kBoltMagic || swapped == kBoltMagic;
}

std::optional<Problem> check_database(const std::filesystem::path& file)
{
    const std::string where = printable(file.string());

    struct stat status {};

    if (::stat(file.c_str(), &status) != 0) {
        if (errno == ENOENT) return std::nullopt;
        return Problem{
            where,
            fmt::format("the database cannot be reached: {}", std::strerror(errno)),
            "set db_path (PROXY_DB_PATH) to a file that can be written"};
    }
    if (!S_ISREG(status.st_mode))
        return Problem{
            where, "db_path names something that is no file", "name a file, like data/proxy.db"};
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return Problem{
            where,
            fmt::format("the database cannot be opened: {}", std::strerror(errno)),
            "give the file to the user that runs codex-pool"};
    const bool bolt = begins_like_bolt(fd);
    ::close(fd);
    if (!bolt) return std::nullopt;
    return Problem{
        where,
        "is a BoltDB database of the Go program, which is not read here and was left alone",
        "set db_path (PROXY_DB_PATH) to another file, or move this one away"};
}

/// How many users there are. A file that cannot be read has some.
std::size_t check_users(Config& config)
{
    const auto counted = count_pool_users(config.users_path);
    if (counted) return *counted;
    config.warnings.push_back(
        counted.error().text() + "; until then the pool lets none of its users in");
    return 1;
}

/// Nobody may spend the pool from outside without having been given something.
void check_protection(
    const Config& config,
    const ConfigValues& values,
    std::size_t users,
    std::vector<Problem>& problems)
{
    if (config.listen.is_loopback() || !config.friend_code.empty() ||
        !config.admin_password.empty() || users > 0)
        return;
    problems.push_back(
        {values.where("listen_addr"),
         fmt::format(
             "{} can be reached from other machines, and nothing protects the pool",
             config.listen.text()),
         "set friend_code (FRIEND_CODE) or pool_users.admin_password (POOL_ADMIN_PASSWORD), or "
         "listen "
         "on 127.0.0.1"});
}

/// Paths reach the children inside TOML, which is UTF-8.
void check_paths(const Config& config, std::vector<Problem>& problems)
{
    for (const Setting& setting : settings()) {
        const auto* field = std::get_if<std::filesystem::path Config::*>(&setting.field);
        if (field == nullptr || is_utf8((config.**field).string())) continue;
        problems.push_back(
            {printable((config.**field).string()),
             fmt::format("the path of {} is no UTF-8", setting.key),
             "rename the folders in it"});
    }
}

void check_tls(const Config& config, const ConfigValues& values, std::vector<Problem>& problems)
{
    if (config.tls_cert.empty() == config.tls_key.empty()) return;
    const bool cert = !config.tls_cert.empty();
    problems.push_back(
        {values.where(cert ? "tls_cert" : "tls_key"),
         cert ? "tls_cert is set and tls_key is not" : "tls_key is set and tls_cert is not",
         "set both to serve https, or neither"});
}

void check_limits(Config& config, const ConfigValues& values)
{
    const auto given = [&](std::string_view key) { return !values.where(key).empty(); };
    if (config.max_replay_bytes > config.max_body_bytes && given("max_replay_bytes"))
        config.warnings.push_back(fmt::format(
            "{}: max_replay_bytes is larger than max_body_bytes ({}), beyond which bodies are "
            "refused",
            values.where("max_replay_bytes"),
            config.max_body_bytes));
    if (config.first_byte_timeout_seconds > config.all_attempts_timeout_seconds &&
        given("first_byte_timeout_seconds"))
        config.warnings.push_back(fmt::format(
            "{}: first_byte_timeout_seconds is larger than all_attempts_timeout_seconds ({}), "
            "which "
            "ends the first attempt",
            values.where("first_byte_timeout_seconds"),
            config.all_attempts_timeout_seconds));
    constexpr std::size_t kJwtSecretBytesMin = 32;
    const std::size_t length = config.jwt_secret.reveal().size();
    if (length > 0 && length < kJwtSecretBytesMin)
        config.warnings.push_back(fmt::format(
            "{}: jwt_secret has {} characters; use at least {} random ones",
            values.where("pool_users.jwt_secret"),
            length,
            kJwtSecretBytesMin));
}

} // namespace

namespace {

/// The list in a users file's document; nullptr if it is none.
const nlohmann::json* users_list(const nlohmann::json& document)
{
    const nlohmann::json* users = &document;
    if (document.is_object() && document.contains("users")) users = &document["users"];
    return users->is_array() ? users : nullptr;
}

} // namespace

bool is_users_text(std::string_view text)
{
    return users_list(nlohmann::json::parse(text, nullptr, false)) != nullptr;
}

Problem no_users_list(const std::filesystem::path& file)
{
    return {
        printable(file.string()),
        "the users file is no JSON list",
        "mend it, or move it away to start without users"};
}

Result<std::size_t> count_pool_users(const std::filesystem::path& file)
{
    const auto text = read_file(file, kUsersBytesMax, "users file");
    if (!text) return text.error();
    if (text->missing) return std::size_t{0};
    const auto document = nlohmann::json::parse(text->bytes, nullptr, false);
    const nlohmann::json* const users = users_list(document);
    if (users == nullptr) return no_users_list(file);
    return users->size();
}

void check_whole(Config& config, const ConfigValues& values, std::vector<Problem>& problems)
{
    const std::size_t users = check_users(config);
    config.shared_mode = !config.friend_code.empty() || !config.admin_password.empty() ||
                         users > 0 || !config.listen.is_loopback();
    check_protection(config, values, users, problems);
    if (auto problem = check_database(config.db_path)) problems.push_back(std::move(*problem));
    check_paths(config, problems);
    check_tls(config, values, problems);
    check_limits(config, values);
}

} // namespace shared
