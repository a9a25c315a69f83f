#include "supervisor/shell/logs.hpp"

#include <cerrno>
#include <cstring>
#include <ostream>

#include <unistd.h>

namespace supervisor::shell {

std::vector<std::string> journalctl_command(const LogsOptions& options)
{
    std::vector<std::string> command{"journalctl", "--unit=codex-pool"};
    if (options.follow) command.emplace_back("--follow");
    if (options.json) command.emplace_back("--output=json");
    // Without a number journalctl shows everything from the beginning, which nobody wants to page through.
    const bool narrow = !options.since.empty() || !options.user.empty() ||
                        !options.account.empty() || !options.request.empty();
    if (!options.lines.empty())
        command.push_back("--lines=" + options.lines);
    else if (!options.follow && !narrow)
        command.emplace_back("--pager-end");
    if (!options.since.empty()) command.push_back("--since=" + options.since);
    if (!options.user.empty()) command.push_back("POOL_USER=" + options.user);
    if (!options.account.empty()) command.push_back("POOL_ACCOUNT=" + options.account);
    if (!options.request.empty()) command.push_back("POOL_REQUEST_ID=" + options.request);
    return command;
}

int run_logs(const LogsOptions& options, std::ostream& err)
{
    if (::access("/run/systemd/system", F_OK) != 0) {
        err << "codex-pool: systemd does not run here; the log is what the pool writes to its "
               "standard error\n";
        return 1;
    }
    std::vector<std::string> command = journalctl_command(options);
    std::vector<char*> arguments;
    for (std::string& word : command)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    err << "codex-pool: journalctl: " << std::strerror(errno)
        << "; the log is what the pool writes to its standard error\n";
    return 1;
}

} // namespace supervisor::shell
