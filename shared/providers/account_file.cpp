#include "shared/providers/account_file.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <utility>

namespace shared {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kKey = "codex_pool";
constexpr int kIndent = 2;

Secret text_of(const Json& document)
{
    return Secret(document.dump(kIndent, ' ', false, Json::error_handler_t::replace) + '\n');
}

} // namespace

Secret with_options_of(std::string_view text, std::string_view before)
{
    Json document = Json::parse(text, nullptr, false);
    const Json old = Json::parse(before, nullptr, false);
    const bool takes =
        document.is_object() && !document.contains(kKey) && old.is_object() && old.contains(kKey);
    if (!takes) return Secret(std::string(text));
    document[kKey] = old[kKey];
    return text_of(document);
}

Secret with_owner(std::string_view text, std::string_view owner)
{
    Json document = Json::parse(text, nullptr, false);
    if (!document.is_object()) return Secret(std::string(text));
    document[kKey] = {{"owner", owner}};
    return text_of(document);
}

} // namespace shared
