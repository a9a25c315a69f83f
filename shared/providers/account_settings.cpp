#include "shared/providers/account_settings.hpp"

#include "shared/base/read_file.hpp"
#include "shared/base/write_file.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace shared {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

Problem unusable(const std::filesystem::path& file, std::string what)
{
    return {
        printable(file.string()),
        std::move(what),
        "mend or remove it, then reload; until then accounts are as their files say"};
}

} // namespace

Result<void> AccountSettings::load()
{
    texts_.clear();
    options_.clear();
    unusable_ = unusable(file_, "has not been read");
    auto text = read_file(file_, kBytesMax, "file of account settings");
    if (!text) {
        unusable_ = text.error();
        return *unusable_;
    }
    if (text->missing) {
        unusable_.reset();
        return {};
    }
    const json document = json::parse(text->bytes, nullptr, false);
    const bool is_ours = document.is_object() && document.contains("accounts") &&
                         document["accounts"].is_object() &&
                         document.value("version", json()) == kVersion;
    if (!is_ours) {
        unusable_ = unusable(file_, "is no file of account settings of this version");
        return *unusable_;
    }
    for (const auto& [id, settings] : document["accounts"].items()) {
        const std::string settings_text = settings.dump();
        auto options = parse_options_text(settings_text);
        if (!options) {
            unusable_ = unusable(
                file_,
                "says of " + printable(id) + ": " + options.error().where + " " +
                    options.error().what);
            texts_.clear();
            options_.clear();
            return *unusable_;
        }
        texts_[id] = settings_text;
        options_[id] = std::move(*options);
    }
    unusable_.reset();
    return {};
}

Result<AccountOptions>
AccountSettings::change(std::string_view account, std::string_view patch)
{
    if (unusable_) return *unusable_;
    const json changes = json::parse(patch, nullptr, false);
    if (auto checked = parse_options_text(patch); !checked) return checked.error();
    const auto known = texts_.find(account);
    json settings = known == texts_.end() ? json::object() : json::parse(known->second);
    for (const auto& [key, value] : changes.items()) {
        if (value.is_null()) {
            settings.erase(key);
        } else {
            settings[key] = value;
        }
    }
    std::map<std::string, std::string, std::less<>> texts = texts_;
    texts.erase(std::string(account));
    const std::string text = settings.dump();
    if (!settings.empty()) texts[std::string(account)] = text;
    auto options = parse_options_text(text);
    if (!options) return options.error();

    json document = {{"version", kVersion}, {"accounts", json::object()}};
    for (const auto& [id, each] : texts)
        document["accounts"][id] = json::parse(each);
    const std::string bytes = document.dump(2) + "\n";
    if (bytes.size() > kBytesMax) return unusable(file_, "would be too large");
    if (auto written = replace_file(file_, bytes); !written) return written.error();
    texts_ = std::move(texts);
    options_[std::string(account)] = *options;
    return std::move(*options);
}

} // namespace shared
