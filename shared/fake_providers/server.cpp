#include "shared/fake_providers/server.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <ctime>
#include <stdexcept>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shared::fake_providers {

namespace {

using Json = nlohmann::json;

constexpr std::array<std::pair<const char*, Leg>, 6> kBases{{
    {"codex", Leg::codex},
    {"chatgpt", Leg::chatgpt},
    {"openai_api", Leg::openai_api},
    {"claude", Leg::claude},
    {"gemini", Leg::gemini},
    {"gemini_api", Leg::gemini_api},
}};

constexpr long kShortWindow = 18000;
constexpr long kLongWindow = 604800;

std::string credential_in(const Headers& headers)
{
    for (const char* name : {"x-api-key", "x-goog-api-key"}) {
        if (const std::string* key = find_header(headers, name)) return *key;
    }
    const std::string* authorization = find_header(headers, "authorization");
    if (authorization == nullptr || !lower(*authorization).starts_with("bearer ")) return {};
    return authorization->substr(7);
}

} // namespace

Server::Server(ServerOptions options) : options_(std::move(options))
{
    if (options_.tls) tls_ = make_tls_server();
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    (void)::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (options_.socket_buffer != 0) {
        const int bytes = options_.socket_buffer;
        (void)::setsockopt(listener_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
        (void)::setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(options_.port);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 512) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        ::close(listener_);
        throw std::runtime_error("fake providers: cannot listen on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_loop(); });
}

Server::~Server()
{
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        (void)::shutdown(listener_, SHUT_RDWR);
        for (const auto& [fd, idle] : connections_)
            (void)::shutdown(fd, SHUT_RDWR);
    }
    changed_.notify_all();
    acceptor_.join();
    ::close(listener_);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return connections_.empty(); });
}

void Server::accept_loop()
{
    for (;;) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        const std::lock_guard lock(mutex_);
        if (stopping_) {
            if (fd >= 0) ::close(fd);
            return;
        }
        if (fd < 0) continue;
        ++accepted_;
        connections_[fd] = false;
        std::thread([this, fd] { serve(fd); }).detach();
    }
}

void Server::serve(int fd)
{
    // The connection works on a duplicate, so that its number here stays taken until it is forgotten below.
    const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    SSL* ssl = tls_ ? accept_tls(tls_.get(), own) : nullptr;
    if (own >= 0 && (ssl != nullptr || !tls_)) {
        try {
            serve_connection(*this, Wire(own, ssl), fd);
        } catch (const std::exception& failure) {
            ledger_.violation(std::string("the fake itself failed: ") + failure.what());
        }
    } else if (own >= 0) {
        ::close(own);
    }
    const std::lock_guard lock(mutex_);
    ::close(fd);
    connections_.erase(fd);
    changed_.notify_all();
}

std::string Server::url() const
{
    return (options_.tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port_);
}

std::string Server::base(Leg leg) const
{
    return url() + std::string(leg_prefix(leg));
}

std::string Server::upstream_toml() const
{
    std::string out = "[upstream]\n";
    for (const auto& [key, leg] : kBases)
        out += std::string(key) + " = \"" + base(leg) + "\"\n";
    for (const char* key : {"codex_auth", "claude_auth", "gemini_auth"})
        out += std::string(key) + " = \"" + base(Leg::auth) + "\"\n";
    return out;
}

void Server::add_account(const Account& account)
{
    tokens_.sign_in(account);
    const std::lock_guard lock(mutex_);
    accounts_.push_back(account);
}

Answer Server::answer_token(const Call& call)
{
    constexpr std::ptrdiff_t kTokensKept = 3; // requests under way may still carry the one before
    TokenFamilies::Outcome outcome = tokens_.use(call);
    if (!outcome.violation.empty()) ledger_.violation(call.path + ": " + outcome.violation);
    const std::lock_guard lock(mutex_);
    if (!outcome.revoked.empty())
        std::erase_if(accounts_, [&](const Account& each) { return each.name == outcome.revoked; });
    if (outcome.renewed) {
        const std::string& name = outcome.renewed->name;
        accounts_.push_back(*outcome.renewed);
        if (std::ranges::count(accounts_, name, &Account::name) > kTokensKept)
            accounts_.erase(std::ranges::find(accounts_, name, &Account::name));
    }
    return std::move(outcome.answer);
}

