#include "shared/net/tls_context.hpp"

#include "shared/net/tls.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <csignal>
#include <ctime>
#include <memory>

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

void set_modes(SSL_CTX* context) noexcept
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(
        context,
        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
            SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    // With the kernel's TLS a read ends with its record: it would say nothing about what is left (readiness.hpp).
    SSL_CTX_clear_options(context, SSL_OP_ENABLE_KTLS);
}

/// Clients that offer other protocols as well get this one; those that do not offer it go on without a choice.
int choose_http11(
    SSL* /*ssl*/,
    const unsigned char** out,
    unsigned char* out_size,
    const unsigned char* offered,
    unsigned offered_size,
    void* /*unused*/) noexcept
{
    static constexpr std::array<unsigned char, 9> kHttp11{
        8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char* chosen = nullptr;
    const int result = SSL_select_next_proto(
        &chosen, out_size, kHttp11.data(), kHttp11.size(), offered, offered_size);
    *out = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/// A key with a passphrase is refused instead of asked for on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*unused*/) noexcept
{
    return 0;
}

struct BioDeleter {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};

using Bio = std::unique_ptr<BIO, BioDeleter>;

Bio reader(std::string_view text)
{
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bool use_certificate(SSL_CTX* context, std::string_view pem)
{
    const Bio bio = reader(pem);
    X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr);
    if (certificate == nullptr) return false;
    const bool used = SSL_CTX_use_certificate(context, certificate) == 1;
    X509_free(certificate);
    while (used) {
        X509* next = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr);
        if (next == nullptr) break;
        if (SSL_CTX_add0_chain_cert(context, next) != 1) { // takes ownership
            X509_free(next);
            return false;
        }
    }
    ERR_clear_error(); // the end of the chain is no error
    return used;
}

bool use_key(SSL_CTX* context, std::string_view pem)
{
    const Bio bio = reader(pem);
    EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr);
    if (key == nullptr) return false;
    const bool used = SSL_CTX_use_PrivateKey(context, key) == 1;
    EVP_PKEY_free(key);
    return used;
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
    set_modes(context.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    // Reads SSL_CERT_FILE and SSL_CERT_DIR where set, else the system's store.
    if (SSL_CTX_set_default_verify_paths(context.get()) != 1)
        return refuse("cannot load the trusted certificates");
    SSL_CTX_set_session_cache_mode(
        context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context.get(), on_new_session);
    return context;
}

Result<TlsContext>
make_server_tls_context(std::string_view certificate_pem, std::string_view key_pem)
{
    std::signal(SIGPIPE, SIG_IGN);
    ERR_clear_error();
    TlsContext context(SSL_CTX_new(TLS_server_method()));
    const auto refuse = [](const char* what, const char* remedy) {
        ERR_clear_error();
        return Problem{"", what, remedy};
    };
    if (!context) return refuse("cannot make a TLS context", "check memory limits");
    set_modes(context.get());
    SSL_CTX_set_alpn_select_cb(context.get(), choose_http11, nullptr);
    if (!use_certificate(context.get(), certificate_pem))
        return refuse(
            "tls_cert holds no certificate in PEM form", "give the certificate and its chain");
    if (!use_key(context.get(), key_pem))
        return refuse(
            "tls_key holds no private key of this certificate in PEM form without a passphrase",
            "give the key that the certificate was made for");
    if (SSL_CTX_check_private_key(context.get()) != 1)
        return refuse(
            "tls_key belongs to another certificate",
            "give the key that the certificate was made for");
    return context;
}

UnixMillis certificate_ends(SSL_CTX* context)
{
    const X509* certificate = SSL_CTX_get0_certificate(context);
    std::tm end{};
    if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
        return {};
    return {static_cast<std::int64_t>(timegm(&end)) * 1000};
}

} // namespace shared::net
