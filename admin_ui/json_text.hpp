/// The few forms that all JSON here shares. For .cpp files only: it needs the whole JSON library.
#pragma once

#include "shared/base/time_text.hpp"
#include "shared/base/units.hpp"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace admin_ui {

using Json = nlohmann::ordered_json;

/// Names of files and models may be any bytes: what is no UTF-8 is replaced.
[[nodiscard]] std::string to_text(const Json& json);
/// null if unset.
[[nodiscard]] Json time_json(shared::UnixMillis at);
/// null if not known.
[[nodiscard]] Json share_json(shared::UsedShare used);

} // namespace admin_ui
