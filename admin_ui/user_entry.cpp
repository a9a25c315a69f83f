#include "admin_ui/user_entry.hpp"

#include "shared/base/read_file.hpp"
#include "shared/base/time_text.hpp"
#include "shared/providers/reset_time.hpp"
#include "shared/users/credential.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace admin_ui {
namespace {

using Json = nlohmann::ordered_json;
using shared::Problem;
using shared::Result;

/// Reads the members of an entry; remembers the first thing that is wrong.
class EntryReader {
public:
    explicit EntryReader(const Json& entry) : entry_(entry) {}

    void text(const char* name, std::string& out)
    {
        const Json* const found = member(name);
        if (found == nullptr) return;
        if (!found->is_string()) return complain(name, "a text");
        out = found->get<std::string>();
    }

    void flag(const char* name, bool& out)
    {
        const Json* const found = member(name);
        if (found == nullptr) return;
        if (!found->is_boolean()) return complain(name, "true or false");
        out = found->get<bool>();
    }

    template <class Number>
    void number(const char* name, Number& out)
    {
        const Json* const found = member(name);
        if (found == nullptr) return;
        const bool fits = found->is_number_unsigned() &&
                          found->get<std::uint64_t>() <= std::numeric_limits<Number>::max() &&
                          found->get<std::uint64_t>() > 0;
        if (!fits) return complain(name, "a number from 1 on");
        out = found->get<Number>();
    }

    /// A time that cannot be read is no reason to leave somebody out.
    void time(const char* name, shared::UnixMillis& out)
    {
        const Json* const found = member(name);
        if (found == nullptr || !found->is_string()) return;
        out = shared::providers::parse_rfc3339(found->get<std::string>())
                  .value_or(shared::UnixMillis());
    }

    void limits(OwnLimits& out)
    {
        const Json* const found = member("limits");
        if (found == nullptr) return;
        std::string what = read_limits(*found, out);
        if (!what.empty() && wrong_.empty()) wrong_ = std::move(what);
    }

    /// Those that cannot be read open nothing.
    void tokens(std::vector<SetupToken>& out)
    {
        const Json* const found = member("setup_tokens");
        if (found == nullptr || !found->is_array()) return;
        for (const Json& item : *found) {
            EntryReader reader(item);
            SetupToken token;
            if (!item.is_object()) continue;
            reader.text("cli", token.cli);
            reader.text("hash", token.hash);
            reader.time("expires_at", token.expires_at);
            if (reader.wrong_.empty() && token.expires_at.is_set() && !token.hash.empty())
                out.push_back(std::move(token));
        }
    }

    void check(std::string what)
    {
        if (wrong_.empty()) wrong_ = std::move(what);
    }

    [[nodiscard]] const std::string& wrong() const noexcept { return wrong_; }

private:
    const Json* member(const char* name)
    {
        const auto found = entry_.find(name);
        return found == entry_.end() || found->is_null() ? nullptr : &*found;
    }

    void complain(const char* name, const char* expected)
    {
        if (wrong_.empty()) wrong_ = std::string(name) + " must be " + expected;
    }

    const Json& entry_;
    std::string wrong_;
};

void set_or_erase(Json& entry, const char* name, const std::string& value)
{
    if (value.empty())
        entry.erase(name);
    else
        entry[name] = value;
}

/// What requests without a user are counted for.
bool is_reserved_id(std::string_view id) noexcept
{
    return id == "owner" || id == "local";
}

bool has_blank_or_control(std::string_view text) noexcept
{
    return std::any_of(text.begin(), text.end(), [](char c) {
        return static_cast<unsigned char>(c) <= ' ' || c == 0x7F;
    });
}

} // namespace

std::string check_email(std::string_view email)
{
    if (email.empty()) return {};
    const std::size_t at = email.find('@');
    const bool shaped = at != std::string_view::npos && at > 0 && at + 1 < email.size();
    if (!shaped || email.size() > kEmailBytesMax || has_blank_or_control(email) ||
        !shared::is_utf8(email))
        return "the e-mail address is none";
    return {};
}

std::string check_name(std::string_view name)
{
    if (name.size() > kNameBytesMax)
        return "the name has more than " + std::to_string(kNameBytesMax) + " bytes";
    if (shared::printable(name) != name) return "the name has characters that are none";
    return {};
}

std::string check_plan(std::string_view plan)
{
    constexpr std::size_t kPlanBytesMax = 32;
    const bool plain = std::all_of(plan.begin(), plan.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    if (plan.empty() || plan.size() > kPlanBytesMax || !plain)
        return "plan_type must be 1 to 32 lower-case letters, digits, - and _";
    return {};
}

Result<User> read_entry(const Json& entry)
{
    if (!entry.is_object()) return Problem{"", "is no JSON object", ""};
    User user;
    EntryReader reader(entry);
    reader.text("id", user.id);
    reader.text("email", user.email);
    reader.text("name", user.name);
    reader.text("plan_type", user.plan);
    reader.flag("disabled", user.disabled);
    reader.number("generation", user.generation);
    reader.number("version", user.version);
    reader.time("created_at", user.created_at);
    reader.time("invited_at", user.invited_at);
    reader.limits(user.limits);
    reader.tokens(user.setup_tokens);
    if (!shared::is_user_id(user.id)) {
        const std::string shown = shared::printable(user.id.substr(0, 60));
        reader.check("the id \"" + shown + "\" is no user id (1 to 40 letters and digits)");
    }
    if (is_reserved_id(user.id)) reader.check("the id \"" + user.id + "\" is the pool's own");
    reader.check(check_email(user.email));
    reader.check(check_name(user.name));
    if (user.plan.empty() || !check_plan(user.plan).empty()) user.plan = "pro";
    if (!reader.wrong().empty()) return Problem{"", reader.wrong(), ""};
    return user;
}

std::string entry_text(std::string_view old, const User& user)
{
    Json entry = Json::parse(old, nullptr, false);
    if (!entry.is_object()) entry = Json::object();
    entry["id"] = user.id;
    entry["email"] = user.email;
    set_or_erase(entry, "name", user.name);
    entry["plan_type"] = user.plan;
    if (user.created_at.is_set()) entry["created_at"] = shared::iso_time(user.created_at);
    entry["disabled"] = user.disabled;
    entry["generation"] = user.generation;
    entry["version"] = user.version;
    set_or_erase(entry, "invited_at", shared::iso_time(user.invited_at));
    Json limits = entry.contains("limits") ? entry["limits"] : Json::object();
    write_limits(user.limits, limits);
    if (limits.empty())
        entry.erase("limits");
    else
        entry["limits"] = std::move(limits);
    Json tokens = Json::array();
    for (const SetupToken& token : user.setup_tokens)
        tokens.push_back(
            {{"cli", token.cli},
             {"hash", token.hash},
             {"expires_at", shared::iso_time(token.expires_at)}});
    if (tokens.empty())
        entry.erase("setup_tokens");
    else
        entry["setup_tokens"] = std::move(tokens);
    return entry.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace admin_ui
