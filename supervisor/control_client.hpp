/// Asks the running pool something over control.sock: blocking, one request per connection. For the owner's commands.
#pragma once

#include "shared/base/result.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace supervisor {

struct ControlCall {
    std::string method = "GET";
    std::string target; ///< path and query
    std::string form; ///< body: fields as a browser's form sends them, or what `content_type` says
    std::string content_type = "application/x-www-form-urlencoded";
    /// Silence longer than this is a Problem; zero = the answer's body may take any time.
    std::chrono::milliseconds patience = std::chrono::seconds(90);
    bool body_may_pause = false; ///< `patience` is for the head only
};

/// Sends `call` to the pool whose data folder this is and gives its body to `on_body` as it comes. Returns the status.
/// A Problem says that nobody listens there, or that the answer broke off.
[[nodiscard]] shared::Result<unsigned> ask_pool(
    const std::filesystem::path& data_folder,
    const ControlCall& call,
    const std::function<void(unsigned status, std::string_view piece)>& on_body);

} // namespace supervisor
