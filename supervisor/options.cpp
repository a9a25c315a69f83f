#include "supervisor/options.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supervisor {

namespace {

/// The program this one takes after has `-listen`; a habit costs nothing to keep.
std::string known_spelling(std::string_view argument)
{
    if (argument == "-listen" || argument.starts_with("-listen="))
        return "-" + std::string(argument);
    return std::string(argument);
}

/// Values that CLI11 fills in; copied into Options where the flag was given.
struct Values {
    std::string config;
    std::string listen;
    std::string pool_dir;
    std::string db_path;
    std::uint32_t workers = 0;
    bool debug = false;
};

struct CommonFlags {
    CLI::Option* config;
    CLI::Option* listen;
    CLI::Option* pool_dir;
    CLI::Option* db_path;
    CLI::Option* workers;
    CLI::Option* debug;
};

CommonFlags add_common(CLI::App& app, Values& values)
{
    return {
        app.add_option("-c,--config", values.config, "Configuration file (default: ./config.toml)")
            ->type_name("FILE"),
        app.add_option("-l,--listen", values.listen, "Address and port (default: 127.0.0.1:8989)")
            ->type_name("HOST:PORT"),
        app.add_option(
               "--pool-dir", values.pool_dir, "Folder of the credential files (default: pool)")
            ->type_name("FOLDER"),
        app.add_option("--db-path", values.db_path, "Usage database (default: data/proxy.db)")
            ->type_name("FILE"),
        app.add_option("--workers", values.workers, "Worker processes (default: cores, at most 4)")
            ->type_name("N"),
        app.add_flag("--debug,!--no-debug", values.debug, "Log every decision")};
}

/// Adds an option whose value becomes a field of the request.
void add_field(CLI::App* to, ControlCommand& command, const char* field, const char* help)
{
    std::string flag = std::string("--") + field;
    std::replace(flag.begin(), flag.end(), '_', '-');
    const auto take = [&command, field](const std::string& value) {
        command.fields.emplace_back(field, value);
    };
    to->add_option_function<std::string>(flag, take, help)->type_name("VALUE");
}

/// `accounts add`, which sends a file.
void add_account_add(CLI::App* accounts, ControlCommand& command)
{
    auto* add = accounts->add_subcommand("add", "Take a credential file into the pool");
    add->add_option("FILE", command.subject, "The file; - reads standard input")->required();
    add_field(add, command, "provider", "Whose it is, if the file does not tell");
    add_field(add, command, "name", "What to call the account (default: made from the file)");
    add->preparse_callback([&command](std::size_t) { command.action = "add"; });
}

/// `status`, `top`, `why`, `events`, `reload` and `accounts`, which ask the running pool.
void add_control(CLI::App& app, ControlCommand& command)
{
    using Kind = ControlCommand::Kind;
    const auto add_json = [&command](CLI::App* to) {
        to->add_flag("--json", command.json, "Print JSON");
    };
    auto* why = app.add_subcommand("why", "Tell why a request went where it went");
    why->add_option("REQUEST_ID", command.subject, "Its X-Request-Id")->required();
    why->callback([&command] { command.kind = Kind::why; });
    add_json(why);
    auto* events = app.add_subcommand("events", "Print what needed attention lately");
    events->add_flag("-f,--follow", command.follow, "Go on with what comes");
    events->callback([&command] { command.kind = Kind::events; });
    add_json(events);
    auto* reload = app.add_subcommand("reload", "Re-read settings and credential files");
    reload->callback([&command] { command.kind = Kind::reload; });
    add_json(reload);
    auto* status = app.add_subcommand("status", "Print the state of the pool on one screen");
    status->callback([&command] { command.kind = Kind::status; });
    add_json(status);
    auto* top = app.add_subcommand("top", "Show the pool live, ten times a second; q ends it");
    top->callback([&command] { command.kind = Kind::top; });
    add_json(top);
    auto* upgrade =
        app.add_subcommand("upgrade", "Let the program on disk take over, cutting nothing");
    upgrade->callback([&command] { command.kind = Kind::upgrade; });
    add_json(upgrade);
    auto* accounts = app.add_subcommand("accounts", "Print the accounts, or do something to one");
    accounts->require_subcommand(0, 1);
    accounts->callback([&command] {
        command.kind = command.action.empty() ? Kind::accounts : Kind::account_action;
        if (command.action == "add") command.kind = Kind::account_add;
    });
    add_json(accounts);
    constexpr std::array<std::array<const char*, 2>, 5> kActions{
        {{"enable", "Let it be picked again"},
         {"disable", "Never pick it"},
         {"clear", "Forget its cool-down, its failures and its penalty"},
         {"refresh", "Renew its token now"},
         {"test", "Make one tiny real request with it"}}};
    for (const auto& [name, help] : kActions) {
        auto* action = accounts->add_subcommand(name, help);
        action->add_option("ID", command.subject, "The account, as `accounts` prints it")
            ->required();
        action->preparse_callback(
            [&command, name = std::string(name)](std::size_t) { command.action = name; });
    }
    add_account_add(accounts, command);
}

/// `backup` and `restore`, which work on the data folder.
void add_backup(CLI::App& app, Options& options)
{
    shell::BackupOptions& backup = options.backup;
    auto* save =
        app.add_subcommand("backup", "Write everything that makes this pool into one file");
    auto* load = app.add_subcommand("restore", "Put it back while the pool does not run");
    for (CLI::App* command : {save, load}) {
        command->add_option("FILE", backup.file, "The backup")->required();
        command
            ->add_option(
                "--passphrase-file", backup.passphrase_file, "Its first line is the passphrase")
            ->type_name("FILE");
        command->add_flag("--json", options.json, "Print JSON");
    }
    save->add_flag("--encrypt", backup.encrypt, "Ask for a passphrase");
    load->add_flag("--check", backup.check, "Only look whether it is whole");
}

void add_logs(CLI::App& app, shell::LogsOptions& logs)
{
    auto* command = app.add_subcommand("logs", "Show the journal of the service");
    command->add_flag("-f,--follow", logs.follow, "Go on with what comes");
    command->add_flag("--json", logs.json, "Print JSON");
    command->add_option("-n,--lines", logs.lines, "The last so many lines")->type_name("N");
    command->add_option("--since", logs.since, "From then on, e.g. \"1 hour ago\"")
        ->type_name("TIME");
    command->add_option("--user", logs.user, "Only this user's requests")->type_name("ID");
    command->add_option("--account", logs.account, "Only what concerns this account")
        ->type_name("ID");
    command->add_option("--request", logs.request, "Only this request")->type_name("ID");
}

/// `usage` and `requests`: what the API's parameters are called is what the options are called.
void add_history(CLI::App& app, ControlCommand& command)
{
    using Kind = ControlCommand::Kind;
    const auto add =
        [&command](CLI::App* to, const char* name, const char* help, const char* type) {
            to->add_option(std::string("--") + name, command.query[name], help)->type_name(type);
        };
    auto* usage = app.add_subcommand("usage", "Print what was used when, by whom, of what");
    add(usage, "last", "So much of it (default: 7d)", "7d|48h");
    add(usage, "by", "Sum up per hour or day", "hour|day");
    add(usage, "group", "Tell apart by provider, model, account or user", "WHAT");
    add(usage, "user", "Only this user's", "ID");
    usage->add_flag("--json", command.json, "Print JSON");
    usage->callback([&command] { command.kind = Kind::usage; });
    auto* requests = app.add_subcommand("requests", "Print the last requests");
    add(requests, "user", "Only this user's", "ID");
    add(requests, "account", "Only this account's", "ID");
    add(requests, "model", "Only of this model", "NAME");
    add(requests, "status", "Only with this status: 429, 5xx, failed", "STATUS");
    add(requests, "limit", "At most so many (default: 100)", "N");
    requests->add_flag("--json", command.json, "Print JSON");
    requests->callback([&command] { command.kind = Kind::requests; });
}

void add_limits(CLI::App* to, ControlCommand& command)
{
    constexpr std::array<std::array<const char*, 2>, 8> kLimits{
        {{"requests_per_minute", "Requests in any 60 seconds"},
         {"tokens_per_day", "Billable tokens a day"},
         {"tokens_per_week", "Billable tokens a week"},
         {"share_percent", "Percent of what the pool can serve in a week"},
         {"concurrency", "Requests at a time"},
         {"models", "Models, comma-separated"},
         {"providers", "Providers, comma-separated"},
         {"expires_at", "A date like 2026-12-31, from which on nothing works"}}};
    for (const auto& [name, help] : kLimits)
        add_field(to, command, name, help);
}

/// `users`, which asks the running pool as well.
void add_users(CLI::App& app, ControlCommand& command)
{
    auto* users = app.add_subcommand("users", "Print the pool's users, or do something to one");
    users->require_subcommand(0, 1);
    users->callback([&command] { command.kind = ControlCommand::Kind::users; });
    users->add_flag("--json", command.json, "Print JSON");
    const auto add = [&](const char* name, const char* help, bool takes_id) {
        auto* action = users->add_subcommand(name, help);
        if (takes_id)
            action->add_option("ID", command.subject, "The user, as `users` prints it")->required();
        action->preparse_callback(
            [&command, name = std::string(name)](std::size_t) { command.action = name; });
        return action;
    };
    add("list", "Print them with what they used", false);
    auto* make = add("add", "Make one, and print the lines that set up its CLIs", false);
    add_field(make, command, "email", "E-mail");
    add_field(make, command, "name", "Name");
    add_limits(make, command);
    add("show", "Print one", true);
    add("disable", "Let it call no more", true);
    add("enable", "Let it call again", true);
    add("rotate", "Make all its credentials worthless", true);
    add("invite", "Print new lines that set up its CLIs", true);
    add_limits(
        add("limits", "Set limits of its own; \"default\" = as for all, 0 or * = none", true),
        command);
    add("delete", "Forget it", true);
}

/// The demo brings its own accounts and data, so that nothing of it can touch the real ones.
void forbid_in_demo(const CommonFlags& flags)
{
    for (const CLI::Option* option :
         {flags.config, flags.pool_dir, flags.db_path, flags.workers, flags.debug})
        if (option->count() > 0)
            throw CLI::ValidationError(
                option->get_name(),
                "the demo has its own accounts, data and settings; only --listen can be given");
}

template <class T>
void copy_given(const CLI::Option* option, const T& value, std::optional<T>& target)
{
    if (option->count() > 0) target = value;
}

CLI::App* add_simulate(CLI::App& app, SimulateOptions& simulate)
{
    CLI::App* command = app.add_subcommand(
        "simulate", "Replay recorded traffic with other strategies, side by side");
    command
        ->add_option("--strategy", simulate.strategies, "Comma-separated strategies (default: all)")
        ->type_name("S[,S…]");
    command->add_option("--last", simulate.last, "So much of the usage database (default: 7d)")
        ->type_name("7d|48h");
    command->add_flag("--json", simulate.json, "Print JSON");
    command->add_option("--trace", simulate.trace, "A CSV or JSON-lines file instead")
        ->type_name("FILE");
    command->add_option("--scenario", simulate.scenario, "Made-up traffic instead: week")
        ->type_name("NAME");
    command->add_option("--seed", simulate.seed, "Decides between equals (default: 1)")
        ->type_name("N");
    command
        ->add_option(
            "--accounts",
            simulate.accounts,
            "So many equal accounts per provider (default: those of the pool folder)")
        ->type_name("N");
    command
        ->add_option(
            "--load",
            simulate.load_percent,
            "Size quotas so that the requests need this much of them (default: 85)")
        ->type_name("PERCENT");
    command
        ->add_option(
            "--week-tokens",
            simulate.week_tokens,
            "Or: tokens in a weekly window of the smallest plan")
        ->type_name("N");
    return command;
}

/// Throws CLI::Error.
void parse(CLI::App& app, std::vector<std::string> arguments, Options& options)
{
    app.require_subcommand(0, 1);
    app.fallthrough();
    app.set_help_flag("-h,--help", "Show this help");
    app.footer("Settings come from flags, then the environment, then config.toml; see "
               "etc/config.example.toml.\n"
               "Signals to `run`: HUP re-reads settings and the pool folder, TERM finishes open "
               "requests and "
               "stops.\n"
               "Commands that ask the running pool exit with 0 when it is done, 1 when the pool "
               "says no, 3 "
               "when no pool answers.");
    Values values;
    const CommonFlags common = add_common(app, values);
    bool version = false;
    app.add_flag("-V,--version", version, "Print the version");
    app.add_flag("--takeover-trial", options.takeover_trial)->group("");
    app.add_subcommand("run", "Serve (also without a command)");
    auto* check = app.add_subcommand("check", "Validate configuration and credential files");
    check->add_flag("--json", options.json, "Print JSON");
    const auto* demo = app.add_subcommand("demo", "Serve built-in fake accounts, to look around");
    add_control(app, options.control);
    add_history(app, options.control);
    add_users(app, options.control);
    const auto* simulate = add_simulate(app, options.simulate);
    auto* doctor = app.add_subcommand("doctor", "Look at everything the pool depends on");
    doctor->add_flag("--share", options.share, "Leave out what says whose pool it is");
    doctor->add_flag("--json", options.json, "Print JSON");
    add_backup(app, options);
    add_logs(app, options.logs);
    auto* version_command = app.add_subcommand("version", "Print the version");
    version_command->add_flag("--json", options.json, "Print JSON");
    auto* child = app.add_subcommand("child", "One process of the running tree")->group("");
    child->add_option("--role", options.role)
        ->required()
        ->check(CLI::IsMember({"worker", "refresher", "admin", "drainer"}));
    child->add_option("--slot", options.child.slot)->required();
    child->add_option("--generation", options.child.generation)->required();
    child->add_option("--listener", options.child.listener)->required();
    child->add_flag("--hold", options.child.hold);

    app.parse(std::move(arguments));

    constexpr std::array kAskPool{
        "status",
        "top",
        "why",
        "events",
        "accounts",
        "reload",
        "upgrade",
        "usage",
        "requests",
        "users"};
    const bool asks_pool = std::any_of(kAskPool.begin(), kAskPool.end(), [&app](const char* name) {
        return app.got_subcommand(name);
    });
    using Command = Options::Command;
    if (version || version_command->parsed())
        options.command = Command::version;
    else if (check->parsed())
        options.command = Command::check;
    else if (demo->parsed())
        options.command = Command::demo;
    else if (asks_pool)
        options.command = Command::control;
    else if (doctor->parsed())
        options.command = Command::doctor;
    else if (app.got_subcommand("backup"))
        options.command = Command::backup;
    else if (app.got_subcommand("restore"))
        options.command = Command::restore;
    else if (app.got_subcommand("logs"))
        options.command = Command::logs;
    else if (simulate->parsed())
        options.command = Command::simulate;
    else if (child->parsed())
        options.command = Command::child;
    if (options.command == Command::demo) forbid_in_demo(common);
    copy_given(common.config, values.config, options.flags.config_path);
    copy_given(common.listen, values.listen, options.flags.listen);
    copy_given(common.pool_dir, values.pool_dir, options.flags.pool_dir);
    copy_given(common.db_path, values.db_path, options.flags.db_path);
    copy_given(common.workers, values.workers, options.flags.workers);
    copy_given(common.debug, values.debug, options.flags.debug);
}

} // namespace

Options parse_options(int argc, const char* const* argv)
{
    std::vector<std::string> arguments; // in reverse, as CLI11 takes them
    for (int i = argc - 1; i > 0; --i)
        arguments.push_back(known_spelling(argv[i]));
    const bool is_child = argc > 1 && std::string_view(argv[1]) == "child";

    Options options;
    CLI::App app(
        "Reverse proxy that pools accounts of Codex, Claude Code and Gemini CLI", "codex-pool");
    try {
        parse(app, std::move(arguments), options);
    } catch (const CLI::Success& help) {
        options.command = Options::Command::help_or_error;
        options.exit_code = app.exit(help, std::cout, std::cerr);
    } catch (const CLI::Error& error) {
        app.exit(error, std::cout, std::cerr);
        options.command = Options::Command::help_or_error;
        // A child started wrongly would be started wrongly again.
        options.exit_code = is_child ? shared::kExitFatal : 1;
    }
    return options;
}

} // namespace supervisor
