#include "shared/net/tls.hpp"

#include "shared/boost/readiness.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>

#include <arpa/inet.h>

namespace shared::net {

/// Defined in tls_context.cpp, which owns the callback that reads it.
int tls_session_slot_index() noexcept;

namespace {

/// Largest payload of one TLS record.
constexpr std::size_t kRecordBytes = 16384;

bool is_numeric_address(const std::string& host) noexcept
{
    std::array<unsigned char, sizeof(in6_addr)> address{};
    return inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
           inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

/// The reads of the layer below, which SSL_read() does not tell about: ahead, and short when nothing is left.
long note_read(
    BIO* bio,
    int operation,
    const char* /*into*/,
    std::size_t size,
    int /*number*/,
    long /*more*/,
    int result,
    std::size_t* bytes)
{
    if (operation != (BIO_CB_READ | BIO_CB_RETURN)) return result;
    const bool dry = result > 0 ? *bytes < size : BIO_should_retry(bio) == 1;
    if (dry) ran_dry(static_cast<int>(BIO_get_fd(bio, nullptr)));
    return result;
}

bool set_socket(SSL* ssl, int fd) noexcept
{
    if (SSL_set_fd(ssl, fd) != 1) return false;
    BIO_set_callback_ex(SSL_get_rbio(ssl), note_read);
    return true;
}

} // namespace

void SslSessionDeleter::operator()(SSL_SESSION* session) const noexcept
{
    SSL_SESSION_free(session);
}

TlsSessions::Slot* TlsSessions::slot(const std::string& origin)
{
    const auto found = slots_.find(origin);
    if (found != slots_.end()) return &found->second;
    if (slots_.size() >= kOriginsMax) return nullptr;
    return &slots_[origin];
}

void TlsLayer::Deleter::operator()(SSL* ssl) const noexcept
{
    // Without this OpenSSL takes the connection for broken and never resumes its session.
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
}

TlsLayer::~TlsLayer() = default;

std::unique_ptr<TlsLayer>
TlsLayer::make(SSL_CTX* context, const std::string& host, TlsSessions::Slot* session)
{
    ERR_clear_error();
    std::unique_ptr<TlsLayer> layer(new TlsLayer(SSL_new(context))); // NOLINT: private constructor
    SSL* ssl = layer->ssl_.get();
    if (ssl == nullptr) return nullptr;
    static constexpr std::array<unsigned char, 9> kAlpn{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    bool fine = SSL_set_alpn_protos(ssl, kAlpn.data(), kAlpn.size()) == 0;
    X509_VERIFY_PARAM* verify = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_numeric_address(host)) {
        fine = fine && X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str()) == 1;
    } else {
        fine = fine && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 &&
               X509_VERIFY_PARAM_set1_host(verify, host.c_str(), host.size()) == 1;
    }
    if (!fine) return nullptr;
    SSL_set_connect_state(ssl);
    if (session != nullptr) {
        SSL_set_ex_data(ssl, tls_session_slot_index(), session);
        if (*session) SSL_set_session(ssl, session->get());
    }
    return layer;
}

std::unique_ptr<TlsLayer>
TlsLayer::over_socket(SSL_CTX* context, int fd, const std::string& host, TlsSessions::Slot* session)
{
    std::unique_ptr<TlsLayer> layer = make(context, host, session);
    if (layer && !set_socket(layer->ssl_.get(), fd)) return nullptr;
    return layer;
}

std::unique_ptr<TlsLayer> TlsLayer::over_tls(
    SSL_CTX* context,
    std::unique_ptr<TlsLayer> outer,
    const std::string& host,
    TlsSessions::Slot* session)
{
    std::unique_ptr<TlsLayer> layer = make(context, host, session);
    BIO* bio = layer ? BIO_new(BIO_f_ssl()) : nullptr;
    if (bio == nullptr) return nullptr;
    BIO_set_ssl(bio, outer->ssl_.get(), BIO_NOCLOSE);
    SSL_set_bio(layer->ssl_.get(), bio, bio);
    layer->outer_ = std::move(outer);
    return layer;
}

std::unique_ptr<TlsLayer> TlsLayer::accept(SSL_CTX* context, int fd)
{
    ERR_clear_error();
    std::unique_ptr<TlsLayer> layer(new TlsLayer(SSL_new(context))); // NOLINT: private constructor
    SSL* ssl = layer->ssl_.get();
    if (ssl == nullptr || !set_socket(ssl, fd)) return nullptr;
    SSL_set_accept_state(ssl);
    return layer;
}

bool TlsLayer::met_plain_http() const noexcept
{
    return ERR_GET_LIB(error_) == ERR_LIB_SSL && ERR_GET_REASON(error_) == SSL_R_HTTP_REQUEST;
}

void TlsLayer::say_goodbye() noexcept
{
    ERR_clear_error();
    if (SSL_is_init_finished(ssl_.get()) == 1) static_cast<void>(SSL_shutdown(ssl_.get()));
    ERR_clear_error();
}

IoStatus TlsLayer::status_of(int result) const noexcept
{
    switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
        return IoStatus::wait_read;
    case SSL_ERROR_WANT_WRITE:
        return IoStatus::wait_write;
    case SSL_ERROR_ZERO_RETURN:
        return IoStatus::end;
    default:
        return IoStatus::failed;
    }
}

