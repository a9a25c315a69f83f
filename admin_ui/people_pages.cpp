#include "admin_ui/people_pages.hpp"

#include "admin_ui/frame.hpp"
#include "admin_ui/page_parts.hpp"
#include "admin_ui/setup_script.hpp"
#include "shared/base/time_text.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace admin_ui {
namespace {

using shared::UnixMillis;

constexpr std::size_t kUsersOnPage = 500;

std::string framed_page(const PageFrame& page, const Html& content)
{
    Frame frame;
    frame.title = page.title;
    frame.place = page.place;
    frame.audience = Audience::nobody;
    if (page.role == CallerRole::user) frame.audience = Audience::friend_;
    if (page.role == CallerRole::owner) frame.audience = Audience::owner;
    return framed(frame, content);
}

Html code_block(std::string_view text)
{
    Html html;
    return html.raw("<pre tabindex=\"0\"><code>").text(text).raw("</code></pre>\n");
}

Html variables_part(const std::vector<shared::ClientVariable>& variables)
{
    std::string lines;
    for (const shared::ClientVariable& variable : variables)
        lines += "export " + variable.name + '=' + bash_quoted(variable.value) + '\n';
    return lines.empty() ? Html() : code_block(lines.substr(0, lines.size() - 1));
}

/// What the script does, for those who would rather do it themselves.
Html manual_part(const SetupTab& tab)
{
    Html html;
    html.raw("<details><summary>By hand instead</summary>\n");
    for (const shared::ClientFile& file : tab.setup.files) {
        const std::string path = "~/" + (file.folder == "." ? "" : file.folder + '/') + file.name;
        if (file.kind == shared::ClientFile::Kind::document) {
            if (file.keep_existing) {
                html.raw("<p>Any sign-in of its own will do.</p>\n");
            } else {
                html.raw("<p><code>").text(path).raw("</code> becomes:</p>\n");
                html.add(code_block(tab.setup.document));
            }
            continue;
        }
        html.raw("<p>Add to <code>").text(path).raw("</code>:</p>\n");
        std::string text =
            file.kind == shared::ClientFile::Kind::toml ? new_toml_file(file) : new_json_file(file);
        for (const shared::ClientVariable& variable : tab.setup.variables) {
            const std::string place = "${" + variable.name + '}';
            for (std::size_t at = text.find(place); at != std::string::npos;
                 at = text.find(place, at))
                text.replace(at, place.size(), variable.value);
        }
        html.add(code_block(text));
    }
    if (!tab.setup.variables.empty()) {
        html.raw("<p>In the shell's start-up file:</p>\n");
        html.add(variables_part(tab.setup.variables));
    }
    return html.raw("</details>\n");
}

Html api_part(const SetupTab& tab)
{
    const shared::ClientApi& api = tab.setup.api;
    Html html;
    html.raw("<details><summary>").text(api.label).raw("</summary>\n<p>Base URL <code>");
    html.text(api.base_url).raw("</code></p>\n").add(variables_part(api.variables));
    return html.raw("</details>\n");
}

Html tab_part(const SetupTab& tab, bool show_keys)
{
    Html html;
    html.raw("<section class=\"card\" id=\"").text(tab.cli).raw("\"><h2>").text(tab.title);
    html.raw("</h2>\n<p>Install it, if it is not there yet:</p>\n")
        .add(code_block(tab.setup.install));
    if (tab.has_line) {
        html.raw(
            "<p>Set it up with this line. It keeps your other settings, says what it changes, ");
        html.raw("and makes backups.</p>\n").add(code_block(tab.command));
        html.raw("<details><summary>Windows PowerShell</summary>\n")
            .add(code_block(tab.powershell));
        html.raw("</details>\n");
    }
    html.raw("<p>Try it:</p>\n").add(code_block(tab.setup.try_it));
    for (const std::string& note : tab.setup.notes)
        html.raw("<p class=\"soft\">").text(note).raw("</p>\n");
    if (tab.has_line) html.raw("<p>Undo it:</p>\n").add(code_block(tab.undo));
    if (show_keys) html.add(manual_part(tab)).add(api_part(tab));
    return html.raw("</section>\n");
}

Html tabs_part(const SetupView& view)
{
    Html html;
    html.raw("<nav class=\"jump\" aria-label=\"CLIs\">");
    for (const SetupTab& tab : view.tabs)
        html.raw("<a href=\"#").text(tab.cli).raw("\">").text(tab.title).raw("</a>");
    html.raw("</nav>\n");
    for (const SetupTab& tab : view.tabs)
        html.add(tab_part(tab, view.show_keys));
    return html;
}

Html field(
    std::string_view id,
    std::string_view label,
    std::string_view attributes,
    std::string_view value = {})
{
    Html html;
    html.raw("<p class=\"field\"><label for=\"").text(id).raw("\">").text(label);
    html.raw("</label><input id=\"").text(id).raw("\" name=\"").text(id);
    html.raw("\" value=\"").text(value).raw("\" autocomplete=\"").text(attributes);
    return html.raw("\"></p>\n");
}

Html limit_fields(const User* user)
{
    constexpr std::array<std::string_view, 8> kLabels{
        "Requests a minute",
        "Tokens a day",
        "Tokens a week",
        "Percent of the pool",
        "Requests at a time",
        "Models",
        "Providers",
        "Expires (2026-12-31)"};
    Html html;
    html.raw("<div class=\"fields\">");
    for (std::size_t i = 0; i < kLimitNames.size(); ++i) {
        const std::string value =
            user == nullptr ? std::string() : limit_text(user->limits, kLimitNames[i]);
        html.raw("<label>").text(kLabels[i]).raw("<input name=\"").text(kLimitNames[i]);
        html.raw("\" value=\"")
            .text(value)
            .raw("\" placeholder=\"as for all\" autocomplete=\"off\">");
        html.raw("</label>");
    }
    return html.raw("</div>\n");
}

Html action_button(std::string_view id, std::string_view action, std::string_view label)
{
    Html html;
    html.raw("<button formaction=\"/admin/pool-users/").text(id).raw("/").text(action);
    return html.raw("\">").text(label).raw("</button> ");
}

Html user_row(const UserView& view, const PageFrame& frame, UnixMillis now)
{
    const User& user = view.user;
    Html html;
    html.raw("<tr><th scope=\"row\" class=\"wide\">").text(user.label());
    if (user.label() != user.email && !user.email.empty())
        html.raw("<br><span class=\"soft\">").text(user.email).raw("</span>");
    html.raw("</th><td data-label=\"State\">").text(view.state(now));
    html.raw("</td><td class=\"num\" data-label=\"Today\">");
    html.text(grouped_number(static_cast<std::int64_t>(view.day_tokens)));
    html.raw("</td><td class=\"num\" data-label=\"This week\">");
    html.text(grouped_number(static_cast<std::int64_t>(view.week_tokens)));
    html.raw("</td><td class=\"num\" data-label=\"Running\">").number(view.in_flight);
    html.raw("</td><td class=\"wide\" data-label=\"Limits\">").text(limits_in_words(view.limits));
    html.raw("</td><td class=\"does\"><form method=\"post\" class=\"user-actions\">");
    html.add(hidden_field("csrf", frame.csrf))
        .add(hidden_field("version", std::to_string(user.version)));
    html.add(action_button(user.id, "invite", "Set-up links"));
    html.add(action_button(user.id, "rotate", "Rotate keys"));
    html.add(
        user.disabled ? action_button(user.id, "enable", "Enable")
                      : action_button(user.id, "disable", "Disable"));
    html.raw("</form><details><summary>Limits</summary><form method=\"post\">");
    html.add(hidden_field("csrf", frame.csrf))
        .add(hidden_field("version", std::to_string(user.version)));
    html.add(limit_fields(&user)).add(action_button(user.id, "limits", "Save limits"));
    html.add(action_button(user.id, "delete", "Delete for good"));
    return html.raw("</form></details></td></tr>\n");
}

Html problems_list(const std::vector<std::string>& problems)
{
    Html html;
    if (problems.empty()) return html;
    html.raw("<section class=\"card problems\"><h2>The users file</h2><ul>\n");
    for (const std::string& problem : problems)
        html.raw("<li>").text(problem).raw("</li>\n");
    return html.raw("</ul></section>\n");
}

Html create_part(const PageFrame& frame)
{
    Html html;
    html.raw("<section class=\"card\" id=\"new\"><h2>New user</h2>\n");
    html.raw("<form method=\"post\" action=\"/admin/pool-users\">");
    html.add(hidden_field("csrf", frame.csrf)).add(field("name", "Name", "off"));
    html.add(field("email", "E-mail", "off"));
    html.raw("<details><summary>Limits</summary>").add(limit_fields(nullptr)).raw("</details>\n");
    return html.raw("<p><button>Create and show set-up links</button></p></form></section>\n");
}

} // namespace

