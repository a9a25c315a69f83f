/// OpenSSL contexts.
///
/// Client: TLS 1.2 and later, verification against the system's store
/// (SSL_CERT_FILE and SSL_CERT_DIR honoured), no way to switch verification off.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/units.hpp"

#include <openssl/ossl_typ.h>

#include <memory>
#include <string_view>

namespace shared::net {

struct TlsContextDeleter {
    void operator()(SSL_CTX* context) const noexcept;
};

using TlsContext = std::unique_ptr<SSL_CTX, TlsContextDeleter>;

[[nodiscard]] Result<TlsContext> make_client_tls_context();

/// Server: TLS 1.2 and later, HTTP/1.1. From PEM texts, the certificate with its chain. Problem (its `where` is left
/// for the caller): no PEM, a key that belongs to another certificate, one with a passphrase. It quotes no key.
[[nodiscard]] Result<TlsContext>
make_server_tls_context(std::string_view certificate_pem, std::string_view key_pem);

/// When the server's certificate ends; unset if that cannot be told.
[[nodiscard]] UnixMillis certificate_ends(SSL_CTX* context);

} // namespace shared::net
