/// The only main(): reads the command line and calls what it asks for. Children of the running tree come through here
/// too, exec'ed by supervisor/spawn.
#include "admin_ui/admin_server.hpp"
#include "refresher/refresher.hpp"
#include "shared/base/clock.hpp"
#include "shared/base/log_setup.hpp"
#include "shared/providers/provider.hpp"
#include "supervisor/check.hpp"
#include "supervisor/control_command.hpp"
#include "supervisor/demo.hpp"
#include "supervisor/drainer.hpp"
#include "supervisor/given_credentials.hpp"
#include "supervisor/options.hpp"
#include "supervisor/simulate.hpp"
#include "supervisor/supervisor.hpp"
#include "worker/worker.hpp"

#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string_view>

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/shell/backup.hpp"
#include "supervisor/shell/commands.hpp"
#include "supervisor/shell/doctor.hpp"
#include "supervisor/shell/logs.hpp"

namespace {

using supervisor::Options;

shared::Environment environment()
{
    shared::Environment all;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const std::size_t equals = text.find('=');
        if (equals != std::string_view::npos)
            all.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    supervisor::add_given_secrets(supervisor::credentials_folder(all), all);
    return all;
}

/// Those this process may run on, which in a container is less than the machine has.
std::uint32_t cores()
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
    return static_cast<std::uint32_t>(CPU_COUNT(&set));
}

int run(const Options& options, int argc, char** argv)
{
    supervisor::ProgramStart start = supervisor::program_start(argc, argv, CODEX_POOL_VERSION);
    auto handover = supervisor::take_handover();
    if (!handover) {
        std::fprintf(stderr, "codex-pool: %s\n", handover.error().text().c_str());
        return 1;
    }
    if (*handover) start.binary = (*handover)->binary;
    const shared::ProviderRegistry registry;
    const auto load_again =
        [&registry, flags = options.flags, folder = std::filesystem::current_path()] {
            return shared::load_config(registry, flags, environment(), folder, cores());
        };
    const shared::ConfigLoad load = load_again();
    if (options.takeover_trial) return supervisor::run_trial(load.problems);
    for (const shared::Problem& problem : load.problems)
        std::fprintf(stderr, "codex-pool: %s\n", problem.text().c_str());
    if (!load.config) {
        if (*handover) (void)supervisor::give_back(**handover, start, load.problems.front().text());
        return 1;
    }
    shared::log::start({"supervisor", load.config->debug, load.config->log_format});
    supervisor::RunSettings settings;
    settings.load = load_again;
    settings.credentials = supervisor::credentials_folder(environment());
    settings.start = std::move(start);
    settings.handover = std::move(*handover);
    return supervisor::run(*load.config, settings);
}

int check(const Options& options)
{
    const shared::ProviderRegistry registry;
    supervisor::CheckInputs inputs;
    inputs.json = options.json;
    inputs.flags = options.flags;
    inputs.environment = environment();
    inputs.working_directory = std::filesystem::current_path();
    inputs.cores = cores();
    inputs.now = shared::now_unix();
    return supervisor::run_check(registry, inputs, std::cout, std::cerr);
}

int simulate(const Options& options)
{
    const shared::ProviderRegistry registry;
    supervisor::SimulateInputs inputs;
    inputs.options = options.simulate;
    inputs.flags = options.flags;
    inputs.environment = environment();
    inputs.working_directory = std::filesystem::current_path();
    inputs.cores = cores();
    inputs.now = shared::now_unix();
    return supervisor::run_simulate(registry, inputs, std::cout, std::cerr);
}

int demo(const Options& options)
{
    supervisor::DemoOptions demo_options;
    if (options.flags.listen) demo_options.listen = *options.flags.listen;
    return supervisor::run_demo(demo_options);
}

/// The pool is found by its data folder, so the configuration must be the running pool's.
int control(const Options& options)
{
    const shared::ProviderRegistry registry;
    const shared::ConfigLoad load = shared::load_config(
        registry, options.flags, environment(), std::filesystem::current_path(), cores());
    for (const shared::Problem& problem : load.problems)
        std::fprintf(stderr, "codex-pool: %s\n", problem.text().c_str());
    if (!load.config) return supervisor::kControlRefused;
    const std::filesystem::path folder = load.config->db_path.parent_path();
    using Kind = supervisor::ControlCommand::Kind;
    const auto style = supervisor::terminal_style();
    const bool json = options.control.json;
    if (options.control.kind == Kind::status)
        return supervisor::shell::run_status(json, style, folder, std::cout, std::cerr);
    if (options.control.kind == Kind::top)
        return supervisor::shell::run_top(json, style, folder, std::cout, std::cerr);
    return supervisor::run_control(options.control, folder, std::cout, std::cerr);
}

int doctor(const Options& options)
{
    const shared::ProviderRegistry registry;
    supervisor::shell::DoctorInputs inputs;
    inputs.json = options.json;
    inputs.share = options.share;
    inputs.flags = options.flags;
    inputs.environment = environment();
    inputs.working_directory = std::filesystem::current_path();
    inputs.cores = cores();
    inputs.now = shared::now_unix();
    inputs.style = supervisor::terminal_style();
    inputs.shows_progress = isatty(STDERR_FILENO) != 0;
    return supervisor::shell::run_doctor(registry, inputs, std::cout, std::cerr);
}

int backup(const Options& options)
{
    const shared::ProviderRegistry registry;
    supervisor::shell::BackupInputs inputs;
    inputs.options = options.backup;
    inputs.json = options.json;
    inputs.flags = options.flags;
    inputs.environment = environment();
    inputs.working_directory = std::filesystem::current_path();
    inputs.cores = cores();
    inputs.now = shared::now_unix();
    inputs.ask = supervisor::shell::ask_on_terminal;
    inputs.shows_progress = isatty(STDERR_FILENO) != 0;
    const auto run =
        options.command == Options::Command::backup ? supervisor::shell::run_backup : supervisor::shell::run_restore;
    return run(registry, inputs, std::cout, std::cerr);
}

int child(const Options& options)
{
    if (options.role == "worker") return worker::run(options.child);
    if (options.role == "refresher") return refresher::run(options.child);
    if (options.role == "admin") return admin_ui::run(options.child);
    if (options.role == "drainer") return supervisor::run_drainer(options.child);
    std::fprintf(stderr, "codex-pool: unknown role \"%s\"\n", options.role.c_str());
    return shared::kExitFatal;
}

int dispatch(const Options& options, int argc, char** argv)
{
    switch (options.command) {
    case Options::Command::run:
        return run(options, argc, argv);
    case Options::Command::check:
        return check(options);
    case Options::Command::demo:
        return demo(options);
    case Options::Command::simulate:
        return simulate(options);
    case Options::Command::version:
        std::puts(options.json ? R"({"version":")" CODEX_POOL_VERSION R"("})" : "codex-pool " CODEX_POOL_VERSION);
        return 0;
    case Options::Command::control:
        return control(options);
    case Options::Command::doctor:
        return doctor(options);
    case Options::Command::backup:
    case Options::Command::restore:
        return backup(options);
    case Options::Command::logs:
        return supervisor::shell::run_logs(options.logs, std::cerr);
    case Options::Command::child:
        return child(options);
    case Options::Command::help_or_error:
        return options.exit_code;
    }
    return 1;
}

} // namespace

int main(int argc, char** argv)
{
    // New files are private unless somebody says otherwise.
    umask(077);
    try {
        return dispatch(supervisor::parse_options(argc, argv), argc, argv);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "codex-pool: %s\n", e.what());
        return 1;
    }
}
