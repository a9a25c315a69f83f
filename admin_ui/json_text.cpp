#include "admin_ui/json_text.hpp"

#include <nlohmann/json.hpp>

namespace admin_ui {

std::string to_text(const Json& json)
{
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json time_json(shared::UnixMillis at)
{
    return at.is_set() ? Json(shared::iso_time(at)) : Json(nullptr);
}

Json share_json(shared::UsedShare used)
{
    return used.is_known() ? Json(used.fraction()) : Json(nullptr);
}

} // namespace admin_ui
