/// A test certificate authority made at run time, and a server certificate of it for 127.0.0.1 and localhost.
#pragma once

#include <openssl/ossl_typ.h>

#include <filesystem>
#include <memory>
#include <string>

namespace shared::fake_providers {

struct TlsServerDeleter {
    void operator()(SSL_CTX* context) const noexcept;
};

using TlsServerContext = std::unique_ptr<SSL_CTX, TlsServerDeleter>;

/// One authority per process. PEM, for SSL_CERT_FILE.
[[nodiscard]] const std::string& test_authority_pem();
void write_test_authority(const std::filesystem::path& file);

/// `host_matches` false: a certificate for another host, which clients must refuse.
[[nodiscard]] TlsServerContext make_tls_server(bool host_matches = true);

/// A server certificate of the authority with its key, PEM: for programs that read files.
struct TestCertificate {
    std::string certificate;
    std::string key;
};

[[nodiscard]] TestCertificate make_test_certificate();

/// The client's side: trusts the authority only. nullptr if the handshake failed (the descriptor stays open).
[[nodiscard]] SSL* connect_tls(int fd);
/// Handshakes; nullptr if it failed (the descriptor stays open).
[[nodiscard]] SSL* accept_tls(SSL_CTX* context, int fd);

} // namespace shared::fake_providers
