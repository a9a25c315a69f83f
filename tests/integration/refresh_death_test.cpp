/// The real refresher process, killed at every place of a token's way from the endpoint into its file, in front of an
/// endpoint that revokes a login whose refresh token comes a second time.
#include "shared/base/clock.hpp"
#include "shared/config/config.hpp"
#include "shared/fake_providers/server.hpp"
#include "shared/ipc/messages.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/segment.hpp"
#include "tests/integration/harness.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tests {
namespace {

using Json = nlohmann::json;

/// Where it can be killed (refresher/fault_point.hpp), in the order of the way.
struct Place {
    std::string_view name;
    bool between; ///< the endpoint may have heard of the token, and the answer is not safe yet
};

constexpr std::array<Place, 17> kPlaces{{
    {"started", false},
    {"prepared", false},
    {"intent_payload", false},
    {"intent_head", false},
    {"intent_synced", false},
    {"sent", true},
    {"answer_here", true},
    {"answer_payload", true},
    {"answer_head", false},
    {"answer_synced", false},
    {"file_written", false},
    {"file_synced", false},
    {"file_renamed", false},
    {"folder_synced", false},
    {"published", false},
    {"closed", false},
    {"finished", false},
}};
constexpr int kRounds = 18; // times 17 places: 306 deaths
constexpr int kAccounts = 10;
/// Less than the lead: whoever starts finds every token due.
constexpr long kLifetime = 300;

std::string read_file(const std::filesystem::path& file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// One refresher as the supervisor would start it, on a segment that outlives it.
class Refresher {
public:
    Refresher(
        const shared::SegmentMapping& segment,
        const std::string& config,
        const std::string& fault,
        const std::filesystem::path& log)
    {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) std::abort();
        const int text = ::memfd_create("config", MFD_CLOEXEC);
        if (::write(text, config.data(), config.size()) != static_cast<ssize_t>(config.size()))
            std::abort();
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        const std::string fault_variable = "CODEX_POOL_FAULT_POINT=" + fault;
        const std::array<const char*, 11> argv{
            CODEX_POOL_BINARY,
            "child",
            "--role",
            "refresher",
            "--slot",
            "0",
            "--generation",
            "1",
            "--listener",
            "0",
            nullptr};
        const std::array<const char*, 3> envp{
            fault_variable.c_str(), "CODEX_POOL_REFRESH_SPACING_MS=0", nullptr};
        pid_ = ::fork();
        if (pid_ == 0) {
            const std::array<std::pair<int, int>, 4> wanted{
                {{ends[1], shared::kControlFd},
                 {segment.fd(), shared::kSegmentFd},
                 {text, shared::kConfigFd},
                 {out, STDERR_FILENO}}};
            std::array<int, 4> parked{};
            for (std::size_t i = 0; i < wanted.size(); ++i)
                parked[i] = ::fcntl(wanted[i].first, F_DUPFD_CLOEXEC, 200);
            for (std::size_t i = 0; i < wanted.size(); ++i)
                (void)::dup2(parked[i], wanted[i].second);
            ::execve(
                argv[0],
                const_cast<char* const*>(argv.data()),
                const_cast<char* const*>(envp.data()));
            ::_exit(127);
        }
        for (const int fd : {ends[1], text, out})
            ::close(fd);
        control_ = ends[0];
    }

    Refresher(const Refresher&) = delete;
    Refresher& operator=(const Refresher&) = delete;

    ~Refresher()
    {
        if (!ended_) {
            (void)::kill(pid_, SIGKILL);
            (void)::waitpid(pid_, nullptr, 0);
        }
        ::close(control_);
    }

    /// The signal that ended it, 0 if it ended by itself; -1 when patience is over.
    int wait()
    {
        int status = 0;
        const bool over =
            eventually([&] { return ended_ = ::waitpid(pid_, &status, WNOHANG) == pid_; });
        if (!over) return -1;
        return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) == 0 ? 0 : -2;
    }