IoStatus TlsLayer::handshake() noexcept
{
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) return IoStatus::ok;
    const IoStatus status = status_of(result);
    if (status == IoStatus::failed) error_ = ERR_peek_last_error();
    return status;
}

std::string TlsLayer::failure() const
{
    const long verify = SSL_get_verify_result(ssl_.get());
    if (verify != X509_V_OK) return X509_verify_cert_error_string(verify);
    const char* reason = error_ != 0 ? ERR_reason_error_string(error_) : nullptr;
    return reason != nullptr ? reason : "the connection was closed during the TLS handshake";
}

IoResult TlsLayer::read_some(char* into, std::size_t size) noexcept
{
    ERR_clear_error();
    std::size_t done = 0;
    while (done < size) {
        std::size_t now = 0;
        const int result = SSL_read_ex(ssl_.get(), into + done, size - done, &now);
        if (result == 1) {
            done += now;
            // Records are read ahead. After a few bytes with none left, asking the socket is nearly always in vain;
            // after many, more of a burst is likely to be there.
            if (done < kRecordBytes / 2 && SSL_has_pending(ssl_.get()) == 0) break;
            continue;
        }
        // An end or error after some bytes shows again on the next call.
        if (done > 0) break;
        return {status_of(result), 0};
    }
    return {IoStatus::ok, done};
}

IoResult TlsLayer::write_some(std::span<const iovec> pieces) noexcept
{
    // A record per piece would put the head into a packet of its own: small pieces are joined first.
    std::array<char, kRecordBytes>
        joined; // NOLINT: filled below, clearing it costs more than the copy
    ERR_clear_error();
    std::size_t total = 0;
    std::size_t index = 0;
    std::size_t offset = 0;
    while (index < pieces.size()) {
        const char* from = static_cast<const char*>(pieces[index].iov_base) + offset;
        std::size_t size = pieces[index].iov_len - offset;
        if (size < kRecordBytes && index + 1 < pieces.size()) {
            std::size_t filled = 0;
            std::size_t skip = offset;
            for (std::size_t i = index; i < pieces.size() && filled < joined.size(); ++i) {
                const std::size_t take = std::min(pieces[i].iov_len - skip, joined.size() - filled);
                if (take > 0)
                    std::memcpy(
                        joined.data() + filled,
                        static_cast<const char*>(pieces[i].iov_base) + skip,
                        take);
                filled += take;
                skip = 0;
            }
            from = joined.data();
            size = filled;
        }
        if (size == 0) break;
        std::size_t sent = 0;
        const int result = SSL_write_ex(ssl_.get(), from, size, &sent);
        if (result != 1) {
            if (total > 0) break;
            return {status_of(result), 0};
        }
        total += sent;
        offset += sent;
        while (index < pieces.size() && offset >= pieces[index].iov_len)
            offset -= pieces[index++].iov_len;
    }
    return {IoStatus::ok, total};
}

bool TlsLayer::has_buffered() const noexcept
{
    // The peer's goodbye may have been read together with its last bytes.
    const bool ended = (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
    return ended || SSL_has_pending(ssl_.get()) == 1 || (outer_ && outer_->has_buffered());
}

bool TlsLayer::resumed() const noexcept
{
    return SSL_session_reused(ssl_.get()) == 1;
}

} // namespace shared::net
