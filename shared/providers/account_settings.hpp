/// What owner actions have said about accounts, kept in a file of the data folder: it survives restarts and beats the
/// credential files. Nothing in it is secret but a proxy's password; the file is 0600.
///
///   {"version": 1, "accounts": {"codex:personal": {"disabled": true, "priority": 5}}}
#pragma once

#include "shared/base/result.hpp"
#include "shared/providers/account_options.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace shared {

class AccountSettings {
public:
    /// A file larger than this is refused.
    static constexpr std::size_t kBytesMax = 1U << 20U;

    explicit AccountSettings(std::filesystem::path file) : file_(std::move(file)) {}

    /// Reads the file; a missing one is an empty one. Problem: it cannot be used. It is then left as it is, and
    /// change() refuses until it has been mended and loaded again.
    [[nodiscard]] Result<void> load();

    [[nodiscard]] const std::map<std::string, AccountOptions, std::less<>>& all() const
    {
        return options_;
    }

    /// Takes over what `patch` (a JSON object of options) says; null takes an option back. On a Problem nothing has
    /// changed, neither here nor on the disk.
    [[nodiscard]] Result<AccountOptions>
    change(std::string_view account, std::string_view patch);

private:
    std::filesystem::path file_;
    std::map<std::string, std::string, std::less<>> texts_; ///< by account, JSON objects
    std::map<std::string, AccountOptions, std::less<>> options_;
    std::optional<Problem> unusable_;
};

} // namespace shared