    int stop()
    {
        (void)::kill(pid_, SIGTERM);
        return wait();
    }

private:
    pid_t pid_ = -1;
    int control_ = -1;
    bool ended_ = false;
};

class RefreshDeath : public testing::Test {
protected:
    RefreshDeath()
    {
        std::filesystem::create_directory(pool());
        std::filesystem::create_directory(folder_.path() / "data");
        config_.pool_dir = pool();
        config_.db_path = folder_.path() / "data" / "proxy.db";
        config_.users_path = folder_.path() / "data" / "users.json";
        config_.prices_file = folder_.path() / "prices.json";
        const shared::ProviderRegistry registry;
        for (const auto& provider : registry.all()) {
            for (const shared::UpstreamSpec& spec : provider->upstreams()) {
                shared::http::BaseUrl base;
                base.tls = false;
                base.host = "127.0.0.1";
                base.port = upstream_.port();
                base.prefix = "/auth";
                config_.upstreams[std::string(spec.key)] = base;
            }
        }
        upstream_.tokens().set_lifetime(kLifetime);
        for (int i = 0; i < kAccounts; ++i)
            sign_in("a" + std::to_string(i));
    }

    [[nodiscard]] std::filesystem::path pool() const { return folder_.path() / "pool"; }

    void sign_in(const std::string& name)
    {
        const fake::Account account = fake::with_tokens(
            fake::make_account(fake::Vendor::codex, fake::Kind::oauth, name),
            "sign-in " + std::to_string(++sign_ins_),
            kLifetime);
        upstream_.add_account(account);
        fake::write_credential(account, pool());
        names_.insert(name);
    }

    [[nodiscard]] Refresher refresher(const std::string& fault = "") const
    {
        return {segment_, shared::to_toml(config_), fault, folder_.path() / "log"};
    }

    [[nodiscard]] std::string in_file(const std::string& name) const
    {
        const Json file = Json::parse(read_file(pool() / (name + ".json")), nullptr, false);
        if (!file.is_object()) return "(no valid file)";
        return file.at("tokens").value("refresh_token", "(none)");
    }

    shared::AccountRouting routing(const std::string& name)
    {
        const auto slot = shared::find_account(*segment_, "codex:" + name);
        if (!slot) return {};
        return segment_->accounts[slot->value].with_lock([](auto& r) { return r.routing; });
    }

    void expect_valid_files() const
    {
        for (const std::string& name : names_)
            ASSERT_TRUE(in_file(name).starts_with("refresh-")) << name << ": " << in_file(name);
    }

    /// Tokens that came more than once.
    [[nodiscard]] std::size_t revoked()
    {
        std::size_t count = 0;
        for (const std::string& name : names_)
            count += upstream_.tokens().alive(name) ? 0U : 1U;
        return count;
    }

    /// The account whose answer the last death took, if it did: the endpoint has moved on, and neither file nor journal
    /// knows where to.
    [[nodiscard]] std::vector<std::string> lost(const Place& place)
    {
        // A record whose head is not there yet is none, even if the text is.
        const bool torn = place.name == "answer_payload";
        const std::string journal =
            torn ? "" : read_file(folder_.path() / "data" / "refresh-journal");
        std::vector<std::string> out;
        for (const std::string& name : names_) {
            const std::string current = upstream_.tokens().current(name);
            if (current.empty() || in_file(name) == current) continue;
            if (journal.find(current) == std::string::npos) out.push_back(name);
        }
        return out;
    }

    /// The next process asks once more, is refused, and says so; then the owner signs in.
    void heal(const std::string& name)
    {
        SCOPED_TRACE(name);
        const std::string token = in_file(name);
        Refresher next = refresher();
        EXPECT_TRUE(
            eventually([&] { return routing(name).state == shared::AccountState::needs_login; }));
        EXPECT_EQ(routing(name).reason, std::string_view("refresh_answer_lost"));
        EXPECT_EQ(upstream_.tokens().uses_of_token(token), 2U) << "one repeat";
        EXPECT_FALSE(upstream_.tokens().alive(name));
        EXPECT_EQ(next.stop(), 0);
        EXPECT_EQ(in_file(name), token) << "nothing is deleted";
        sign_in(name);
    }

