/// Connections to upstreams: TLS with verification and resumption, forward proxies, names, cancelling.
#include "shared/net/connector.hpp"
#include "shared/net/tls_context.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tiny_socks5_server.hpp"

#include <boost/asio/steady_timer.hpp>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shared::net {
namespace {

struct Certificate {
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{EVP_EC_gen("P-256"), EVP_PKEY_free};
    std::unique_ptr<X509, decltype(&X509_free)> x509{X509_new(), X509_free};

    explicit Certificate(const char* names)
    {
        ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), 1);
        X509_set_version(x509.get(), 2);
        X509_gmtime_adj(X509_getm_notBefore(x509.get()), -60);
        X509_gmtime_adj(X509_getm_notAfter(x509.get()), 3600);
        X509_set_pubkey(x509.get(), key.get());
        X509_NAME* name = X509_get_subject_name(x509.get());
        X509_NAME_add_entry_by_txt(
            name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
        X509_set_issuer_name(x509.get(), name);
        X509_EXTENSION* extension =
            X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names);
        X509_add_ext(x509.get(), extension, -1);
        X509_EXTENSION_free(extension);
        X509_sign(x509.get(), key.get(), EVP_sha256());
    }

    void write(const std::string& file) const
    {
        std::FILE* out = std::fopen(file.c_str(), "w");
        PEM_write_X509(out, x509.get());
        std::fclose(out);
    }
};

/// Accepts connections, each served by `script` on its descriptor.
class Listener {
public:
    explicit Listener(std::function<void(int fd)> script) : script_(std::move(script))
    {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
        ::listen(fd_, 16);
        socklen_t size = sizeof address;
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
        port = ntohs(address.sin_port);
        thread_ = std::thread([this] {
            while (true) {
                const int fd = ::accept(fd_, nullptr, nullptr);
                if (fd < 0) return;
                script_(fd);
                ::close(fd);
            }
        });
    }

    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

    ~Listener()
    {
        ::shutdown(fd_, SHUT_RDWR);
        thread_.join();
        ::close(fd_);
    }

    std::uint16_t port = 0;

private:
    std::function<void(int)> script_;
    int fd_ = -1;
    std::thread thread_;
};

/// A TLS server's side of one connection: sends "hello", then echoes what it gets until the end.
void serve_tls(SSL_CTX* context, int fd, std::atomic<int>* resumed)
{
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        if (resumed != nullptr && SSL_session_reused(ssl) == 1) ++*resumed;
        SSL_write(ssl, "hello", 5);
        std::vector<char> buffer(65536);
        while (true) {
            const int got = SSL_read(ssl, buffer.data(), static_cast<int>(buffer.size()));
            if (got <= 0) break;
            SSL_write(ssl, buffer.data(), got);
        }
    }
    SSL_free(ssl);
}

class ConnectorTest : public ::testing::Test {
protected:
    ConnectorTest() : certificate_("DNS:localhost,DNS:upstream.test,IP:127.0.0.1")
    {
        const std::string file = (folder_.path() / "ca.pem").string();
        certificate_.write(file);
        ::setenv("SSL_CERT_FILE", file.c_str(), 1);
        client_ = std::move(*make_client_tls_context());
        ::unsetenv("SSL_CERT_FILE");
        server_.reset(SSL_CTX_new(TLS_server_method()));
        SSL_CTX_use_certificate(server_.get(), certificate_.x509.get());
        SSL_CTX_use_PrivateKey(server_.get(), certificate_.key.get());
    }

    static http::BaseUrl url(bool tls, std::string host, std::uint16_t port)
    {
        http::BaseUrl base;
        base.tls = tls;
        base.host = std::move(host);
        base.port = port;
        return base;
    }

    /// Runs the loop until the coroutine is over.
    template <class F>
    void run(F&& coroutine)
    {
        coroutine();
        loop_.run();
        loop_.restart();
    }

    tests::TempDir folder_;
    Certificate certificate_;
    TlsContext client_;
    std::unique_ptr<SSL_CTX, TlsContextDeleter> server_;
    ProxySettings proxy_;
    Loop loop_{1};
};

