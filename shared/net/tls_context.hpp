/// The OpenSSL client context: TLS 1.2 and later, verification against the system's store
/// (SSL_CERT_FILE and SSL_CERT_DIR honoured), no way to switch verification off.
#pragma once

#include "shared/base/result.hpp"

#include <openssl/ossl_typ.h>

#include <memory>

namespace shared::net {

struct TlsContextDeleter {
    void operator()(SSL_CTX* context) const noexcept;
};

using TlsContext = std::unique_ptr<SSL_CTX, TlsContextDeleter>;

[[nodiscard]] Result<TlsContext> make_client_tls_context();

} // namespace shared::net