    TempDir folder_;
    fake::Server upstream_;
    shared::Config config_;
    shared::SegmentMapping segment_{std::move(*shared::SegmentMapping::create(shared::now_unix()))};
    std::set<std::string> names_;
    int sign_ins_ = 0;
};

TEST_F(RefreshDeath, AtThreeHundredPlacesLosesNothingThatWasSafe)
{
    std::size_t deaths = 0;
    std::size_t repeats = 0;
    for (int round = 0; round < kRounds; ++round) {
        for (const Place& place : kPlaces) {
            // Never the first: that is the account whose intent the last death cut off, and two such deaths in a row
            // are a test of their own.
            const std::string fault = std::string(place.name) + ":" + std::to_string(2 + round % 3);
            SCOPED_TRACE(fault + " in round " + std::to_string(round));
            Refresher dying = refresher(fault);
            ASSERT_EQ(dying.wait(), SIGKILL) << read_file(folder_.path() / "log");
            ++deaths;
            ASSERT_TRUE(eventually([&] { return upstream_.open_connections() == 0; }));
            ASSERT_NO_FATAL_FAILURE(expect_valid_files());
            ASSERT_EQ(revoked(), 0U) << "nothing was sent twice";
            for (const std::string& name : names_)
                ASSERT_EQ(routing(name).state, shared::AccountState::ready) << name;
            const std::vector<std::string> taken = lost(place);
            ASSERT_LE(taken.size(), place.between ? 1U : 0U);
            for (const std::string& name : taken) {
                ++repeats;
                ASSERT_NO_FATAL_FAILURE(heal(name));
                ASSERT_EQ(revoked(), 0U);
            }
        }
    }
    EXPECT_GE(deaths, 300U);
    EXPECT_EQ(repeats, 3U * kRounds) << "each death after sending costs one login, no other does";
    EXPECT_LE(upstream_.tokens().most_uses_of_one_token(), 2U);

    const std::size_t before = upstream_.tokens().renewals();
    Refresher last = refresher();
    EXPECT_TRUE(upstream_.tokens().wait(
        [&] { return upstream_.tokens().renewals() >= before + kAccounts; }));
    EXPECT_EQ(last.stop(), 0);
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& each : std::filesystem::directory_iterator(pool()))
        ++files;
    EXPECT_EQ(files, static_cast<std::size_t>(kAccounts)) << "no litter";
    for (const std::string& name : names_) {
        EXPECT_EQ(in_file(name), upstream_.tokens().current(name)) << name;
        EXPECT_EQ(routing(name).state, shared::AccountState::ready) << name;
    }
    EXPECT_EQ(std::filesystem::file_size(folder_.path() / "data" / "refresh-journal"), 0U);
    EXPECT_EQ(upstream_.ledger().violations(), std::vector<std::string>());
    const std::string log = read_file(folder_.path() / "log");
    EXPECT_EQ(log.find("refresh-"), log.find("refresh-journal")) << "no token in the log";
}

/// Two deaths in a row after the intent: the third process does not try again.
TEST_F(RefreshDeath, TwiceInARowAfterSendingIsNamedWithoutAThirdTry)
{
    const std::string first = in_file("a0");
    for (int i = 0; i < 2; ++i) {
        Refresher dying = refresher("sent:1");
        ASSERT_EQ(dying.wait(), SIGKILL);
        ASSERT_TRUE(eventually([&] { return upstream_.open_connections() == 0; }));
    }
    std::string dead;
    for (const std::string& name : names_)
        if (!upstream_.tokens().alive(name)) dead = name;
    ASSERT_FALSE(dead.empty());
    const std::string token = in_file(dead);
    Refresher third = refresher();
    EXPECT_TRUE(
        eventually([&] { return routing(dead).state == shared::AccountState::needs_login; }));
    EXPECT_EQ(routing(dead).reason, std::string_view("refresh_answer_lost"));
    EXPECT_TRUE(upstream_.tokens().wait(
        [&] { return upstream_.tokens().renewals() >= static_cast<std::size_t>(kAccounts); }));
    EXPECT_EQ(third.stop(), 0);
    EXPECT_EQ(upstream_.tokens().uses_of_token(token), 2U);
}

