// g++ 12 warns of Asio's own headers once they are inlined here at -O2; neither warning is true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#include "refresher/owner_actions.hpp"

#include "refresher/vendor_call.hpp"
#include "shared/base/clock.hpp"
#include "shared/base/log.hpp"
#include "shared/evidence/learn.hpp"
#include "shared/providers/verdicts.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace refresher {
namespace {

namespace asio = boost::asio;
using shared::AccountAction;
using shared::AccountRecord;
using shared::AccountSlot;
using shared::AccountState;
using shared::ActionResult;
using shared::UnixMillis;

/// As much of an error body as providers look at.
constexpr std::size_t kErrorBytesMax = 64 * 1024;

/// The id of the account in a slot; empty if there is none any more.
std::string id_of(shared::Segment& segment, std::uint64_t slot)
{
    if (slot >= segment.account_slots.load(std::memory_order_acquire)) return {};
    decltype(shared::AccountIdentity::id) id;
    segment.accounts[slot].with_lock([&id](const AccountRecord& record) {
        const AccountState state = record.routing.state;
        if (state != AccountState::empty && state != AccountState::removed) id = record.identity.id;
    });
    return std::string(id.view());
}

} // namespace

OwnerActions::OwnerActions(
    asio::io_context& loop,
    const shared::ProviderRegistry& registry,
    const shared::Config& config,
    shared::net::HttpClient& client,
    shared::Segment& segment,
    Roster& roster,
    shared::AccountSettings& settings,
    Links links,
    std::chrono::milliseconds test_deadline)
    : loop_(loop),
      registry_(registry),
      config_(config),
      client_(client),
      segment_(segment),
      roster_(roster),
      settings_(settings),
      links_(std::move(links)),
      test_deadline_(test_deadline)
{}

void OwnerActions::perform(const shared::Message& asked, Done done)
{
    const std::string id = id_of(segment_, asked.value);
    if (id.empty()) return done({ActionResult::no_account});
    const AccountSlot slot{static_cast<std::uint16_t>(asked.value)};
    switch (asked.action) {
    case AccountAction::enable:
        return done({enable(id)});
    case AccountAction::disable:
        return done({change(id, R"({"disabled":true})")});
    case AccountAction::options:
        return done({take_wish(id, asked)});
    case AccountAction::clear:
        return done({clear(slot)});
    case AccountAction::refresh:
        if (!links_.refresh) return done({ActionResult::refused});
        return links_.refresh(id, [done](ActionResult result) { done({result}); });
    case AccountAction::test:
        return test(id, std::move(done));
    case AccountAction::pause:
        return done({change(id, R"({"paused":true})")});
    case AccountAction::resume:
        return done({resume(id)});
    case AccountAction::none:
    case AccountAction::add: // refresher/account_intake: it is about no account yet
        break;
    }
    done({ActionResult::refused});
}

ActionResult OwnerActions::change(std::string_view account, std::string_view patch)
{
    const auto options = settings_.change(account, patch);
    if (!options.has_value()) {
        shared::log::error(
            "event=account_settings_not_saved account={} {}", account, options.error().text());
        return ActionResult::failed;
    }
    roster_.set_owner_options(account, *options, shared::now_unix());
    shared::log::info("event=account_settings_changed account={}", account);
    if (links_.on_changed) links_.on_changed();
    return ActionResult::done;
}

ActionResult OwnerActions::enable(std::string_view account)
{
    // Nothing is said any longer, unless the file would then take it out of service again.
    const auto held = roster_.held().find(account);
    if (held == roster_.held().end()) return change(account, R"({"disabled":null,"paused":null})");
    const shared::Credential& file = held->second.credential;
    const bool disabled = file.disabled || file.options.disabled.value_or(false);
    const bool paused = file.options.paused.value_or(false);
    std::string patch = disabled ? R"({"disabled":false,)" : R"({"disabled":null,)";
    patch += paused ? R"("paused":false})" : R"("paused":null})";
    return change(account, patch);
}

ActionResult OwnerActions::resume(std::string_view account)
{
    const auto held = roster_.held().find(account);
    const bool in_file =
        held != roster_.held().end() && held->second.credential.options.paused.value_or(false);
    return change(account, in_file ? R"({"paused":false})" : R"({"paused":null})");
}

