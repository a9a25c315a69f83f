/// What an owner asks to be done to an account: enable, disable, clear, refresh, test, options.
#pragma once

#include "refresher/roster.hpp"
#include "shared/config/config.hpp"
#include "shared/ipc/messages.hpp"
#include "shared/net/http_client.hpp"
#include "shared/providers/account_settings.hpp"
#include "shared/segment/layout.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace refresher {

/// How an action ended.
struct ActionEnd {
    shared::ActionResult result = shared::ActionResult::done;
    unsigned status = 0; ///< test: what the vendor answered; 0 = nothing
};

class OwnerActions {
public:
    using Done = std::function<void(ActionEnd)>;
    using Refresh = std::function<void(
        std::string_view account, std::function<void(shared::ActionResult)> done)>;

    /// What other parts do for an action; an empty `refresh` refuses.
    struct Links {
        Refresh refresh;
        std::function<void(shared::AccountSlot)> on_rejected; ///< a test's token was refused
        std::function<void()> on_changed; ///< what is known of an account has changed
    };

    /// All references outlive the object, and it outlives the loop's last run.
    OwnerActions(
        boost::asio::io_context& loop,
        const shared::ProviderRegistry& registry,
        const shared::Config& config,
        shared::net::HttpClient& client,
        shared::Segment& segment,
        Roster& roster,
        shared::AccountSettings& settings,
        Links links,
        std::chrono::milliseconds test_deadline = std::chrono::seconds(60));

    /// Calls `done` once, perhaps at once.
    void perform(const shared::Message& asked, Done done);

private:
    [[nodiscard]] shared::ActionResult change(std::string_view account, std::string_view patch);
    [[nodiscard]] shared::ActionResult enable(std::string_view account);
    [[nodiscard]] shared::ActionResult resume(std::string_view account);
    [[nodiscard]] shared::ActionResult
    take_wish(std::string_view account, const shared::Message& asked);
    [[nodiscard]] shared::ActionResult clear(shared::AccountSlot slot);
    void test(const std::string& account, Done done);
    [[nodiscard]] boost::asio::awaitable<void>
    run_test(std::string account, shared::UpstreamCall call, Done done);
    [[nodiscard]] ActionEnd learn_test(const Roster::Held& held, const shared::CallReply& reply);

    boost::asio::io_context& loop_;
    const shared::ProviderRegistry& registry_;
    const shared::Config& config_;
    shared::net::HttpClient& client_;
    shared::Segment& segment_;
    Roster& roster_;
    shared::AccountSettings& settings_;
    Links links_;
    std::chrono::milliseconds test_deadline_;
};

} // namespace refresher