SetupTab setup_tab(
    const shared::Provider& provider,
    shared::ClientSetup setup,
    const std::string& address,
    const std::string& token)
{
    SetupTab tab;
    tab.cli = provider.name();
    tab.title = provider.display_name();
    const std::string link = address + "/setup/" + tab.cli + (token.empty() ? "" : '/' + token);
    tab.command = "curl -fsSL " + bash_quoted(link) + " | bash";
    tab.powershell = "irm " + powershell_quoted(link + "?shell=powershell") + " | iex";
    tab.undo = "bash ~/.codex-pool-setup/undo.sh " + tab.cli;
    tab.setup = std::move(setup);
    return tab;
}

std::string landing_for_friends(
    std::string_view name, std::string_view tagline, bool takes_friends, bool has_password)
{
    Html html;
    html.raw("<h1>").text(name.empty() ? std::string_view("codex-pool") : name).raw("</h1>\n");
    if (!tagline.empty()) html.raw("<p class=\"lead\">").text(tagline).raw("</p>\n");
    if (takes_friends) {
        html.raw("<section class=\"card\"><h2>Join</h2><form method=\"post\" action=\"/login\">\n");
        html.raw("<p class=\"field\"><label for=\"code\">Friend code</label><input id=\"code\" ");
        html.raw("name=\"code\" type=\"password\" required autocomplete=\"off\"></p>\n");
        html.add(field("email", "E-mail (if you like)", "email"));
        html.raw("<p><button>Join</button></p></form></section>\n");
    } else {
        html.raw("<p>This pool is shared. To use it, ask its owner for a set-up link.</p>\n");
    }
    html.raw("<details><summary>You have joined before?</summary>\n");
    html.raw("<form method=\"post\" action=\"/login\"><p class=\"field\"><label for=\"key\">");
    html.raw("One of your keys</label><input id=\"key\" name=\"key\" type=\"password\" required ");
    html.raw(
        "autocomplete=\"off\"></p>\n<p class=\"soft\">Any key of this pool will do. On a machine ");
    html.raw("that is set up one stands in <code>~/.codex-pool-setup/env.sh</code> or ");
    html.raw("<code>~/.claude/settings.json</code>. Without one, ask the owner for a set-up ");
    html.raw("link.</p><p><button>Sign in</button></p></form></details>\n");
    if (has_password) {
        html.raw(
            "<details><summary>For the owner</summary><form method=\"post\" action=\"/login\">\n");
        html.raw(
            "<p class=\"field\"><label for=\"password\">Password</label><input id=\"password\" ");
        html.raw(
            "name=\"password\" type=\"password\" required autocomplete=\"current-password\"></p>");
        html.raw("<p><button>Sign in</button></p></form></details>\n");
    } else {
        html.raw("<p><a href=\"/status\">Status, for the owner</a></p>\n");
    }
    PageFrame frame;
    frame.title = name.empty() ? "codex-pool" : std::string(name);
    return framed_page(frame, html);
}