/// The whole pool: 200 requests at once over ten accounts that all come to their end, reloads and deaths among them.
class RefreshUnderLoad : public PoolTest {
protected:
    void add_dying(fake::Vendor vendor, const std::string& name)
    {
        upstream().remove_account(add(vendor, fake::Kind::oauth, name).name);
        const fake::Account account =
            fake::with_tokens(fake::make_account(vendor, fake::Kind::oauth, name), "dying", 60);
        upstream().add_account(account);
        fake::write_credential(account, pool_folder());
        names_.push_back(name);
    }

    std::vector<std::string> names_;
};

TEST_F(RefreshUnderLoad, TwoHundredRequestsReloadsAndDeaths)
{
    for (const char* number : {"1", "2", "3", "4"})
        add_dying(fake::Vendor::codex, std::string("codex_") + number);
    for (const char* number : {"1", "2", "3"}) {
        add_dying(fake::Vendor::claude, std::string("claude_") + number);
        add_dying(fake::Vendor::gemini, std::string("gemini_") + number);
    }
    upstream().tokens().set_lifetime(kLifetime);
    set_environment("CODEX_POOL_REFRESH_SPACING_MS", "20");
    allow_violations(); // a death may cost a login, and requests with its token then find out
    start();

    std::atomic<int> served{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 200; ++i) {
        threads.emplace_back([this, i, &served] {
            fake::Client one = client();
            const Turn turn = turn_of(static_cast<Cli>(i % 3), "load-" + std::to_string(i));
            const fake::Response response = make(one, turn);
            if (response.status == 200 && response.complete) ++served;
        });
    }
    constexpr std::size_t kDeaths = 3;
    for (std::size_t i = 0; i < kDeaths; ++i) {
        const std::size_t before = upstream().tokens().renewals();
        const std::size_t line = pool().line_count();
        pool().signal(SIGHUP);
        EXPECT_TRUE(pool().wait_line("event=reload", line));
        EXPECT_TRUE(upstream().tokens().wait(
            [&] { return i == 0 || upstream().tokens().renewals() > before; }));
        for (const pid_t pid : pool().children("refresher"))
            (void)::kill(pid, SIGKILL);
        EXPECT_TRUE(pool().wait_line("event=pool_loaded", line));
    }
    for (std::thread& each : threads)
        each.join();
    EXPECT_EQ(served, 200);

    // The last refresher renews all that are left; what a death took is named. A login can be both: two deaths in a row
    // between intent and sending leave it named, though its token is still good.
    std::size_t named = 0;
    EXPECT_TRUE(eventually([&] {
        std::set<std::string> settled;
        for (const std::string& name : names_) {
            const std::string file = read_file(pool_folder() / (name + ".json"));
            const std::string current = upstream().tokens().current(name);
            if (!current.empty() && file.find(current) != std::string::npos) settled.insert(name);
        }
        named = 0;
        for (const Json& each : get_json("/admin/accounts")) {
            if (each.value("condition", "") != "needs_login") continue;
            ++named;
            settled.insert(short_name(each.value("id", "")));
        }
        return settled.size() == names_.size();
    })) << get("/admin/accounts").body;
    EXPECT_LE(named, 3 * kDeaths) << "at most one of each provider for each death";
    EXPECT_LE(upstream().tokens().most_uses_of_one_token(), 2U);
    for (const std::string& name : names_)
        EXPECT_TRUE(Json::accept(read_file(pool_folder() / (name + ".json")))) << name;
}

} // namespace
} // namespace tests
