/// Any text as configuration file, and what is accepted again as the children's text.
#include "shared/config/config_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const shared::ProviderRegistry registry;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto dialect : {shared::ConfigDialect::owner, shared::ConfigDialect::child}) {
        shared::Config config;
        shared::ConfigValues values(config);
        std::vector<shared::Problem> problems;
        for (const auto& provider : registry.all())
            for (const shared::UpstreamSpec& spec : provider->upstreams())
                if (values.set_upstream(spec, spec.default_url, {})) std::abort();
        shared::read_config_text(
            registry, {text, "config.toml", "/folder", dialect}, config, values, problems);
        if (problems.size() > shared::kConfigProblemsMax + 1) std::abort();
        if (!problems.empty()) continue;
        // What was accepted must reach the children unchanged; this one's default comes later.
        if (config.prices_file.empty()) config.prices_file = "/folder/prices.json";
        const std::string first = shared::to_toml(config);
        const auto copy = shared::from_toml(registry, first);
        if (config.pool_dir.empty() || config.db_path.empty() || config.users_path.empty())
            continue;
        if (!copy || shared::to_toml(*copy) != first) std::abort();
    }
    return 0;
}
