/// What the admin child has asked of the refresher and has no answer to yet. Pure.
///
/// Every question has the asker's number, so that answers find their askers, and a refresher that dies leaves nobody
/// waiting.
#pragma once

#include "shared/ipc/messages.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace supervisor {

class AskedQuestions {
public:
    /// More than this are answered with `unavailable` at once.
    static constexpr std::size_t kOpenMax = 256;

    /// Notes a question (reload or account_action with a number). False: there are too many.
    [[nodiscard]] bool note(const shared::Message& question);

    /// The question that `request` is the number of, no longer open; nothing if nobody asked it.
    [[nodiscard]] std::optional<shared::Message> take(std::uint64_t request);

    /// All of one type, in the order of their numbers, no longer open.
    [[nodiscard]] std::vector<shared::Message> take_all(shared::MessageType type);

    [[nodiscard]] bool empty() const noexcept { return open_.empty(); }

private:
    std::map<std::uint64_t, shared::Message> open_;
};

/// The answer to a question: reloaded, upgraded or account_action_done with its number.
[[nodiscard]] shared::Message
answer_to(const shared::Message& question, shared::ActionResult result) noexcept;

} // namespace supervisor
