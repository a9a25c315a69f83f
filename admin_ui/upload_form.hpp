/// A credential file that somebody sends: where in a request it is and what is wished for it. The file itself is not
/// looked into, and nothing of it is copied.
#pragma once

#include "admin_ui/html.hpp"
#include "admin_ui/routes.hpp"
#include "shared/ipc/account_upload.hpp"

#include <string>
#include <string_view>

namespace admin_ui {

struct UploadForm {
    shared::UploadWish wish; ///< without its owner
    std::string_view file;   ///< in the request's body
    std::string csrf;
    std::string problem; ///< what is wrong with the request; empty = nothing
};

/// Whether a request to this path may have a body as large as a credential file.
[[nodiscard]] bool takes_upload(std::string_view method, std::string_view path) noexcept;

/// A form with the fields `provider`, `name`, `file`, `text` (pasted) and `csrf`, or the file itself as the body with
/// `provider` and `name` in the query.
[[nodiscard]] UploadForm read_upload_form(const PageRequest& request);

/// The form; it works without scripts. `action` is where it goes, `csrf` as in PageFrame.
[[nodiscard]] Html upload_form(
    const shared::ProviderRegistry& registry,
    std::string_view action,
    std::string_view csrf,
    std::string_view label);

} // namespace admin_ui
