/// The machine: clock, port, systemd.
#include "supervisor/owned_fd.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/shell/doctor_checks.hpp"

namespace supervisor::shell {
namespace {

constexpr std::int64_t kClockOffSeconds = 60;
constexpr int kSystemctlPatienceMs = 5000;
constexpr std::size_t kSystemctlBytesMax = 64 * 1024;

/// What a sandboxed service has; a drop-in may have taken it away.
constexpr std::array<std::array<const char*, 2>, 7> kSandbox{
    {{"NoNewPrivileges", "yes"},
     {"ProtectSystem", "strict"},
     {"ProtectHome", "yes"},
     {"PrivateDevices", "yes"},
     {"MemoryDenyWriteExecute", "yes"},
     {"CapabilityBoundingSet", ""},
     {"LimitCORE", "0"}}};
constexpr std::uint64_t kDescriptorsWanted = 65'536;

/// Standard output of a program that is given a few seconds; empty if it cannot be run or did not end well.
std::string output_of(std::vector<const char*> arguments)
{
    arguments.push_back(nullptr);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {};
    const supervisor::OwnedFd reader(ends[0]);
    supervisor::OwnedFd writer(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid = -1;
    const int failed = ::posix_spawnp(
        &pid, arguments[0], &actions, nullptr, const_cast<char* const*>(arguments.data()), environ);
    posix_spawn_file_actions_destroy(&actions);
    writer.reset();
    if (failed != 0) return {};
    std::string text;
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(kSystemctlPatienceMs);
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            until - std::chrono::steady_clock::now());
        pollfd ready{reader.get(), POLLIN, 0};
        if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) break;
        std::array<char, 4096> bytes{};
        const ssize_t got = ::read(reader.get(), bytes.data(), bytes.size());
        if (got <= 0 || text.size() > kSystemctlBytesMax) break;
        text.append(bytes.data(), static_cast<std::size_t>(got));
    }
    (void)::kill(pid, SIGKILL); // if it still runs
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return text;
}

/// Whether somebody listens there; nothing if the address cannot be used at all.
bool answers(const sockaddr* address, socklen_t size)
{
    const supervisor::OwnedFd socket(
        ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return false;
    if (::connect(socket.get(), address, size) == 0) return true;
    if (errno != EINPROGRESS) return false;
    pollfd ready{socket.get(), POLLOUT, 0};
    if (::poll(&ready, 1, 2000) <= 0) return false;
    int error = 0;
    socklen_t length = sizeof error;
    return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0;
}

} // namespace

Findings check_clock(std::optional<std::int64_t> ahead)
{
    timex state{};
    const bool synchronised = ::adjtimex(&state) != TIME_ERROR;
    if (ahead && std::abs(*ahead) > kClockOffSeconds)
        return {
            {"clock",
             Grade::bad,
             fmt::format(
                 "{} s {} the upstreams'", std::abs(*ahead), *ahead > 0 ? "ahead of" : "behind"),
             "set it: timedatectl set-ntp true (tokens and resets are told by it)"}};
    std::string text = ahead ? fmt::format("agrees with the upstreams' (to {} s)", std::abs(*ahead))
                             : std::string("no upstream said what time it is");
    if (synchronised) return {{"clock", Grade::good, text + ", synchronised", ""}};
    return {
        {"clock",
         ahead ? Grade::note : Grade::warn,
         text + ", nothing keeps it synchronised",
         ahead ? "" : "timedatectl set-ntp true"}};
}

Findings check_port(const shared::Config& config, bool pool_runs)
{
    const std::string where = config.listen.text();
    addrinfo hints{};
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(
        config.listen.host.c_str(), std::to_string(config.listen.port).c_str(), &hints, &found);
    if (error != 0)
        return {{"port", Grade::bad, where + ": " + ::gai_strerror(error), "set listen_addr"}};
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
    if (answers(found->ai_addr, found->ai_addrlen)) {
        if (pool_runs) return {{"port", Grade::good, "the pool answers on " + where, ""}};
        return {
            {"port",
             Grade::bad,
             "something else listens on " + where,
             fmt::format(
                 "find it with: ss -ltnp 'sport = :{}'; or set listen_addr", config.listen.port)}};
    }
    if (pool_runs)
        return {
            {"port",
             Grade::bad,
             "the pool runs, but nothing answers on " + where,
             "was listen_addr changed after it was started? Restart it; look at codex-pool logs"}};
    const supervisor::OwnedFd socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (socket) (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!socket || ::bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0)
        return {
            {"port",
             Grade::bad,
             "cannot listen on " + where + ": " + std::strerror(errno),
             "set listen_addr to an address of this machine and a free port above 1023"}};
    return {{"port", Grade::good, where + " is free", ""}};
}

Findings judge_unit(std::string_view properties)
{
    std::map<std::string, std::string, std::less<>> values;
    while (!properties.empty()) {
        const std::size_t end = std::min(properties.find('\n'), properties.size());
        const std::string_view line = properties.substr(0, end);
        properties.remove_prefix(std::min(end + 1, properties.size()));
        if (const std::size_t equals = line.find('='); equals != std::string_view::npos)
            values.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
    if (values["LoadState"] != "loaded")
        return {{"systemd", Grade::note, "the pool is not installed as a service", ""}};
    Findings findings;
    const std::string state = values["ActiveState"];
    const std::string text =
        fmt::format("codex-pool.service is {} ({})", state, values["UnitFileState"]);
    if (state == "failed")
        findings.push_back(
            {"systemd",
             Grade::bad,
             text,
             "codex-pool logs says why; then systemctl restart codex-pool"});
    else
        findings.push_back({"systemd", state == "active" ? Grade::good : Grade::note, text, ""});
    if (values["NRestarts"] != "0" && !values["NRestarts"].empty())
        findings.push_back(
            {"systemd",
             Grade::warn,
             "it was restarted " + values["NRestarts"] + " times by systemd",
             "look at codex-pool logs"});
    std::string missing;
    for (const auto& [name, wanted] : kSandbox) {
        const auto found = values.find(std::string_view(name));
        if (found == values.end() || found->second == wanted) continue;
        missing += (missing.empty() ? "" : ", ") + std::string(name) + "=" + found->second;
    }
    if (missing.empty())
        findings.push_back({"systemd", Grade::good, "its sandbox is whole", ""});
    else
        findings.push_back(
            {"systemd",
             Grade::warn,
             "its sandbox was weakened: " + missing,
             "look at the drop-ins: systemctl cat codex-pool"});
    const std::string limit = values["LimitNOFILE"];
    if (!limit.empty() && limit != "infinity" &&
        std::strtoull(limit.c_str(), nullptr, 10) < kDescriptorsWanted)
        findings.push_back(
            {"systemd",
             Grade::warn,
             "it may open only " + limit + " files and sockets",
             "raise LimitNOFILE: every stream takes two"});
    return findings;
}

Findings check_systemd()
{
    if (::access("/run/systemd/system", F_OK) != 0)
        return {{"systemd", Grade::note, "systemd does not run here", ""}};
    std::string properties = "LoadState,ActiveState,UnitFileState,NRestarts,LimitNOFILE";
    for (const auto& [name, wanted] : kSandbox)
        properties += std::string(",") + name;
    return judge_unit(output_of(
        {"systemctl", "show", "codex-pool.service", "-p", properties.c_str(), "--no-pager"}));
}

} // namespace supervisor::shell
