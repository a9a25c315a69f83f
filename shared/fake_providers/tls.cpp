#include "shared/fake_providers/tls.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <stdexcept>

namespace shared::fake_providers {

namespace {

struct KeyDeleter {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};

struct CertificateDeleter {
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};

struct Identity {
    std::unique_ptr<EVP_PKEY, KeyDeleter> key;
    std::unique_ptr<X509, CertificateDeleter> certificate;
};

void add_extension(X509* certificate, X509* issuer, int nid, const char* value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    if (extension == nullptr) throw std::runtime_error("fake TLS: bad extension");
    (void)X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

Identity make_identity(const char* name, const char* hosts, const Identity* issuer, long serial)
{
    constexpr long kDay = 86400;
    Identity out;
    out.key.reset(EVP_EC_gen("P-256"));
    out.certificate.reset(X509_new());
    X509* certificate = out.certificate.get();
    (void)X509_set_version(certificate, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), -kDay);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 7 * kDay);
    (void)X509_set_pubkey(certificate, out.key.get());
    X509_NAME* subject = X509_get_subject_name(certificate);
    (void)X509_NAME_add_entry_by_txt(
        subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509* signer = issuer == nullptr ? certificate : issuer->certificate.get();
    (void)X509_set_issuer_name(certificate, X509_get_subject_name(signer));
    if (issuer == nullptr) {
        add_extension(certificate, signer, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(certificate, signer, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        add_extension(certificate, signer, NID_basic_constraints, "critical,CA:FALSE");
        add_extension(certificate, signer, NID_subject_alt_name, hosts);
    }
    (void)X509_sign(
        certificate, issuer == nullptr ? out.key.get() : issuer->key.get(), EVP_sha256());
    return out;
}

const Identity& authority()
{
    static const Identity made = make_identity("codex-pool test authority", "", nullptr, 1);
    return made;
}

constexpr const char* kHosts = "DNS:localhost,IP:127.0.0.1";

/// What `write` puts into a memory BIO.
template <class Write>
std::string pem_of(Write&& write)
{
    BIO* bio = BIO_new(BIO_s_mem());
    (void)write(bio);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string out(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return out;
}

} // namespace

void TlsServerDeleter::operator()(SSL_CTX* context) const noexcept
{
    SSL_CTX_free(context);
}

const std::string& test_authority_pem()
{
    static const std::string pem =
        pem_of([](BIO* bio) { return PEM_write_bio_X509(bio, authority().certificate.get()); });
    return pem;
}

TestCertificate make_test_certificate()
{
    const Identity server = make_identity("pool", kHosts, &authority(), 3);
    TestCertificate made;
    made.certificate =
        pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, server.certificate.get()); });
    made.key = pem_of([&](BIO* bio) {
        return PEM_write_bio_PrivateKey(
            bio, server.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    return made;
}

SSL* connect_tls(int fd)
{
    const std::unique_ptr<SSL_CTX, TlsServerDeleter> context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    (void)X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), authority().certificate.get());
    SSL* ssl = SSL_new(context.get());
    (void)SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) == 1) return ssl;
    SSL_free(ssl);
    return nullptr;
}

void write_test_authority(const std::filesystem::path& file)
{
    std::ofstream(file) << test_authority_pem();
}

TlsServerContext make_tls_server(bool host_matches)
{
    const Identity server = make_identity(
        "fake upstream", host_matches ? kHosts : "DNS:elsewhere.example", &authority(), 2);
    TlsServerContext context(SSL_CTX_new(TLS_server_method()));
    if (SSL_CTX_use_certificate(context.get(), server.certificate.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context.get(), server.key.get()) != 1)
        throw std::runtime_error("fake TLS: certificate not accepted");
    return context;
}

SSL* accept_tls(SSL_CTX* context, int fd)
{
    SSL* ssl = SSL_new(context);
    (void)SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) return ssl;
    SSL_free(ssl);
    return nullptr;
}

} // namespace shared::fake_providers