std::string one_setup_page(const SetupView& view)
{
    Html html;
    html.raw("<h1>Set up your CLI</h1>\n<p class=\"lead\">For the pool at <code>")
        .text(view.address);
    html.raw("</code>. The line works once.</p>\n").add(tabs_part(view));
    PageFrame frame;
    frame.title = "Set-up";
    return framed_page(frame, html);
}

std::string
my_page(const PageFrame& frame, const UserView& user, const SetupView& setup, const Html& accounts)
{
    Html html;
    html.raw("<h1>")
        .text(user.user.label())
        .raw("</h1>\n<dl class=\"tiles\"><div><dt>Tokens today</dt><dd>");
    html.text(grouped_number(static_cast<std::int64_t>(user.day_tokens)))
        .raw("</dd></div><div><dt>This week</dt><dd>");
    html.text(grouped_number(static_cast<std::int64_t>(user.week_tokens)))
        .raw("</dd></div><div><dt>Running</dt><dd>");
    html.number(user.in_flight).raw("</dd></div></dl>\n<p>Your limits: ");
    html.text(limits_in_words(user.limits));
    if (user.limits.expires_at.is_set())
        html.raw("; until ").text(shared::iso_time(user.limits.expires_at));
    html.raw(".</p>\n");
    if (setup.tabs.empty()) {
        html.raw("<form method=\"post\" action=\"/me/setup\">")
            .add(hidden_field("csrf", frame.csrf));
        html.raw("<p><button>Show how to set up my CLIs</button></p></form>\n");
    } else {
        html.raw(
            "<h2>Set up your CLIs</h2>\n<p class=\"soft\">Each line works once, and for one CLI; ");
        html.raw("this page shows them once. You get new ones here whenever you like.</p>\n");
        html.add(tabs_part(setup));
    }
    html.add(accounts);
    html.raw(
        "<h2>Your keys</h2>\n<p>New keys make all your old ones worthless: every CLI then has to ");
    html.raw("be set up again.</p>\n<form method=\"post\" action=\"/me/rotate\">");
    html.add(hidden_field("csrf", frame.csrf))
        .raw("<p><button>Replace my keys</button></p></form>\n");
    html.raw("<form method=\"post\" action=\"/logout\">").add(hidden_field("csrf", frame.csrf));
    html.raw("<p><button>Sign out</button></p></form>\n");
    return framed_page(frame, html);
}

