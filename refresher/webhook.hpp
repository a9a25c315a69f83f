/// Posts events to the owner's webhook, one at a time, in the background.
///
/// The queue is the event log itself: the segment remembers up to which event was told, so that a refresher that was
/// replaced goes on there. What fails is tried again after 2, 4, 8 … 300 s, each event at most kTriesMax times; an
/// event that left the log meanwhile is skipped. The address may be a secret: no log line has it.
#pragma once

#include "shared/base/secret.hpp"
#include "shared/http/webhook_url.hpp"
#include "shared/net/http_client.hpp"
#include "shared/segment/layout.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace refresher {

struct WebhookSettings {
    shared::Secret url; ///< checked by the configuration; empty = nothing is sent
    std::string format = "json";
    std::chrono::milliseconds first_pause = std::chrono::seconds(2);
    std::chrono::milliseconds longest_pause = std::chrono::minutes(5);
    std::chrono::milliseconds deadline = std::chrono::seconds(15); ///< of one try
};

class Webhook {
public:
    static constexpr int kTriesMax = 8;

    /// All references outlive it; it outlives the loop's last run.
    Webhook(
        boost::asio::io_context& loop,
        shared::Segment& segment,
        shared::net::HttpClient& client,
        WebhookSettings settings);

    /// There may be something to send. Cheap; does nothing while something is being sent.
    void poke();

private:
    [[nodiscard]] boost::asio::awaitable<void> send_all();
    /// Whether it is settled: delivered, or refused for good.
    [[nodiscard]] boost::asio::awaitable<bool> send(const shared::Event& event);
    [[nodiscard]] std::optional<shared::Event> next_event();
    void done_with(std::uint64_t sequence);

    boost::asio::io_context& loop_;
    shared::Segment& segment_;
    shared::net::HttpClient& client_;
    WebhookSettings settings_;
    std::optional<shared::http::WebhookUrl> url_;
    boost::asio::steady_timer pause_;
    bool sending_ = false;
};

} // namespace refresher