void Server::remove_account(const std::string& name)
{
    const std::lock_guard lock(mutex_);
    std::erase_if(accounts_, [&](const Account& each) { return each.name == name; });
}

void Server::set_quota(const std::string& account, const Quota& quota)
{
    const std::lock_guard lock(mutex_);
    quotas_[account] = quota;
}

void Server::script(const Behaviour& behaviour)
{
    const std::lock_guard lock(mutex_);
    script_.push_back(behaviour);
}

void Server::clear_script()
{
    const std::lock_guard lock(mutex_);
    script_.clear();
}

void Server::release()
{
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
}

void Server::hold()
{
    const std::lock_guard lock(mutex_);
    released_ = false;
}

void Server::forbid(const std::string& secret)
{
    const std::lock_guard lock(mutex_);
    forbidden_.insert(secret);
}

std::set<std::string> Server::forbidden() const
{
    const std::lock_guard lock(mutex_);
    return forbidden_;
}

std::size_t Server::open_connections() const
{
    const std::lock_guard lock(mutex_);
    return connections_.size();
}

void Server::close_idle()
{
    const std::lock_guard lock(mutex_);
    for (const auto& [fd, idle] : connections_) {
        if (idle) (void)::shutdown(fd, SHUT_RDWR);
    }
}

void Server::mark_idle(int id, bool idle)
{
    const std::lock_guard lock(mutex_);
    connections_[id] = idle;
}

std::optional<Account>
Server::account_of(const Headers& headers, Vendor vendor, bool api_key_only) const
{
    const std::string credential = credential_in(headers);
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(accounts_, [&](const Account& each) {
        return each.vendor == vendor && each.token == credential && !credential.empty() &&
               (!api_key_only || each.kind == Kind::api_key);
    });
    if (found == accounts_.end()) return std::nullopt;
    return *found;
}

Behaviour
Server::behaviour_for(const std::string& account, const std::string& target, bool generates)
{
    const std::lock_guard lock(mutex_);
    for (Behaviour& each : script_) {
        if (each.times == 0) continue;
        if (each.account != "*" && each.account != account) continue;
        if (each.path.empty() ? !generates : target.find(each.path) == std::string::npos) continue;
        if (each.times > 0) --each.times;
        return each;
    }
    return {};
}

Quota Server::quota_of(const std::string& account, bool spend)
{
    const std::lock_guard lock(mutex_);
    Quota& quota = quotas_[account];
    const long now = std::time(nullptr);
    if (quota.short_resets == 0) quota.short_resets = now + kShortWindow;
    if (quota.long_resets == 0) quota.long_resets = now + kLongWindow;
    if (quota.short_resets <= now) {
        quota.short_resets += kShortWindow;
        quota.short_used = 0;
    }
    if (spend) {
        quota.short_used = std::min(100.0, quota.short_used + quota.step);
        quota.long_used = std::min(100.0, quota.long_used + quota.step / 10);
    }
    return quota;
}

bool Server::gate(Wire& wire)
{
    std::unique_lock lock(mutex_);
    while (!released_ && !stopping_) {
        if (wire.peer_gone()) return false;
        changed_.wait_for(lock, std::chrono::milliseconds(20));
    }
    return !stopping_;
}

std::string Server::control(const Message& request, unsigned& status)
{
    const std::string& line = request.first_line;
    status = 200;
    if (line.starts_with("GET /_fake/ledger")) return ledger_.json();
    if (line.starts_with("POST /_fake/reset")) {
        ledger_.reset();
        clear_script();
        hold();
        return "{}";
    }
    if (line.starts_with("POST /_fake/release")) {
        release();
        return "{}";
    }
    if (line.starts_with("POST /_fake/script")) {
        if (const std::optional<Behaviour> behaviour = parse_behaviour(request.body)) {
            script(*behaviour);
            return "{}";
        }
        status = 400;
        return R"({"error":"not a behaviour"})";
    }
    if (line.starts_with("POST /_fake/quota")) {
        const Json in = Json::parse(request.body, nullptr, false);
        if (in.is_object()) {
            Quota quota = quota_of(in.value("account", ""), false);
            quota.short_used = in.value("short_used", quota.short_used);
            quota.long_used = in.value("long_used", quota.long_used);
            set_quota(in.value("account", ""), quota);
            return "{}";
        }
        status = 400;
        return R"({"error":"not a quota"})";
    }
    status = 404;
    return R"({"error":"no such control"})";
}

} // namespace shared::fake_providers
