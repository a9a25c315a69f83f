/// The demo: fake upstreams in this process, the pool as a child (`codex-pool run` on a configuration of its own
/// in a temporary folder, with an environment that has none of the user's settings), and a thread of traffic.
#include "supervisor/demo.hpp"

#include "shared/fake_providers/client.hpp"
#include "shared/fake_providers/server.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace supervisor {

namespace {

namespace fake = shared::fake_providers;

constexpr std::chrono::milliseconds kPauseBetweenTurns{700};
constexpr std::chrono::milliseconds kPauseBetweenEvents{40};
constexpr std::size_t kConversations = 9;
constexpr std::string_view kListening = "listening on http://";

/// Set by the signal handler; the main loop passes it on to the pool.
std::atomic<int> stop_signal{0};

void on_signal(int signal)
{
    stop_signal = signal;
}

/// Removed with everything in it.
class TemporaryFolder {
public:
    TemporaryFolder()
    {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "codex-pool-demo-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr)
            throw std::runtime_error(
                "demo: cannot make a folder like " + pattern + ": " + std::strerror(errno));
        path_ = pattern;
    }

    ~TemporaryFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

void add_accounts(fake::Server& server, const std::filesystem::path& pool)
{
    const std::array<fake::Account, 6> accounts{
        fake::make_account(fake::Vendor::codex, fake::Kind::oauth, "alice"),
        fake::make_account(fake::Vendor::codex, fake::Kind::oauth, "bob"),
        fake::make_account(fake::Vendor::claude, fake::Kind::oauth, "claude_carol"),
        fake::make_account(fake::Vendor::claude, fake::Kind::api_key, "claude_work"),
        fake::make_account(fake::Vendor::gemini, fake::Kind::oauth, "gemini_dave"),
        fake::make_account(fake::Vendor::gemini, fake::Kind::api_key, "gemini_key"),
    };
    std::filesystem::create_directory(pool);
    double used = 5;
    for (const fake::Account& account : accounts) {
        server.add_account(account);
        server.set_quota(account.name, {.short_used = used, .long_used = used / 2, .step = 0.3});
        used += 13;
        fake::write_credential(account, pool);
    }
}

/// `codex-pool run`, with its standard error as a pipe.
class Pool {
public:
    Pool(const std::filesystem::path& folder, const std::string& listen)
    {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0)
            throw std::runtime_error("demo: cannot make a pipe");
        output_ = ends[0];
        const std::string config = (folder / "config.toml").string();
        const std::string home = "HOME=" + folder.string();
        pid_ = ::fork();
        if (pid_ == 0) {
            // The pool must not outlive the demo, nor see a variable that leads to the user's own files.
            (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
            // A group of its own: Ctrl-C must reach it once, from us, because a second one cuts requests off.
            (void)::setpgid(0, 0);
            (void)::dup2(ends[1], STDERR_FILENO);
            const std::array<const char*, 8> arguments{
                "codex-pool",
                "run",
                "--config",
                config.c_str(),
                "--listen",
                listen.c_str(),
                nullptr};
            const std::array<const char*, 3> environment{
                "PATH=/usr/bin:/bin", home.c_str(), nullptr};
            if (::chdir(folder.c_str()) != 0) ::_exit(127);
            ::execve(
                "/proc/self/exe",
                const_cast<char* const*>(arguments.data()),
                const_cast<char* const*>(environment.data()));
            ::_exit(127);
        }
        ::close(ends[1]);
        if (pid_ < 0) throw std::runtime_error("demo: cannot start the pool");
    }

    ~Pool()
    {
        stop(SIGKILL);
        (void)wait();
        ::close(output_);
    }

    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    void stop(int signal) const
    {
        if (pid_ > 0) (void)::kill(pid_, signal);
    }

    /// The next line of its log within 200 ms; false once there will be none.
    bool read_line(std::string& line)
    {
        line.clear();
        for (;;) {
            const std::size_t end = held_.find('\n');
            if (end != std::string::npos) {
                line = held_.substr(0, end);
                held_.erase(0, end + 1);
                return true;
            }
            pollfd ready{.fd = output_, .events = POLLIN, .revents = 0};
            if (::poll(&ready, 1, 200) <= 0) return true;
            std::array<char, 4096> buffer{};
            const ssize_t n = ::read(output_, buffer.data(), buffer.size());
            if (n == 0 || (n < 0 && errno != EINTR)) return false;
            if (n > 0) held_.append(buffer.data(), static_cast<std::size_t>(n));
        }
    }