Task<std::string> read_until(Stream& stream, std::size_t size)
{
    std::string text;
    std::vector<char> buffer(65536);
    while (text.size() < size) {
        const IoResult got = stream.read_some(buffer.data(), buffer.size());
        if (got.ok()) {
            text.append(buffer.data(), got.bytes);
            continue;
        }
        if (got.status != IoStatus::wait_read) break;
        const bool waited = co_await stream.readable();
        if (!waited) break;
    }
    co_return text;
}

Detached
talk(Connector& connector, const http::BaseUrl& base, std::string& heard, std::string& problem)
{
    CancelToken cancel;
    Connection connection = co_await connector.connect(base, cancel);
    problem = connection.problem;
    if (!connection.stream) co_return;
    heard = co_await read_until(*connection.stream, 5);
    // Three pieces, the last much longer than a record: nothing is lost, doubled or reordered.
    const std::string one = "one";
    const std::string two(20'000, '2');
    const std::string three(3'000'000, '3');
    std::string all = one + two + three;
    std::string_view left = all;
    std::array<iovec, 3> pieces{piece(one), piece(two), piece(three)};
    const IoResult first = connection.stream->write_some(pieces);
    left.remove_prefix(first.bytes);
    std::string echo;
    std::vector<char> buffer(262144);
    while (echo.size() < all.size()) {
        WaitAny wait;
        wait.add(*connection.stream, Stream::Wait::wait_read);
        if (!left.empty()) wait.add(*connection.stream, Stream::Wait::wait_write);
        const bool waited = co_await wait;
        if (!waited) break;
        const IoResult got = connection.stream->read_some(buffer.data(), buffer.size());
        if (got.ok()) echo.append(buffer.data(), got.bytes);
        if (got.status == IoStatus::end || got.status == IoStatus::failed) break;
        if (left.empty()) continue;
        const iovec rest = piece(left);
        const IoResult sent = connection.stream->write_some({&rest, 1});
        left.remove_prefix(sent.bytes);
    }
    EXPECT_EQ(echo, all);
}

TEST_F(ConnectorTest, SpeaksTlsAndResumes)
{
    std::atomic<int> resumed{0};
    Listener listener([&](int fd) { serve_tls(server_.get(), fd, &resumed); });
    Connector connector(loop_, client_.get(), proxy_);
    for (const char* host : {"localhost", "127.0.0.1", "localhost"}) {
        std::string heard;
        std::string problem;
        const http::BaseUrl base = url(true, host, listener.port);
        run([&] { talk(connector, base, heard, problem); });
        EXPECT_EQ(heard, "hello") << problem;
    }
    EXPECT_EQ(resumed, 1);
}

/// A TLS server's side whose bytes the test sends itself. `greet` is called after the handshake; then, as after each
/// thing the client says, `send` gets all that OpenSSL has to say, at once.
void serve_tls_by_hand(
    SSL_CTX* context,
    int fd,
    const std::function<void(SSL*)>& greet,
    const std::function<void(std::string_view)>& send)
{
    SSL* ssl = SSL_new(context);
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    std::array<char, 4096> buffer{};
    bool greeted = false;
    for (ssize_t got = 0; (got = ::recv(fd, buffer.data(), buffer.size(), 0)) > 0;) {
        BIO_write(in, buffer.data(), static_cast<int>(got));
        if (!greeted && SSL_accept(ssl) == 1) {
            greeted = true;
            greet(ssl);
        }
        char* bytes = nullptr;
        const auto size = static_cast<std::size_t>(BIO_get_mem_data(out, &bytes));
        if (size > 0) send({bytes, size});
        (void)BIO_reset(out);
    }
    SSL_free(ssl);
}

TEST_F(ConnectorTest, WaitsForTheRestOfARecordWithoutSpinning)
{
    std::atomic<bool> may_go_on{false};
    bool first = true;
    Listener listener([&](int fd) {
        const auto in_two_parts = [&](std::string_view bytes) {
            if (std::exchange(first, false)) {
                (void)::send(fd, bytes.data(), 60, MSG_NOSIGNAL); // within the first record
                bytes.remove_prefix(60);
                for (int i = 0; i < 10'000 && !may_go_on; ++i)
                    std::this_thread::sleep_for(std::chrono::milliseconds(1));
                if (!may_go_on) return;
            }
            (void)::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        };
        const auto hello = [](SSL* ssl) { SSL_write(ssl, "hello", 5); };
        serve_tls_by_hand(server_.get(), fd, hello, in_two_parts);
    });
    Connector connector(loop_, client_.get(), proxy_);
    // While the handshake waits, the loop must get to other things.
    boost::asio::steady_timer timer(loop_, std::chrono::milliseconds(20));
    timer.async_wait([&](const boost::system::error_code&) { may_go_on = true; });
    std::string heard;
    std::string problem;
    const http::BaseUrl base = url(true, "localhost", listener.port);
    const auto attempt = [&]() -> Detached {
        CancelToken cancel;
        Connection connection = co_await connector.connect(base, cancel);
        problem = connection.problem;
        if (connection.stream) heard = co_await read_until(*connection.stream, 5);
    };
    run(attempt);
    EXPECT_EQ(heard, "hello") << problem;
}

TEST_F(ConnectorTest, NoticesAGoodbyeThatCameWithTheLastBytes)
{
    // The server keeps the connection open below TLS: no other event tells of the end.
    Listener listener([&](int fd) {
        const auto at_once = [fd](std::string_view bytes) {
            (void)::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        };
        const auto hello_and_goodbye = [](SSL* ssl) {
            SSL_write(ssl, "hello", 5);
            SSL_shutdown(ssl);
        };
        serve_tls_by_hand(server_.get(), fd, hello_and_goodbye, at_once);
    });
    Connector connector(loop_, client_.get(), proxy_);
    std::string heard;
    bool ended = false;
    const http::BaseUrl base = url(true, "localhost", listener.port);
    std::unique_ptr<Stream> stream;
    const auto attempt = [&]() -> Detached {
        CancelToken cancel;
        Connection connection = co_await connector.connect(base, cancel);
        stream = std::move(connection.stream);
        if (!stream) co_return;
        std::array<char, 100> buffer{};
        for (bool waited = true; waited && !ended;) {
            waited = co_await stream->readable();
            const IoResult got = stream->read_some(buffer.data(), buffer.size());
            if (got.ok()) heard.append(buffer.data(), got.bytes);
            ended = got.status == IoStatus::end;
        }
    };
    attempt();
    loop_.run_for(std::chrono::seconds(10));
    EXPECT_EQ(heard, "hello");
    EXPECT_TRUE(ended);
    if (stream) stream->abort();
    loop_.restart();
    loop_.poll();
    stream.reset();
}

TEST_F(ConnectorTest, RefusesAnotherNameAndAnUnknownAuthority)
{
    Listener listener([&](int fd) { serve_tls(server_.get(), fd, nullptr); });
    const Certificate other("DNS:elsewhere.test");
    std::string heard;
    std::string problem;
    {
        // Trusted, but for other names.
        const std::string file = (folder_.path() / "other.pem").string();
        other.write(file);
        ::setenv("SSL_CERT_FILE", file.c_str(), 1);
        const TlsContext context = std::move(*make_client_tls_context());
        ::unsetenv("SSL_CERT_FILE");
        Connector connector(loop_, context.get(), proxy_);
        const http::BaseUrl base = url(true, "localhost", listener.port);
        run([&] { talk(connector, base, heard, problem); });
        EXPECT_EQ(heard, "");
        EXPECT_NE(problem.find("self-signed"), std::string::npos) << problem;
    }
    SSL_CTX_use_certificate(server_.get(), other.x509.get());
    SSL_CTX_use_PrivateKey(server_.get(), other.key.get());
    const std::string file = (folder_.path() / "other.pem").string();
    ::setenv("SSL_CERT_FILE", file.c_str(), 1);
    const TlsContext context = std::move(*make_client_tls_context());
    ::unsetenv("SSL_CERT_FILE");
    Connector connector(loop_, context.get(), proxy_);
    const http::BaseUrl base = url(true, "localhost", listener.port);
    run([&] { talk(connector, base, heard, problem); });
    EXPECT_EQ(heard, "");
    EXPECT_NE(problem.find("mismatch"), std::string::npos) << problem;
}

/// A forward proxy's side: answers CONNECT, then copies bytes to and from `to_port`.
void serve_connect(int fd, std::uint16_t to_port, std::string& asked)
{
    char c = 0;
    while (asked.find("\r\n\r\n") == std::string::npos && ::recv(fd, &c, 1, 0) == 1)
        asked += c;
    const int to = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(to_port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::connect(to, reinterpret_cast<sockaddr*>(&address), sizeof address);
    const std::string_view answer = "HTTP/1.1 200 Connection established\r\n\r\n";
    ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
    std::array<pollfd, 2> both{pollfd{fd, POLLIN, 0}, pollfd{to, POLLIN, 0}};
    std::vector<char> buffer(65536);
    for (bool open = true; open;) {
        ::poll(both.data(), 2, 10'000);
        for (int i = 0; i < 2 && open; ++i) {
            if (both[i].revents == 0) continue;
            const ssize_t got = ::recv(both[i].fd, buffer.data(), buffer.size(), 0);
            open = got > 0;
            std::size_t done = 0;
            while (open && done < static_cast<std::size_t>(got)) {
                const ssize_t sent = ::send(
                    both[1 - i].fd,
                    buffer.data() + done,
                    static_cast<std::size_t>(got) - done,
                    MSG_NOSIGNAL);
                open = sent > 0;
                done += static_cast<std::size_t>(std::max<ssize_t>(0, sent));
            }
        }
    }
    ::close(to);
}

TEST_F(ConnectorTest, GoesThroughAForwardProxy)
{
    Listener upstream([&](int fd) { serve_tls(server_.get(), fd, nullptr); });
    std::string asked;
    Listener forward([&](int fd) { serve_connect(fd, upstream.port, asked); });
    proxy_.proxy = url(false, "127.0.0.1", forward.port);
    proxy_.authorization = "Basic eDp5";
    Connector connector(loop_, client_.get(), proxy_);
    std::string heard;
    std::string problem;
    // The name exists nowhere: only the proxy is asked about it.
    const http::BaseUrl base = url(true, "upstream.test", 443);
    run([&] { talk(connector, base, heard, problem); });
    EXPECT_EQ(heard, "hello") << problem;
    EXPECT_TRUE(
        asked.starts_with("CONNECT upstream.test:443 HTTP/1.1\r\nHost: upstream.test:443\r\n"));
    EXPECT_NE(asked.find("Proxy-Authorization: Basic eDp5\r\n"), std::string::npos);
}

Detached talk_through(
    Connector& connector,
    const http::BaseUrl& base,
    const ForwardProxy& own,
    std::string& heard,
    std::string& problem)
{
    CancelToken cancel;
    Connection connection = co_await connector.connect(base, cancel, &own);
    problem = connection.problem;
    if (connection.stream) heard = co_await read_until(*connection.stream, 5);
}

TEST_F(ConnectorTest, GoesThroughAnAccountsOwnSocksProxy)
{
    Listener upstream([&](int fd) { serve_tls(server_.get(), fd, nullptr); });
    proxy_.proxy = url(false, "127.0.0.1", 1); // this machine's plays no part
    Connector connector(loop_, client_.get(), proxy_);
    const http::BaseUrl base = url(true, "upstream.test", 443);
    for (const bool with_login : {false, true}) {
        const tests::TinySocks5Server socks(
            upstream.port, with_login ? "me" : "", with_login ? "p:w" : "");
        ForwardProxy own = *ForwardProxy::parse(
            (with_login ? "socks5://me:p%3Aw@127.0.0.1:" : "socks5://127.0.0.1:") +
            std::to_string(socks.port()));
        std::string heard;
        std::string problem;
        run([&] { talk_through(connector, base, own, heard, problem); });
        EXPECT_EQ(heard, "hello") << problem;
        EXPECT_EQ(socks.asked(), std::vector<std::string>{"upstream.test:443"});
    }
}

TEST_F(ConnectorTest, GoesThroughAnAccountsOwnHttpProxyEvenToLoopback)
{
    Listener upstream([&](int fd) { serve_tls(server_.get(), fd, nullptr); });
    std::string asked;
    Listener forward([&](int fd) { serve_connect(fd, upstream.port, asked); });
    Connector connector(loop_, client_.get(), proxy_);
    const ForwardProxy own =
        *ForwardProxy::parse("http://x:y@127.0.0.1:" + std::to_string(forward.port));
    std::string heard;
    std::string problem;
    const http::BaseUrl base = url(true, "localhost", upstream.port);
    run([&] { talk_through(connector, base, own, heard, problem); });
    EXPECT_EQ(heard, "hello") << problem;
    EXPECT_NE(asked.find("Proxy-Authorization: Basic eDp5\r\n"), std::string::npos);
}

TEST_F(ConnectorTest, SaysWhatTheSocksProxyRefused)
{
    Connector connector(loop_, client_.get(), proxy_);
    const http::BaseUrl base = url(true, "upstream.test", 443);
    std::string heard;
    std::string problem;
    const tests::TinySocks5Server refusing(1, "", "", 4);
    ForwardProxy own =
        *ForwardProxy::parse("socks5://127.0.0.1:" + std::to_string(refusing.port()));
    run([&] { talk_through(connector, base, own, heard, problem); });
    EXPECT_EQ(problem, "the SOCKS proxy cannot reach the host");
    const tests::TinySocks5Server strict(1, "me", "secret");
    own = *ForwardProxy::parse("socks5://me:wrong@127.0.0.1:" + std::to_string(strict.port()));
    run([&] { talk_through(connector, base, own, heard, problem); });
    EXPECT_EQ(problem, "the SOCKS proxy does not accept user and password");
    own = ForwardProxy();
    run([&] { talk_through(connector, base, own, heard, problem); });
    EXPECT_EQ(problem, "this account's proxy_url cannot be used");
}

TEST_F(ConnectorTest, SaysWhatTheForwardProxyRefused)
{
    Listener forward([](int fd) {
        char buffer[4096];
        ::recv(fd, buffer, sizeof buffer, 0);
        const std::string_view answer = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
        ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
        ::recv(fd, buffer, sizeof buffer, 0);
    });
    proxy_.proxy = url(false, "127.0.0.1", forward.port);
    Connector connector(loop_, client_.get(), proxy_);
    std::string heard;
    std::string problem;
    const http::BaseUrl base = url(true, "upstream.test", 443);
    run([&] { talk(connector, base, heard, problem); });
    EXPECT_NE(problem.find("407"), std::string::npos);
}

TEST_F(ConnectorTest, EndsAWaitWhenCancelled)
{
    Listener silent([](int fd) {
        char c = 0;
        while (::recv(fd, &c, 1, 0) > 0) {
        }
    });
    Connector connector(loop_, client_.get(), proxy_);
    CancelToken cancel;
    std::string problem;
    const http::BaseUrl base = url(true, "127.0.0.1", silent.port);
    const auto attempt = [&]() -> Detached {
        Connection connection = co_await connector.connect(base, cancel);
        problem = connection.problem;
        EXPECT_FALSE(connection.stream);
    };
    attempt();
    // Far enough to wait for the server's hello.
    loop_.run_for(std::chrono::milliseconds(50));
    cancel.cancel();
    loop_.run();
    EXPECT_EQ(problem, "stopped waiting");
}

TEST_F(ConnectorTest, SaysWhenNobodyListens)
{
    std::uint16_t free_port = 0;
    {
        Listener gone([](int) {});
        free_port = gone.port;
    }
    Connector connector(loop_, client_.get(), proxy_);
    std::string heard;
    std::string problem;
    const http::BaseUrl base = url(false, "127.0.0.1", free_port);
    run([&] { talk(connector, base, heard, problem); });
    EXPECT_NE(problem.find("refused"), std::string::npos) << problem;
}

} // namespace
} // namespace shared::net
