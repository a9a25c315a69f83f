/// `GET /admin/usage` as JSON and as the table of `codex-pool usage`; `codex-pool requests` as a table. Pure.
#pragma once

#include "admin_ui/usage_query.hpp"
#include "admin_ui/usage_report.hpp"

#include <cstddef>
#include <string>

namespace admin_ui {

[[nodiscard]] std::string usage_json(const UsageReport& report, const PriceList& prices);

/// How a table is drawn: as the terminal can take it.
struct TextStyle {
    bool colour = false;
    bool bars = false;
    std::size_t columns = 100;
};

[[nodiscard]] std::string
usage_text(const UsageReport& report, const PriceList& prices, const TextStyle& style);

[[nodiscard]] std::string requests_text(const RequestPage& page, const TextStyle& style);

} // namespace admin_ui