    int wait()
    {
        if (pid_ <= 0) return code_;
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        return code_;
    }

private:
    pid_t pid_ = -1;
    int output_ = -1;
    int code_ = 1;
    std::string held_;
};

/// Its CLI learns the project from loadCodeAssist; here it is known.
std::string gemini_project()
{
    return fake::make_account(fake::Vendor::gemini, fake::Kind::oauth, "gemini_dave").project;
}

/// One turn of conversation `number`, as the CLI of its provider would send it.
void make_turn(std::uint16_t port, std::size_t number)
{
    fake::Client client(port);
    if (!client.connected()) return;
    const std::string id = "demo-conversation-" + std::to_string(number);
    const fake::Headers json = {{"Content-Type", "application/json"}};
    fake::Headers headers = json;
    switch (number % 3) {
    case 0:
        headers.emplace_back("session-id", id);
        (void)client.request(
            "POST",
            "/v1/responses",
            headers,
            R"({"model":"gpt-demo","stream":true,"prompt_cache_key":")" + id + R"(","input":[]})");
        break;
    case 1:
        headers.emplace_back("X-Claude-Code-Session-Id", id);
        headers.emplace_back("anthropic-version", "2023-06-01");
        (void)client.request(
            "POST",
            "/v1/messages",
            headers,
            R"({"model":"claude-demo","stream":true,"max_tokens":100,"messages":[{"role":"user","content":")" +
                id + R"("}]})");
        break;
    default:
        (void)client.request(
            "POST",
            "/v1internal:streamGenerateContent?alt=sse",
            headers,
            R"({"model":"gemini-demo","project":")" + gemini_project() +
                R"(","request":{"session_id":")" + id +
                R"(","contents":[{"role":"user","parts":[{"text":"hi"}]}]}})");
    }
}

void make_traffic(std::uint16_t port, const std::atomic<bool>& stop)
{
    for (std::size_t turn = 0; !stop; ++turn) {
        make_turn(port, turn % kConversations);
        std::this_thread::sleep_for(kPauseBetweenTurns);
    }
}

void greet(const std::string& url, const std::string& config)
{
    std::printf(
        "\ncodex-pool demo: six fake accounts, fake providers, a turn every second. Ctrl-C ends "
        "it.\n\n"
        "  open       %s/\n"
        "  watch      codex-pool top --config %s\n"
        "  status     curl %s/status?format=json\n"
        "  accounts   curl %s/admin/accounts\n"
        "  health     curl %s/healthz\n"
        "  a turn     curl %s/v1/messages -H 'content-type: application/json' \\\n"
        "               -d "
        "'{\"model\":\"claude-demo\",\"max_tokens\":50,\"messages\":[{\"role\":\"user\","
        "\"content\":\"hi\"}]}'\n\n",
        url.c_str(),
        config.c_str(),
        url.c_str(),
        url.c_str(),
        url.c_str(),
        url.c_str());
    (void)std::fflush(stdout);
}

/// "… listening on http://ADDRESS:PORT …" -> "http://ADDRESS:PORT"
std::string url_in(const std::string& line)
{
    const std::size_t at = line.find(kListening);
    if (at == std::string::npos) return {};
    const std::size_t begin = at + kListening.size() - std::string_view("http://").size();
    return line.substr(begin, line.find_first_of(" ,;\t", begin) - begin);
}

int watch(Pool& pool, const std::string& config)
{
    std::atomic<bool> stop{false};
    std::jthread traffic;
    std::string line;
    while (pool.read_line(line)) {
        if (const int signal = stop_signal.exchange(0); signal != 0) {
            stop = true;
            pool.stop(signal);
        }
        if (line.empty()) continue;
        (void)std::fprintf(stderr, "%s\n", line.c_str());
        const std::string url = url_in(line);
        if (url.empty() || traffic.joinable()) continue;
        greet(url, config);
        const auto port =
            static_cast<std::uint16_t>(std::strtoul(url.c_str() + url.rfind(':') + 1, nullptr, 10));
        traffic = std::jthread([port, &stop] { make_traffic(port, stop); });
    }
    stop = true;
    return pool.wait();
}

} // namespace

int run_demo(const DemoOptions& options)
{
    const TemporaryFolder folder;
    fake::ServerOptions upstreams;
    upstreams.interval = kPauseBetweenEvents;
    fake::Server server(upstreams);
    add_accounts(server, folder.path() / "pool");
    std::ofstream(folder.path() / "config.toml")
        << "listen_addr = \"" << options.listen
        << "\"\npool_dir = \"pool\"\ndb_path = \"data/proxy.db\"\n\n"
        << server.upstream_toml();

    struct sigaction action {};

    action.sa_handler = on_signal;
    (void)::sigaction(SIGINT, &action, nullptr);
    (void)::sigaction(SIGTERM, &action, nullptr);
    Pool pool(folder.path(), options.listen);
    const int code = watch(pool, (folder.path() / "config.toml").string());
    if (code == 0) std::printf("codex-pool demo: ended, nothing is left behind\n");
    return code;
}

} // namespace supervisor