std::string people_html(const PageFrame& frame, const PeopleView& view, UnixMillis now)
{
    Html html;
    html.raw("<h1>People</h1>\n").add(problems_list(view.problems));
    if (!view.invited.empty()) {
        html.raw("<section id=\"links\"><h2>Set-up links for ").text(view.invited);
        html.raw("</h2>\n<p class=\"soft\">Each works once, within ").number(view.link_hours);
        html.raw(
            " hours; they are shown only now. Pass on the line for the CLI that is wanted.</p>\n");
        html.add(tabs_part(view.setup)).raw("</section>\n");
    }
    html.raw("<div class=\"scroll people\" tabindex=\"0\"><table><caption class=\"soft\">");
    html.number(static_cast<long long>(view.users.size()))
        .raw(" users; tokens are those that limits ");
    html.raw("count: input not read from a cache, and output.</caption>\n<thead><tr><th>User</th>");
    html.raw("<th>State</th><th class=\"num\">Today</th><th class=\"num\">This week</th>");
    html.raw(
        "<th class=\"num\">Running</th><th>Limits</th><th>Actions</th></tr></thead>\n<tbody>\n");
    for (std::size_t i = 0; i < std::min(view.users.size(), kUsersOnPage); ++i)
        html.add(user_row(view.users[i], frame, now));
    html.raw("</tbody></table></div>\n");
    if (view.users.size() > kUsersOnPage)
        html.raw("<p class=\"soft\">The rest is in <a "
                 "href=\"/admin/pool-users?format=json\">JSON</a>.</p>");
    html.add(create_part(frame));
    return framed_page(frame, html);
}

std::string
setup_html(const PageFrame& frame, const SetupView& view, bool shared_mode, bool takes_friends)
{
    Html html;
    html.raw("<h1>Set-up</h1>\n<p class=\"lead\">Clients reach this pool at <code>");
    html.text(view.address).raw("</code>.</p>\n");
    if (shared_mode) {
        html.raw("<section class=\"card\"><h2>Who may use it</h2>\n<p>");
        if (takes_friends) {
            html.raw(
                "Friends open <a href=\"/\">the first page</a> and join with the friend code. ");
        } else {
            html.raw("No friend_code is set: only users that you make can call. ");
        }
        html.raw(
            "You make users and their set-up links under <a href=\"/status/people\">People</a>.");
        html.raw("</p>\n<p>In a shell:</p>\n");
        html.add(code_block("codex-pool users add --name NAME --email E-MAIL")).raw("</section>\n");
    } else {
        html.add(tabs_part(view));
    }
    return framed_page(frame, html);
}

} // namespace admin_ui
