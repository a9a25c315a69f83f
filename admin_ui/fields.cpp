#include "admin_ui/fields.hpp"

#include "shared/base/percent.hpp"
#include "shared/base/read_file.hpp"
#include "shared/base/trim.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>

namespace admin_ui {
namespace {

using Json = nlohmann::ordered_json;

/// A plain value as text; nothing for objects.
std::optional<std::string> plain_text(const Json& value)
{
    if (value.is_null()) return std::string();
    if (value.is_string()) return value.get<std::string>();
    if (!value.is_array()) return value.is_object() ? std::nullopt : std::optional(value.dump());
    std::string list;
    for (const Json& item : value) {
        if (!item.is_string()) return std::nullopt;
        list.append(list.empty() ? "" : ",").append(item.get<std::string>());
    }
    return list;
}

} // namespace

Fields::Fields(const PageRequest& request)
{
    const std::string_view type = request.content_type;
    // Many a script sends JSON and says that it is a form; no form begins like this.
    const bool json = type.find("json") != std::string_view::npos ||
                      shared::trimmed(request.body).starts_with('{');
    if (json)
        read_json(request.body);
    else
        read_form(request.body);
    for (const auto& [name, value] : values_)
        if (!shared::is_utf8(value)) problem_ = name + " is no UTF-8";
}

std::string Fields::text(std::string_view name) const
{
    const auto found = values_.find(name);
    return found == values_.end() ? std::string() : std::string(shared::trimmed(found->second));
}

void Fields::read_json(std::string_view body)
{
    const Json document = Json::parse(body, nullptr, false);
    if (!document.is_object()) {
        problem_ = "The body must be a JSON object or a form.";
        return;
    }
    const auto add = [this](const std::string& name, const Json& value) {
        if (auto text = plain_text(value))
            values_[name] = std::move(*text);
        else
            problem_ = name + " must be a text, a number or a list of texts";
    };
    for (const auto& [name, value] : document.items()) {
        if (name != "limits" || !value.is_object()) {
            add(name, value);
            continue;
        }
        for (const auto& [limit, amount] : value.items())
            add(limit, amount);
    }
}

void Fields::read_form(std::string_view body)
{
    while (!body.empty()) {
        const std::size_t end = std::min(body.find('&'), body.size());
        std::string pair(body.substr(0, end));
        body.remove_prefix(std::min(end + 1, body.size()));
        std::replace(pair.begin(), pair.end(), '+', ' ');
        const std::size_t equals = std::min(pair.find('='), pair.size());
        const std::string name = shared::percent_decoded(std::string_view(pair).substr(0, equals));
        if (name.empty()) continue;
        values_[name] = equals < pair.size()
                            ? shared::percent_decoded(std::string_view(pair).substr(equals + 1))
                            : "";
    }
}

} // namespace admin_ui
