/// The owner's commands to a running pool: `codex-pool why`, `events`, `accounts …`, `users …`, `usage`, `requests`,
/// `reload`, `upgrade`, `status`, `top`. Each is one request to the admin API over control.sock; what comes back is
/// printed.
#pragma once

#include "supervisor/control_client.hpp"

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace supervisor {

struct ControlCommand {
    enum class Kind : std::uint8_t {
        why,
        events,
        accounts,
        account_action,
        account_add,
        reload,
        upgrade,
        usage,
        requests,
        users,
        status, ///< supervisor/shell/commands prints it
        top,    ///< the same
    };

    Kind kind = Kind::why;
    /// why: a request's id; account_action: an account's id; account_add: a file, "-" = standard input; users: a
    /// user's id
    std::string subject;
    /// accounts: enable, disable, clear, refresh, test. users: list (also empty), add, show, enable, disable, rotate,
    /// invite, limits, delete.
    std::string action;
    /// accounts add, users add, users limits: what is given, by its name in the API. "default" takes a limit back.
    std::vector<std::pair<std::string, std::string>> fields;
    bool json = false;
    bool follow = false; ///< events: goes on with what comes
    /// usage, requests: what to show, by the names of the API's parameters; empty values do not matter.
    std::map<std::string, std::string> query;
};

/// What the terminal can take.
struct TerminalStyle {
    bool colour = false;
    bool bars = false;
    unsigned columns = 0; ///< 0 = not known
    unsigned rows = 0;    ///< the same
};

/// Of standard output: colours and bars only on a terminal, no colours with NO_COLOR or TERM=dumb.
[[nodiscard]] TerminalStyle terminal_style();

/// Exit codes of these commands.
inline constexpr int kControlDone = 0;
inline constexpr int kControlRefused =
    1; ///< the pool answered, and the answer is no: unknown id, failed action
inline constexpr int kControlUnreachable = 3; ///< no pool is running there, or it did not answer

/// The request a command is. Ids are percent-encoded: they are names of files.
[[nodiscard]] ControlCall
control_call(const ControlCommand& command, const TerminalStyle& style = {});

/// `{"error":"…"}` as the sentence in it; anything else as it is, without line breaks at its end.
[[nodiscard]] std::string refusal_sentence(const std::string& body);

/// Asks the pool whose data folder this is; prints the answer to `out`, refusals and problems to `err`.
[[nodiscard]] int run_control(
    const ControlCommand& command,
    const std::filesystem::path& data_folder,
    std::ostream& out,
    std::ostream& err);

} // namespace supervisor
