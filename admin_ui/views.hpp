/// JSON of the pool: pure functions from values to text.
#pragma once

#include "admin_ui/account_actions.hpp"
#include "admin_ui/pool_view.hpp"
#include "admin_ui/usage_query.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace admin_ui {

/// `GET /admin/accounts`: an array of accounts.
[[nodiscard]] std::string accounts_json(const PoolView& pool);

/// `GET /status` for programs. `mode` is "local" or "shared".
[[nodiscard]] std::string status_json(const PoolView& pool, std::string_view mode);

/// `GET /admin/requests`: an array of finished requests, newest first.
[[nodiscard]] std::string requests_json(const std::vector<RequestEntry>& requests);

/// `GET /admin/why` for a request of which only the history is left.
[[nodiscard]] std::string history_json(const RequestEntry& request, std::string_view text);

/// `POST /admin/reload` for programs.
[[nodiscard]] std::string reload_json(const shared::PoolInfo& info, std::uint64_t broken_files);

/// `POST /admin/accounts/<id>/<action>` for programs: what came of it, and the account's state now.
[[nodiscard]] std::string action_json(
    const Question& question,
    const shared::Message& answer,
    const ActionWords& words,
    const shared::AccountStatus& status);

/// `{"error":"…"}`
/// What came of a credential file that somebody sent.
[[nodiscard]] std::string upload_json(const shared::UploadAnswer& answer);
[[nodiscard]] std::string error_json(std::string_view message);

/// The lines of PoolInfo::problems.
[[nodiscard]] std::vector<std::string> problem_lines(const shared::PoolInfo& info);

} // namespace admin_ui
