#include "supervisor/control_command.hpp"

#include "shared/base/percent.hpp"
#include "shared/base/wiping_allocator.hpp"
#include "supervisor/read_upload.hpp"
#include "supervisor/wait_notice.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ostream>
#include <string_view>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

namespace supervisor {
namespace {

// What the API takes.
constexpr unsigned kColumnsMin = 20;
constexpr unsigned kColumnsMax = 1000;
/// Longer than the admin child waits for its outcome.
constexpr std::chrono::seconds kUpgradePatience{130};

/// One request to /admin/pool-users.
void call_users(const ControlCommand& command, ControlCall& call)
{
    const std::string& action = command.action;
    const bool all = action.empty() || action == "list" || action == "add";
    call.target = "/admin/pool-users";
    if (!all) call.target += '/' + shared::percent_encoded(command.subject);
    if (action == "delete") {
        call.method = "DELETE";
    } else if (!action.empty() && action != "list" && action != "show") {
        call.method = "POST";
        if (action != "add") call.target += '/' + action;
    }
    call.target += std::string("?format=") + (command.json ? "json" : "text");
    for (const auto& [name, value] : command.fields) {
        const std::string text =
            value == "default" ? std::string() : shared::percent_encoded(value);
        call.form.append(call.form.empty() ? "" : "&").append(name).append("=").append(text);
    }
}

} // namespace

std::string refusal_sentence(const std::string& body)
{
    constexpr std::string_view kKey = "\"error\": \"";
    std::string text;
    const std::size_t key = body.find(kKey);
    if (key == std::string::npos) {
        text = body;
    } else {
        for (std::size_t i = key + kKey.size(); i < body.size() && body[i] != '"'; ++i) {
            if (body[i] == '\\' && i + 1 < body.size()) ++i;
            text += body[i];
        }
    }
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}

TerminalStyle terminal_style()
{
    TerminalStyle style;
    if (::isatty(STDOUT_FILENO) == 0) return style;
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string_view(value == nullptr ? "" : value);
    };
    style.bars = true;
    style.colour = variable("NO_COLOR").empty() && variable("TERM") != "dumb";
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
        style.columns = size.ws_col;
        style.rows = size.ws_row;
    }
    return style;
}

ControlCall control_call(const ControlCommand& command, const TerminalStyle& style)
{
    const std::string format = command.json ? "json" : "text";
    ControlCall call;
    switch (command.kind) {
    case ControlCommand::Kind::why:
        call.target =
            "/admin/why?id=" + shared::percent_encoded(command.subject) + "&format=" + format;
        break;
    case ControlCommand::Kind::events:
        call.target = "/admin/events?format=" + format + (command.follow ? "&follow=1" : "");
        call.body_may_pause = command.follow;
        break;
    case ControlCommand::Kind::status:
    case ControlCommand::Kind::top:
        call.target = "/admin/live?once=1";
        break;
    case ControlCommand::Kind::reload:
        call.method = "POST";
        call.target = "/admin/reload?format=" + format;
        break;
    case ControlCommand::Kind::upgrade:
        call.method = "POST";
        call.target = "/admin/upgrade?format=" + format;
        call.patience = kUpgradePatience;
        break;
    case ControlCommand::Kind::users:
        call_users(command, call);
        break;
    case ControlCommand::Kind::accounts:
        call.target = "/admin/accounts?format=" + format;
        break;
    case ControlCommand::Kind::usage:
    case ControlCommand::Kind::requests:
        call.target = command.kind == ControlCommand::Kind::usage ? "/admin/usage?format="
                                                                  : "/admin/requests?format=";
        call.target += format;
        for (const auto& [name, value] : command.query) {
            if (!value.empty()) call.target += '&' + name + '=' + shared::percent_encoded(value);
        }
        if (command.json) break;
        if (style.colour) call.target += "&color=1";
        if (style.bars) call.target += "&bars=1";
        if (style.columns >= kColumnsMin)
            call.target += "&columns=" + std::to_string(std::min(style.columns, kColumnsMax));
        break;
    case ControlCommand::Kind::account_add:
        call.method = "POST";
        call.content_type = "application/octet-stream";
        call.target = "/admin/accounts?format=" + format;
        for (const auto& [name, value] : command.fields)
            call.target += '&' + name + '=' + shared::percent_encoded(value);
        break;
    case ControlCommand::Kind::account_action:
        call.method = "POST";
        call.target = "/admin/accounts/" + shared::percent_encoded(command.subject) + '/' +
                      shared::percent_encoded(command.action) + "?format=" + format;
        break;
    }
    return call;
}

int run_control(
    const ControlCommand& command,
    const std::filesystem::path& data_folder,
    std::ostream& out,
    std::ostream& err)
{
    std::string refusal;
    ControlCall call = control_call(command, terminal_style());
    if (command.kind == ControlCommand::Kind::account_add) {
        auto file = read_upload(command.subject);
        if (!file) {
            err << "codex-pool: " << file.error().text() << '\n';
            return kControlRefused;
        }
        call.form = std::move(*file);
    }
    WaitNotice notice(err, ::isatty(STDERR_FILENO) != 0 && !command.follow);
    const auto status = ask_pool(data_folder, call, [&](unsigned answered, std::string_view piece) {
        notice.stop();
        // What is said while it goes on must be seen while it goes on.
        if (answered / 100 == 2)
            out << piece << std::flush;
        else
            refusal += piece;
    });
    notice.stop();
    shared::wipe(call.form);
    if (!status) {
        err << "codex-pool: " << status.error().text() << '\n';
        return kControlUnreachable;
    }
    if (*status / 100 == 2) return kControlDone;
    err << "codex-pool: " << refusal_sentence(refusal) << " (" << *status << ")\n";
    return kControlRefused;
}

} // namespace supervisor
