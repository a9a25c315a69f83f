// g++ 12 warns of Asio's own headers once they are inlined here at -O2; the warning is not true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#include "refresher/webhook.hpp"

#include "refresher/webhook_body.hpp"
#include "shared/base/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace refresher {
namespace {

namespace asio = boost::asio;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kAnswerBytesMax = std::size_t{64} * 1024;

/// Whether trying again could help: the service was not there, overloaded, or wants it slower.
bool may_be_tried_again(unsigned status)
{
    return status >= 500 || status == 429 || status == 408 || status == 425;
}

} // namespace

Webhook::Webhook(
    asio::io_context& loop,
    shared::Segment& segment,
    shared::net::HttpClient& client,
    WebhookSettings settings)
    : loop_(loop), segment_(segment), client_(client), settings_(std::move(settings)), pause_(loop)
{
    if (settings_.url.empty()) return;
    auto url = shared::http::parse_webhook_url(settings_.url.reveal());
    if (url.has_value())
        url_ = std::move(*url);
    else
        shared::log::error("event=webhook_unusable reason=\"{}\"", url.error().what);
}

void Webhook::poke()
{
    if (!url_ || sending_ || !next_event()) return;
    sending_ = true;
    asio::co_spawn(loop_, send_all(), [this](const std::exception_ptr&) { sending_ = false; });
}

std::optional<shared::Event> Webhook::next_event()
{
    const std::uint64_t done =
        segment_.events.with_lock([](const shared::EventLog& log) { return log.webhook_done; });
    const std::vector<shared::Event> next = shared::events_after(segment_, done, 1);
    if (next.empty()) return std::nullopt;
    if (next.front().sequence > done + 1)
        shared::log::warn("event=webhook_skipped events={}", next.front().sequence - done - 1);
    return next.front();
}

void Webhook::done_with(std::uint64_t sequence)
{
    segment_.events.with_lock([sequence](shared::EventLog& log) {
        log.webhook_done = std::max(log.webhook_done, sequence);
    });
}

asio::awaitable<void> Webhook::send_all()
{
    while (const std::optional<shared::Event> event = next_event()) {
        std::chrono::milliseconds pause = settings_.first_pause;
        bool settled = false;
        for (int tries = 1; !settled; ++tries) {
            settled = co_await send(*event);
            if (settled) break;
            if (tries == kTriesMax) {
                shared::log::error(
                    "event=webhook_given_up about={} sequence={} tries={}",
                    shared::to_string(event->type),
                    event->sequence,
                    tries);
                break;
            }
            pause_.expires_after(pause);
            co_await pause_.async_wait(kNoThrow);
            pause = std::min(pause * 2, settings_.longest_pause);
        }
        done_with(event->sequence);
    }
}

asio::awaitable<bool> Webhook::send(const shared::Event& event)
{
    WebhookBody body = webhook_body(settings_.format, *url_, event);
    shared::net::ClientRequest request;
    request.base = url_->base;
    request.method = "POST";
    request.path = url_->path;
    request.headers = std::move(body.headers);
    request.headers.push_back({"User-Agent", "codex-pool"});
    request.body = std::move(body.text);
    const auto answer =
        co_await client_.send(std::move(request), settings_.deadline, kAnswerBytesMax);
    const std::string_view about = shared::to_string(event.type);
    if (!answer.has_value()) {
        // Without `where`: the host's name may be as secret as the rest of the address.
        shared::log::warn(
            "event=webhook_failed about={} reason=\"{}\"", about, answer.error().what);
        co_return false;
    }
    if (answer->status / 100 == 2) {
        shared::log::debug("event=webhook_sent about={} sequence={}", about, event.sequence);
        co_return true;
    }
    const bool again = may_be_tried_again(answer->status);
    shared::log::warn(
        "event=webhook_refused about={} status={} again={}", about, answer->status, again);
    co_return !again;
}

} // namespace refresher
