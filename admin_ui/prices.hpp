/// API list prices, from the built-in etc/prices.json or the owner's own file (`prices_file`). Nothing is ever fetched.
#pragma once

#include "admin_ui/file_stamp.hpp"
#include "admin_ui/pool_view.hpp"
#include "shared/base/result.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace admin_ui {

/// Of one model, or of all whose name begins alike. Per million tokens.
struct ModelPrice {
    std::string model; ///< ends with '*': a beginning
    double input = 0;
    double cached_input = 0;
    double cache_write = 0;
    double output = 0;
    std::string source; ///< where the price was read
    std::string date;   ///< and when
};

class PriceList {
public:
    /// The text of a price file; a Problem names the entry. `where` is its path.
    [[nodiscard]] static shared::Result<PriceList>
    parse(std::string_view text, const std::string& where);

    /// The owner's file if there is one, else the built-in list. A file that cannot be used is a problem of the list,
    /// which then is the built-in one.
    [[nodiscard]] static PriceList load(const std::filesystem::path& own_file);

    /// What these tokens cost; nothing if the model has no price.
    [[nodiscard]] std::optional<double> cost(std::string_view model, const TokenSums& sums) const;

    /// The longest match; nullptr if there is none.
    [[nodiscard]] const ModelPrice* find(std::string_view model) const;

    [[nodiscard]] const std::string& version() const noexcept { return version_; }

    [[nodiscard]] const std::string& currency() const noexcept { return currency_; }

    [[nodiscard]] const std::string& where() const noexcept { return where_; }

    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

    [[nodiscard]] const std::vector<ModelPrice>& models() const noexcept { return models_; }

private:
    std::string version_;
    std::string currency_ = "USD";
    std::string where_ = "built-in";
    std::string problem_;
    std::vector<ModelPrice> models_;
};

/// The list that holds now: the owner's file is read again when it has changed.
class Prices {
public:
    explicit Prices(std::filesystem::path own_file) : own_file_(std::move(own_file)) {}

    /// Good until the next call. What is wrong with a changed file goes to the log, once.
    [[nodiscard]] const PriceList& current();

private:
    std::filesystem::path own_file_;
    std::optional<FileStamp> known_;
    PriceList list_;
};

} // namespace admin_ui
