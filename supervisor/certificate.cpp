#include "supervisor/certificate.hpp"

#include "shared/base/read_file.hpp"
#include "shared/base/time_text.hpp"
#include "shared/net/tls_context.hpp"

#include <string>
#include <utility>

namespace supervisor {
namespace {

constexpr std::size_t kPemBytesMax = std::size_t{256} * 1024;
constexpr std::chrono::hours kEndsSoon{14 * 24};

shared::Result<shared::FileText> read(const std::filesystem::path& file, const char* what)
{
    auto text = shared::read_file(file, kPemBytesMax, what);
    if (!text || !text->missing) return text;
    return shared::Problem{
        shared::printable(file.string()), "there is no such file", "set tls_cert and tls_key"};
}

} // namespace

shared::Result<void> load_certificate(shared::Config& config, shared::UnixMillis now)
{
    if (config.tls_cert.empty()) return {};
    auto certificate = read(config.tls_cert, "certificate");
    if (!certificate) return certificate.error();
    auto key = read(config.tls_key, "private key");
    if (!key) return key.error();
    const std::string warning = shared::exposure_warning(config.tls_key, key->mode);
    if (!warning.empty()) config.warnings.push_back(warning);
    config.tls_cert_pem = std::move(certificate->bytes);
    config.tls_key_pem = shared::Secret(std::move(key->bytes));

    auto context =
        shared::net::make_server_tls_context(config.tls_cert_pem, config.tls_key_pem.reveal());
    if (!context) {
        shared::Problem problem = context.error();
        const bool about_key = problem.what.find("tls_key") == 0;
        problem.where = shared::printable((about_key ? config.tls_key : config.tls_cert).string());
        return problem;
    }
    const shared::UnixMillis end = shared::net::certificate_ends(context->get());
    if (end.is_set() && end.since(now) < kEndsSoon)
        config.warnings.push_back(
            shared::printable(config.tls_cert.string()) +
            (end <= now ? ": the certificate ended at " : ": the certificate ends at ") +
            shared::iso_time(end) + "; renew it and reload");
    return {};
}

} // namespace supervisor
