/// Requests as the CLIs make them, and waiting for what has no event.
#pragma once

#include "shared/fake_providers/client.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace tests {

namespace fake = shared::fake_providers;

inline constexpr std::chrono::seconds kPatience{20};

/// Repeats `done` until it holds; false when patience is over. Only for what has no event to wait on.
bool eventually(const std::function<bool()>& done, std::chrono::milliseconds patience = kPatience);

enum class Cli { codex, claude, gemini };

struct Turn {
    std::string method = "POST";
    std::string target;
    fake::Headers headers;
    std::string body;
};

/// The turn request of a CLI; `size` pads the prompt.
[[nodiscard]] Turn
turn_of(Cli cli, const std::string& conversation, std::size_t number = 0, std::size_t size = 0);
/// The same without streaming.
[[nodiscard]] Turn unstreamed(Cli cli, const std::string& conversation, std::size_t number = 0);
fake::Response make(fake::Client& client, const Turn& turn);
/// The text that ends a whole stream of this CLI.
[[nodiscard]] std::string_view end_mark(Cli cli);

inline constexpr std::string_view kClientSecret = "client-secret-that-stays-here";

} // namespace tests
