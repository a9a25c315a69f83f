#include "admin_ui/prices.hpp"

#include "admin_ui/assets.hpp"
#include "shared/base/log.hpp"
#include "shared/base/read_file.hpp"

#include <nlohmann/json.hpp>

namespace admin_ui {
namespace {

using Json = nlohmann::json;
using shared::Problem;
using shared::Result;

constexpr std::size_t kPricesBytesMax = std::size_t{256} * 1024;
constexpr const char* kRemedy = "see etc/prices.json for the form";

/// A price: a number that is not below zero; `fallback` if it is absent.
std::optional<double> price(const Json& entry, const char* name, std::optional<double> fallback)
{
    if (!entry.contains(name)) return fallback;
    const Json& value = entry[name];
    if (!value.is_number() || value.get<double>() < 0) return std::nullopt;
    return value.get<double>();
}

std::string text_of(const Json& entry, const char* name)
{
    const auto found = entry.find(name);
    return found != entry.end() && found->is_string() ? found->get<std::string>() : "";
}

/// Says what is wrong with an entry; empty if nothing is.
std::string read_entry(const Json& entry, ModelPrice& model)
{
    if (!entry.is_object()) return "is no object";
    model.model = text_of(entry, "model");
    if (model.model.empty()) return "has no \"model\"";
    const auto input = price(entry, "input", std::nullopt);
    if (!input) return "has no \"input\" that is a price";
    const auto output = price(entry, "output", std::nullopt);
    if (!output) return "has no \"output\" that is a price";
    const auto cached = price(entry, "cached_input", input);
    if (!cached) return "has a \"cached_input\" that is no price";
    const auto write = price(entry, "cache_write", input);
    if (!write) return "has a \"cache_write\" that is no price";
    model.source = text_of(entry, "source");
    model.date = text_of(entry, "date");
    if (model.source.empty() || model.date.empty()) return "has no \"source\" and \"date\"";
    model.input = *input;
    model.output = *output;
    model.cached_input = *cached;
    model.cache_write = *write;
    return {};
}

/// How many characters of `model` the entry's name matches; 0 if it does not match.
std::size_t match_length(const ModelPrice& price, std::string_view model)
{
    std::string_view name = price.model;
    if (!name.ends_with('*')) return name == model ? name.size() + 1 : 0;
    name.remove_suffix(1);
    return model.starts_with(name) ? name.size() : 0;
}

} // namespace

Result<PriceList> PriceList::parse(std::string_view text, const std::string& where)
{
    const Json document = Json::parse(text, nullptr, false);
    if (!document.is_object() || !document.contains("models") || !document["models"].is_array())
        return Problem{where, "is no price list: a JSON object with \"models\"", kRemedy};
    PriceList list;
    list.where_ = where;
    list.version_ = text_of(document, "version");
    if (const std::string currency = text_of(document, "currency"); !currency.empty())
        list.currency_ = currency;
    std::size_t number = 0;
    for (const Json& entry : document["models"]) {
        ++number;
        ModelPrice& model = list.models_.emplace_back();
        const std::string wrong = read_entry(entry, model);
        if (!wrong.empty()) {
            const std::string name = model.model.empty() ? "" : " (" + model.model + ")";
            return Problem{where, "entry " + std::to_string(number) + name + " " + wrong, kRemedy};
        }
    }
    return list;
}

PriceList PriceList::load(const std::filesystem::path& own_file)
{
    std::string problem;
    if (!own_file.empty()) {
        const auto text = shared::read_file(own_file, kPricesBytesMax, "price list");
        if (!text.has_value()) {
            problem = text.error().text();
        } else if (!text->missing) {
            auto own = parse(text->bytes, own_file.string());
            if (own.has_value()) return std::move(*own);
            problem = own.error().text();
        }
    }
    auto built_in = parse(embedded_file("prices.json"), "built-in");
    PriceList list = built_in.has_value() ? std::move(*built_in) : PriceList();
    list.problem_ = std::move(problem);
    return list;
}

const PriceList& Prices::current()
{
    const FileStamp now = own_file_.empty() ? FileStamp() : stamp_of(own_file_);
    if (known_ == now) return list_;
    list_ = PriceList::load(own_file_);
    if (!list_.problem().empty())
        shared::log::warn("event=price_list_refused {}", list_.problem());
    else if (known_)
        shared::log::info("event=price_list_read where=\"{}\"", list_.where());
    known_ = now;
    return list_;
}

const ModelPrice* PriceList::find(std::string_view model) const
{
    const ModelPrice* best = nullptr;
    std::size_t longest = 0;
    for (const ModelPrice& one : models_) {
        const std::size_t length = match_length(one, model);
        if (length <= longest) continue;
        longest = length;
        best = &one;
    }
    return best;
}

std::optional<double> PriceList::cost(std::string_view model, const TokenSums& sums) const
{
    constexpr double kMillion = 1e6;
    const ModelPrice* price = find(model);
    if (price == nullptr) return std::nullopt;
    return (static_cast<double>(sums.fresh_input()) * price->input +
            static_cast<double>(sums.cached_input) * price->cached_input +
            static_cast<double>(sums.cache_creation) * price->cache_write +
            static_cast<double>(sums.output) * price->output) /
           kMillion;
}

} // namespace admin_ui