ActionResult OwnerActions::take_wish(std::string_view account, const shared::Message& asked)
{
    const shared::OwnerWish wish = segment_.owner_wish.with_lock(
        [](shared::OwnerWish& kept) { return std::exchange(kept, {}); });
    const bool belongs = wish.request == asked.request && wish.account == asked.value;
    if (!belongs || wish.request == 0) return ActionResult::refused;
    return change(account, wish.options.view());
}

ActionResult OwnerActions::clear(AccountSlot slot)
{
    const UnixMillis now = shared::now_unix();
    segment_.accounts[slot.value].with_lock(
        [now](AccountRecord& record) { shared::forget_evidence(record, now); });
    if (links_.on_changed) links_.on_changed();
    return ActionResult::done;
}

void OwnerActions::test(const std::string& account, Done done)
{
    const auto held = roster_.held().find(account);
    if (held == roster_.held().end()) return done({ActionResult::no_account});
    shared::Credential credential = held->second.credential;
    const auto project = segment_.accounts[held->second.slot.value].with_lock(
        [](const AccountRecord& record) { return record.identity.project; });
    if (!project.empty()) credential.project = project.view(); // what discovery found
    std::optional<shared::UpstreamCall> call =
        registry_.get(held->second.provider).test_call(credential);
    if (!call) return done({ActionResult::refused});
    asio::co_spawn(loop_, run_test(account, std::move(*call), std::move(done)), asio::detached);
}

asio::awaitable<void>
OwnerActions::run_test(std::string account, shared::UpstreamCall call, Done done)
{
    std::optional<shared::net::ForwardProxy> proxy = roster_.proxy_of(account);
    const shared::Result<shared::CallReply> reply = co_await call_vendor(
        client_,
        config_.upstream(registry_, call.upstream),
        call,
        test_deadline_,
        std::move(proxy));
    const auto held = roster_.held().find(account);
    ActionEnd end;
    end.result = ActionResult::failed;
    if (held == roster_.held().end()) {
        end.result = ActionResult::no_account;
    } else if (reply.has_value()) {
        end = learn_test(held->second, *reply);
    } else {
        // The way to the vendor is no fault of the account's.
        shared::log::warn(
            "event=account_test_failed account={} reason=\"{}\"", account, reply.error().text());
    }
    shared::log::info(
        "event=account_tested account={} status={} result={}",
        account,
        end.status,
        static_cast<int>(end.result));
    done(end);
}

ActionEnd OwnerActions::learn_test(const Roster::Held& held, const shared::CallReply& reply)
{
    const shared::Provider& provider = registry_.get(held.provider);
    const UnixMillis now = shared::now_unix();
    const shared::http::ResponseHead head = shared::providers::head_of(reply);
    const std::string_view body(reply.body);
    const bool good = reply.status < 400;
    shared::Verdict verdict =
        provider.classify(head, good ? std::string_view() : body.substr(0, kErrorBytesMax), now);
    shared::learn_quota(
        segment_,
        held.slot,
        provider.quota_from_headers(head, now),
        shared::EvidenceSource::header,
        now);
    if (good) { // what a stream says later counts as much
        shared::ResponseScanner scanner(provider, head.fields.find("content-type"));
        scanner.feed(body, now);
        scanner.finish(now);
        shared::learn_quota(
            segment_, held.slot, scanner.facts().quota, shared::EvidenceSource::stream, now);
        if (scanner.facts().failure) verdict = *scanner.facts().failure;
    }
    const bool served = good && verdict.outcome == shared::Outcome::served;
    const bool about_account = served || verdict.outcome != shared::Outcome::served;
    if (about_account && !verdict.about_request) {
        segment_.accounts[held.slot.value].with_lock(
            [&](AccountRecord& record) { shared::learn_verdict(record.routing, verdict, now); });
    }
    if (verdict.outcome == shared::Outcome::credential_rejected && links_.on_rejected)
        links_.on_rejected(held.slot);
    ActionEnd end;
    end.result = served ? ActionResult::done : ActionResult::failed;
    end.status = reply.status;
    return end;
}

} // namespace refresher
