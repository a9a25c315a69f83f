/// The command line: `codex-pool [run|check|demo|status|top|doctor|why|…|version]` and their flags. CLI11 lives only in
/// options.cpp.
///
/// The children of the supervisor are started as `codex-pool child --role … --slot … --generation … --listener …`,
/// a subcommand that the help does not show.
#pragma once

#include "shared/config/config.hpp"
#include "shared/ipc/messages.hpp"
#include "supervisor/shell/backup_options.hpp"
#include "supervisor/shell/logs.hpp"
#include "supervisor/control_command.hpp"
#include "supervisor/simulate.hpp"

#include <cstdint>
#include <string>

namespace supervisor {

struct Options {
    enum class Command : std::uint8_t {
        run,           ///< also without a subcommand
        check,         ///< validate configuration and credential files, start nothing
        demo,          ///< the whole tree in front of built-in fake providers
        simulate,      ///< replay recorded traffic with other strategies
        version,       ///< print the version, exit 0
        control,       ///< ask the running pool: see `control`
        doctor,        ///< look at everything the pool depends on
        backup,        ///< everything into one file
        restore,       ///< and back
        logs,          ///< the service's journal
        child,         ///< one role of the running tree: see `role` and `child`
        help_or_error, ///< help or a mistake was printed already: exit with `exit_code`
    };

    Command command = Command::run;
    shared::ConfigFlags flags;    ///< all commands; demo: listen only
    SimulateOptions simulate;     ///< simulate
    ControlCommand control;       ///< control
    bool json = false;            ///< check, doctor, backup, restore, version
    bool share = false;           ///< doctor: says nothing about whose pool it is
    shell::BackupOptions backup;  ///< backup, restore
    shell::LogsOptions logs;      ///< logs
    std::string role;             ///< child: "worker", "refresher", "admin" or "drainer"
    shared::ChildArguments child; ///< child
    bool takeover_trial = false;  ///< run: only say whether a running pool can be taken over
    int exit_code = 0;            ///< help_or_error: 0 after help, 1 after a mistake
};

/// Prints help to stdout and mistakes to stderr (both give help_or_error). Never throws, never exits.
[[nodiscard]] Options parse_options(int argc, const char* const* argv);

} // namespace supervisor
