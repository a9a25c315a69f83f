/// `codex-pool logs`: the service's journal, by way of journalctl.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace supervisor::shell {

struct LogsOptions {
    bool follow = false;
    bool json = false;
    std::string lines;   ///< the last so many
    std::string since;   ///< as journalctl takes it: "1 hour ago"
    std::string user;    ///< id of a pool user
    std::string account; ///< "codex:work"
    std::string request; ///< its X-Request-Id
};

/// The command that shows them.
[[nodiscard]] std::vector<std::string> journalctl_command(const LogsOptions& options);

/// Becomes journalctl. Returns only where there is none: 1, and `err` says where the log is instead.
[[nodiscard]] int run_logs(const LogsOptions& options, std::ostream& err);

} // namespace supervisor::shell
