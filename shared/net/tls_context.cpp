#include "shared/net/tls_context.hpp"

#include "shared/net/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <csignal>

namespace shared::net {

namespace {

/// Index of the application's pointer in an SSL: the TlsSessions::Slot that new sessions go to.
int session_slot_index() noexcept
{
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

int on_new_session(SSL* ssl, SSL_SESSION* session) noexcept
{
    auto* slot = static_cast<TlsSessions::Slot*>(SSL_get_ex_data(ssl, session_slot_index()));
    if (slot == nullptr) return 0;
    slot->reset(session);
    return 1; // the reference is ours now
}

} // namespace

int tls_session_slot_index() noexcept
{
    return session_slot_index();
}

void TlsContextDeleter::operator()(SSL_CTX* context) const noexcept
{
    SSL_CTX_free(context);
}

Result<TlsContext> make_client_tls_context()
{
    // OpenSSL writes to sockets without MSG_NOSIGNAL.
    std::signal(SIGPIPE, SIG_IGN);
    TlsContext context(SSL_CTX_new(TLS_client_method()));
    const auto refuse = [](const char* what) {
        std::array<char, 160> reason{};
        ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
        return Problem{
            "TLS",
            std::string(what) + ": " + reason.data(),
            "check the system's certificate store (package ca-certificates) or SSL_CERT_FILE"};
    };
    if (!context) return refuse("cannot make a TLS context");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    // Reads SSL_CERT_FILE and SSL_CERT_DIR where set, else the system's store.
    if (SSL_CTX_set_default_verify_paths(context.get()) != 1)
        return refuse("cannot load the trusted certificates");
    SSL_CTX_set_mode(
        context.get(),
        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
            SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context.get(), 1);
    SSL_CTX_set_session_cache_mode(
        context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context.get(), on_new_session);
    return context;
}

} // namespace shared::net
