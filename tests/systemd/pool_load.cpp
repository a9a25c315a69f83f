/// A load on a pool that a script looks after: streams that stay open, and requests at a steady rate.
///
///   pool_load POOL_PORT FAKES_PORT DATABASE STREAMS PER_SECOND
///
/// Prints "loaded" when every stream is open and requests are answered. Told to end (SIGTERM) it lets some more requests be
/// answered and the streams go on, then prints what came of all. Exit code 0 only if no request failed, every stream ended
/// whole, the database has a row of each and the tokens that the fakes said, and no conversation moved.
#include "tests/integration/steady_load.hpp"
#include "tests/integration/turns.hpp"

#include <nlohmann/json.hpp>
#include <sqlite3.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Json = nlohmann::json;
namespace fake = tests::fake;

constexpr std::size_t kAnswersBetween = 50;

/// Requests, then tokens: input, cached, cache creation, output, reasoning.
using Sums = std::array<std::int64_t, 6>;

std::string text_of(const Sums& sums)
{
    std::string text;
    for (const std::int64_t each : sums)
        text += (text.empty() ? "" : ", ") + std::to_string(each);
    return text;
}

/// Of what began at `since` (milliseconds since 1970) or later.
Sums recorded(const std::string& database, std::int64_t since)
{
    sqlite3* handle = nullptr;
    sqlite3_stmt* row = nullptr;
    Sums sums{};
    (void)::sqlite3_open_v2(database.c_str(), &handle, SQLITE_OPEN_READONLY, nullptr);
    (void)::sqlite3_busy_timeout(handle, 5000);
    const bool read = ::sqlite3_prepare_v2(
                          handle,
                          "SELECT COUNT(*), SUM(input_tokens), SUM(cached_input_tokens), "
                          "SUM(cache_creation_tokens), SUM(output_tokens), SUM(reasoning_tokens) "
                          "FROM requests WHERE path LIKE '/v1/%' AND started_at >= ?",
                          -1,
                          &row,
                          nullptr) == SQLITE_OK &&
                      ::sqlite3_bind_int64(row, 1, since) == SQLITE_OK &&
                      ::sqlite3_step(row) == SQLITE_ROW;
    for (std::size_t i = 0; read && i < sums.size(); ++i)
        sums[i] = ::sqlite3_column_int64(row, static_cast<int>(i));
    const std::string problem = read ? "" : ::sqlite3_errmsg(handle);
    (void)::sqlite3_finalize(row);
    (void)::sqlite3_close(handle);
    if (!read) throw std::runtime_error(database + ": " + problem);
    return sums;
}

class Fakes {
public:
    explicit Fakes(std::uint16_t port) : port_(port) {}

    std::string
    ask(const std::string& method, const std::string& what, const std::string& body = {}) const
    {
        const fake::Response response =
            fake::Client(port_).request(method, "/_fake/" + what, {}, body);
        if (response.status != 200)
            throw std::runtime_error("the fakes do not " + what + ": " + response.body);
        return response.body;
    }

    [[nodiscard]] Json ledger() const { return Json::parse(ask("GET", "ledger")); }

private:
    std::uint16_t port_;
};

/// What the fakes say they spent on so many requests.
Sums said(const Json& ledger, std::size_t requests)
{
    Sums sums{static_cast<std::int64_t>(requests)};
    for (const Json& total : ledger["totals"]) {
        std::size_t i = 1;
        for (const char* name : {"input", "cached", "cache_creation", "output", "reasoning"})
            sums[i++] += total[name].get<std::int64_t>();
    }
    return sums;
}

std::vector<std::unique_ptr<fake::Client>> open_streams(std::uint16_t port, std::size_t count)
{
    std::vector<std::unique_ptr<fake::Client>> streams;
    for (std::size_t i = 0; i < count; ++i) {
        streams.push_back(std::make_unique<fake::Client>(port, std::chrono::minutes(10)));
        const tests::Turn turn = tests::turn_of(tests::Cli::claude, "held-" + std::to_string(i));
        if (!streams.back()->send(turn.method, turn.target, turn.headers, turn.body) ||
            streams.back()->read_head().status != 200 ||
            streams.back()->read_until("content_block_delta").empty())
            throw std::runtime_error("stream " + std::to_string(i) + " does not begin");
    }
    return streams;
}

int run(
    std::uint16_t port,
    const Fakes& fakes,
    const std::string& database,
    std::size_t streams_wanted,
    std::size_t per_second)
{
    sigset_t end;
    sigemptyset(&end);
    sigaddset(&end, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &end, nullptr);

    const std::int64_t begun = std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count();
    (void)fakes.ask("POST", "reset");
    (void)fakes.ask("POST", "script", R"({"path":"/v1/messages","gate_after":4})");
    auto streams = open_streams(port, streams_wanted);
    tests::SteadyLoad load(port, per_second, per_second >= 200 ? 16 : 4);
    const auto fail = [&load](const std::string& what) {
        std::cout << "FAILED: " << what << "; " << load.summary() << std::endl;
        return 1;
    };
    if (!load.wait_answers(kAnswersBetween)) return fail("nobody answers");
    std::cout << "loaded" << std::endl;
    int number = 0;
    (void)sigwait(&end, &number);
    if (!load.wait_answers(kAnswersBetween)) return fail("nobody answers any more");
    load.stop();
    (void)fakes.ask("POST", "release");
    std::size_t whole = 0;
    for (auto& each : streams) {
        const fake::Response rest = each->read_rest();
        whole += rest.complete && rest.body.find("message_stop") != std::string::npos ? 1 : 0;
    }
    const std::size_t sent = load.answered() + load.failed() + streams.size();
    Json ledger;
    Sums rows{};
    const bool settled = tests::eventually([&] {
        ledger = fakes.ledger();
        rows = recorded(database, begun);
        return rows == said(ledger, sent);
    });
    const std::size_t moves = ledger["moves"].size();
    std::cout << load.summary() << "; " << whole << " of " << streams.size()
              << " streams ended whole; " << rows[0] << " rows of " << sent << " requests; "
              << moves << " conversations moved" << std::endl;
    if (load.failed() != 0) return fail("requests failed");
    if (whole != streams.size()) return fail("streams were cut");
    if (!settled)
        return fail(
            "rows and tokens are " + text_of(rows) + " and should be " +
            text_of(said(ledger, sent)));
    if (moves != 0) return fail("moved: " + ledger["moves"].dump());
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() != 5) {
        std::cerr << "usage: pool_load POOL_PORT FAKES_PORT DATABASE STREAMS PER_SECOND\n";
        return 2;
    }
    try {
        const auto port = [](const std::string& text) {
            return static_cast<std::uint16_t>(std::stoul(text));
        };
        return run(
            port(arguments[0]),
            Fakes(port(arguments[1])),
            arguments[2],
            std::stoul(arguments[3]),
            std::stoul(arguments[4]));
    } catch (const std::exception& e) {
        std::cout << "FAILED: " << e.what() << std::endl;
        return 1;
    }
}
