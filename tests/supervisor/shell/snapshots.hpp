/// Snapshots made by hand.
#pragma once

#include "supervisor/shell/snapshot.hpp"

namespace tests {

inline constexpr shared::UnixMillis kAt{1'763'800'000'000};

inline supervisor::shell::AccountLine account_line(const std::string& id, const std::string& state = "ready")
{
    supervisor::shell::AccountLine account;
    account.id = id;
    account.provider = id.substr(0, id.find(':'));
    account.state = state;
    account.severity = state == "ready" ? "good" : state == "needs_login" ? "owner" : "passing";
    return account;
}

inline supervisor::shell::Window window_of(double used, std::int64_t resets_in_minutes)
{
    supervisor::shell::Window window;
    window.exists = true;
    window.used = used;
    window.resets_at = {kAt.value + resets_in_minutes * 60'000};
    return window;
}

inline supervisor::shell::RunningLine
running_line(const std::string& model, const std::string& user, std::int64_t elapsed_ms)
{
    supervisor::shell::RunningLine running;
    running.request_id = "0123456789abcdef";
    running.model = model;
    running.user = user;
    running.account = "codex:a";
    running.elapsed_ms = elapsed_ms;
    return running;
}

/// Two accounts, one of them dead, and one running request.
inline supervisor::shell::Snapshot snapshot_of_two()
{
    supervisor::shell::Snapshot snapshot;
    snapshot.at = kAt;
    snapshot.version = "9.8.7";
    snapshot.uptime_seconds = 7500;
    snapshot.status = "degraded";
    snapshot.sentence = "1 account of 2 can serve (1 needs login).";
    snapshot.accounts = {account_line("codex:a"), account_line("codex:b", "needs_login")};
    snapshot.accounts[0].short_window = window_of(0.5, 123);
    snapshot.accounts[0].long_window = window_of(1, 5 * 24 * 60);
    snapshot.accounts[1].note = "the vendor no longer knows its refresh token";
    snapshot.accounts[1].next_step = "sign in again";
    snapshot.workers = {{"serving", 3, 1, 10}};
    snapshot.running_total = 1;
    snapshot.running = {running_line("gpt-x", "ann", 61'000)};
    return snapshot;
}

} // namespace tests
