#include "shared/http/base_url.hpp"
#include "shared/net/proxy_settings.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <string>

using namespace shared;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    const Result<http::BaseUrl> base = http::parse_base_url(text);
    if (base.has_value()) {
        FUZZ_CHECK(base->tls || http::is_loopback_host(base->host));
        FUZZ_CHECK(!base->host.empty() && base->port != 0);
        FUZZ_CHECK(
            base->prefix.empty() || (base->prefix.front() == '/' && base->prefix.back() != '/'));
        // Host and prefix are put into request heads as they are.
        for (const char c : base->authority() + base->prefix)
            FUZZ_CHECK(c > 0x20 && c < 0x7F);
        const std::string again =
            (base->tls ? "https://" : "http://") + base->authority() + base->prefix;
        const Result<http::BaseUrl> second = http::parse_base_url(again);
        FUZZ_CHECK(second.has_value() && *second == *base);
    }

    // The same text as a proxy and, behind a line end, a list of exceptions.
    const std::size_t line = text.find('\n');
    const std::string proxy = text.substr(0, line);
    const std::string exceptions = line == std::string::npos ? "" : text.substr(line + 1);
    const auto settings = net::ProxySettings::from_environment([&](const char* name) {
        const std::string_view variable = name;
        if (variable == "https_proxy") return proxy.c_str();
        return variable == "no_proxy" ? exceptions.c_str() : nullptr;
    });
    if (settings.has_error()) return 0;
    for (const char c : settings->authorization)
        FUZZ_CHECK(c >= 0x20 && c < 0x7F);
    const http::BaseUrl upstream{true, "api.example.com", 443, ""};
    const http::BaseUrl address{true, "10.1.2.3", 443, ""};
    static_cast<void>(settings->proxy_for(upstream));
    static_cast<void>(settings->proxy_for(address));
    return 0;
}
