/// Owner actions on accounts over HTTP: which paths there are, what they ask of the refresher, and what its answers are
/// in words. Pure but for the segment.
///
///   POST /admin/accounts/<id>/enable | disable | clear | refresh | test
///   POST /admin/accounts/<id>/options        a JSON object as of a credential file's "codex_pool"; null takes back
///   POST /admin/accounts                     a credential file (upload_form.hpp)
///   POST /api/pool/accounts, /api/pool/accounts/<id>/pause | resume      the same for pool users and what is theirs
#pragma once

#include "shared/base/owned_fd.hpp"
#include "shared/ipc/account_upload.hpp"
#include "shared/ipc/messages.hpp"
#include "shared/segment/layout.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace admin_ui {

/// Something to be asked of the refresher before a request can be answered.
struct Question {
    shared::Message message; ///< without its number
    std::string account;     ///< id; empty for a reload and an upload
    std::string options;     ///< for AccountAction::options
    shared::OwnedFd
        upload; ///< for AccountAction::add: the file, later the answer (ipc/account_upload.hpp)
};

/// A path below /admin/accounts/ in its parts, percent escapes undone.
struct ActionPath {
    std::string account;
    shared::AccountAction action = shared::AccountAction::none;
};

/// Nothing if the path is no account's action.
[[nodiscard]] std::optional<ActionPath> parse_action_path(std::string_view path);
/// The same for a path below /api/pool/accounts/: pause and resume only.
[[nodiscard]] std::optional<ActionPath> parse_own_action_path(std::string_view path);

/// The path that asks for it, for a form.
[[nodiscard]] std::string action_path(std::string_view account, shared::AccountAction action);

[[nodiscard]] std::string_view to_string(shared::AccountAction action) noexcept;
[[nodiscard]] std::string_view to_string(shared::ActionResult result) noexcept;

/// A button: what it does and what it is called.
struct ActionButton {
    shared::AccountAction action = shared::AccountAction::none;
    std::string_view label;
    std::string_view title;
};

/// Those that make sense without a body, in the order they are shown.
[[nodiscard]] const std::array<ActionButton, 5>& action_buttons() noexcept;

/// What an answer means to whoever asked: its status and a sentence.
struct ActionWords {
    unsigned status = 200;
    std::string sentence;
};

[[nodiscard]] ActionWords words_of(const shared::Message& answer);
/// The same of an upload.
[[nodiscard]] unsigned status_of(shared::UploadEnd end) noexcept;

/// Puts a question's options where the refresher finds them when its message comes. One at a time: false if another
/// one is still there.
[[nodiscard]] bool
leave_wish(shared::Segment& segment, const Question& question, std::uint64_t request);
/// At its start an admin child forgets what its predecessor left behind.
void clear_wishes(shared::Segment& segment);
/// Takes back what nobody has fetched.
void withdraw_wish(shared::Segment& segment, std::uint64_t request);

} // namespace admin_ui
