#include "admin_ui/pages.hpp"
#include "admin_ui/people_pages.hpp"
#include "admin_ui/people_routes.hpp"
#include "admin_ui/responses.hpp"
#include "admin_ui/setup_script.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace admin_ui {
namespace {

constexpr const char* kScriptType = "text/x-shellscript; charset=utf-8";

bool is_name_char(char c) noexcept
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

bool is_v6_char(char c) noexcept
{
    return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' ||
           c == '.';
}

bool is_port(std::string_view text) noexcept
{
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size() && port > 0 && port <= 65535;
}

/// The two parts of "<cli>/<token>"; the second may be empty.
struct CliAndToken {
    std::string_view cli;
    std::string_view token;
};

CliAndToken split(std::string_view rest)
{
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    return {rest.substr(0, slash), rest.substr(std::min(slash + 1, rest.size()))};
}

bool wants_powershell(const PageRequest& request)
{
    const std::string_view shell = parameter(request.query, "shell");
    return shell == "powershell" || shell == "pwsh" || shell == "ps" || shell == "ps1";
}

/// For `curl … | bash`: one line that a person can read; for a browser a page.
PageResponse refusal(const PageRequest& request, unsigned status, const std::string& sentence)
{
    if (wants_html(request) || wants_json(request))
        return error_response(request, status, sentence);
    return made_response(status, kTextType, sentence + '\n');
}

constexpr const char* kDeadLink = "This link does not work: it was used already, is too old, or is "
                                  "for another CLI. Ask for a new "
                                  "one.";
constexpr const char* kNotShared =
    "The pool was started before it had users and serves nobody but its own machine; it has to be "
    "restarted.";
constexpr const char* kNoAddress =
    "The pool does not know which address you reach it at; its owner can set public_url.";

} // namespace

bool is_sane_host(std::string_view host) noexcept
{
    constexpr std::size_t kHostBytesMax = 255;
    if (host.empty() || host.size() > kHostBytesMax) return false;
    if (host.front() == '[') {
        const std::size_t end = host.find(']');
        if (end == std::string_view::npos || end < 3) return false;
        const std::string_view inside = host.substr(1, end - 1);
        if (!std::all_of(inside.begin(), inside.end(), is_v6_char)) return false;
        const std::string_view rest = host.substr(end + 1);
        if (rest.empty()) return true;
        if (rest.front() != ':') return false;
        return is_port(rest.substr(1));
    }
    const std::size_t colon = host.find(':');
    const std::string_view name = host.substr(0, colon);
    const bool named = !name.empty() && name.front() != '-' && name.front() != '.' &&
                       std::all_of(name.begin(), name.end(), is_name_char);
    if (!named) return false;
    return colon == std::string_view::npos || is_port(host.substr(colon + 1));
}

std::optional<std::string> pool_address(const PageRequest& request, const SiteSettings& site)
{
    if (!site.public_url.empty()) return client_address("", site.public_url, site.listen);
    // Over control.sock the Host says nothing.
    if (request.caller.role == CallerRole::owner && request.caller.user.empty())
        return "http://" + site.listen;
    if (!is_sane_host(request.host)) return std::nullopt;
    return (request.caller.https ? "https://" : "http://") + request.host;
}

PeopleRoutes::SetUp
PeopleRoutes::find_setup(const PageRequest& request, std::string_view rest, shared::UnixMillis now)
{
    SetUp made;
    const auto [cli, token] = split(rest);
    made.token = token;
    made.provider = people_.registry().find(cli);
    if (made.provider == nullptr) {
        made.refusal = refusal(request, 404, "There is no set-up for such a CLI.");
        return made;
    }
    const auto address = pool_address(request, site_);
    if (!address) {
        made.refusal = refusal(request, 400, kNoAddress);
        return made;
    }
    made.address = *address;
    made.user = people_.holder(cli, token, now);
    const bool local = !site_.shared_mode && token.empty();
    if (!local && !made.user)
        made.refusal = refusal(request, token.empty() ? 404 : 410, kDeadLink);
    else if (made.user && !site_.shared_mode)
        made.refusal = refusal(request, 503, kNotShared);
    else
        made.setup = people_.client_setup(
            *made.provider, made.user ? &*made.user : nullptr, made.address, now);
    return made;
}

PageResponse
PeopleRoutes::setup(const PageRequest& request, std::string_view rest, shared::UnixMillis now)
{
    const bool powershell = wants_powershell(request);
    if (rest == "undo") {
        if (powershell) return made_response(200, kTextType, powershell_undo_script());
        return made_response(200, kScriptType, undo_script());
    }
    SetUp found = find_setup(request, rest, now);
    if (found.refusal) return std::move(*found.refusal);
    if (wants_html(request)) {
        SetupView view;
        view.address = found.address;
        view.tabs.push_back(
            setup_tab(*found.provider, found.setup, found.address, std::string(found.token)));
        return made_response(200, kHtmlType, one_setup_page(view));
    }
    ScriptFacts facts;
    facts.cli = found.provider->name();
    facts.title = found.provider->display_name();
    facts.base_url = found.address;
    facts.local = !found.user;
    facts.config_path = "/config/" + facts.cli;
    if (found.user) facts.config_path.append("/").append(found.token);
    if (powershell) return made_response(200, kTextType, powershell_script(facts, found.setup));
    return made_response(200, kScriptType, bash_script(facts, found.setup));
}

PageResponse
PeopleRoutes::config(const PageRequest& request, std::string_view rest, shared::UnixMillis now)
{
    SetUp found = find_setup(request, rest, now);
    if (found.refusal) return std::move(*found.refusal);
    const bool reads_whole = request.method == "GET";
    if (found.user && reads_whole && !people_.spend(*found.user, found.token))
        return refusal(request, 410, kDeadLink);
    const std::string_view format = parameter(request.query, "format");
    if (format == "shell") return made_response(200, kTextType, shell_variables(found.setup));
    if (format == "variables") return made_response(200, kJsonType, json_variables(found.setup));
    return made_response(200, kJsonType, found.setup.document);
}

} // namespace admin_ui
