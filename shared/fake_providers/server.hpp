/// The fake upstreams: ChatGPT, the OpenAI API, Anthropic, Code Assist and the Gemini API on one loopback port,
/// told apart by path prefix. In-process, a thread a connection. Used by `codex-pool demo` and the tests.
///
/// Over HTTP, for programs that cannot call in: GET /_fake/ledger, POST /_fake/script (a behaviour.hpp object),
/// POST /_fake/reset, POST /_fake/release, POST /_fake/quota.
#pragma once

#include "shared/fake_providers/accounts.hpp"
#include "shared/fake_providers/answer.hpp"
#include "shared/fake_providers/behaviour.hpp"
#include "shared/fake_providers/ledger.hpp"
#include "shared/fake_providers/tls.hpp"
#include "shared/fake_providers/token_families.hpp"
#include "shared/fake_providers/wire.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace shared::fake_providers {

struct ServerOptions {
    std::uint16_t port = 0;       ///< 0 = any free one
    bool tls = false;             ///< with a certificate of tls.hpp's test authority
    bool websockets = true;       ///< false: upgrades are refused with 426
    bool strict_affinity = false; ///< a conversation that comes on another account is an error
    std::size_t deltas = 3;       ///< output events of a turn
    std::chrono::milliseconds interval{0};
    std::string record_folder; ///< write each generating request's body there (fixtures)
    int socket_buffer = 0;     ///< not 0: size of the sockets' buffers
};

class Server {
public:
    /// Listens at once. Throws std::runtime_error if it cannot.
    explicit Server(ServerOptions options = {});
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }

    /// "http://127.0.0.1:PORT" (https with TLS).
    [[nodiscard]] std::string url() const;
    [[nodiscard]] std::string base(Leg leg) const;
    /// The [upstream] table of a config.toml that points every base here.
    [[nodiscard]] std::string upstream_toml() const;

    void add_account(const Account& account);
    void remove_account(const std::string& name);
    void set_quota(const std::string& account, const Quota& quota);

    void script(const Behaviour& behaviour);
    void clear_script();
    /// Lets every waiting gate and hang go on, now and for the future, until the next hold().
    void release();
    /// Gates wait again.
    void hold();
    /// A text that no request may contain in its head, such as a client's own credential.
    void forbid(const std::string& secret);

    [[nodiscard]] Ledger& ledger() { return ledger_; }

    /// What the token endpoints know; add_account() signs an account in.
    [[nodiscard]] TokenFamilies& tokens() { return tokens_; }

    /// One request to a token endpoint.
    [[nodiscard]] Answer answer_token(const Call& call);

    [[nodiscard]] const ServerOptions& options() const { return options_; }

    /// Connections accepted so far, and open now.
    [[nodiscard]] std::size_t accepted() const { return accepted_; }

    [[nodiscard]] std::size_t open_connections() const;
    /// Closes every connection that waits for a request.
    void close_idle();

    // For the connection threads.
    [[nodiscard]] std::optional<Account>
    account_of(const Headers& headers, Vendor vendor, bool api_key_only) const;
    [[nodiscard]] Behaviour
    behaviour_for(const std::string& account, const std::string& target, bool generates);
    [[nodiscard]] Quota quota_of(const std::string& account, bool spend);
    [[nodiscard]] std::set<std::string> forbidden() const;
    /// Waits for release(); false if the peer went away or the server stops.
    bool gate(Wire& wire);
    [[nodiscard]] std::string control(const Message& request, unsigned& status);

    void mark_idle(int id, bool idle);

private:
    void accept_loop();
    void serve(int fd);

    ServerOptions options_;
    TlsServerContext tls_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    Ledger ledger_;
    TokenFamilies tokens_;
    std::atomic<std::size_t> accepted_{0};

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool stopping_ = false;
    bool released_ = false;
    std::vector<Account> accounts_;
    std::map<std::string, Quota> quotas_;
    std::vector<Behaviour> script_;
    std::set<std::string> forbidden_;
    std::map<int, bool> connections_; ///< descriptor -> waits for a request
    std::thread acceptor_;
};

/// Serves one client connection until it ends. (connection.cpp)
/// `id` is its number in mark_idle().
void serve_connection(Server& server, Wire wire, int id);
/// Serves a Codex WebSocket after the request head was read and its account found. (codex_socket.cpp)
void serve_codex_socket(
    Server& server, Wire& wire, const Message& head, Call call, const Behaviour& behaviour);

} // namespace shared::fake_providers
