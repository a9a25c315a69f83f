#include "shared/providers/provider.hpp"

#include <cstdlib>

namespace shared {

ProviderRegistry::ProviderRegistry()
{
#define PROVIDER(number, name) providers_.push_back(make_##name##_provider());
#include "shared/providers/provider_list.hpp"
#undef PROVIDER
}

ProviderRegistry::~ProviderRegistry() = default;

const Provider& ProviderRegistry::match(const http::RequestHead& request) const
{
    const Provider* best = providers_.back().get();
    Match strongest = Match::none;
    for (const auto& provider : providers_) {
        const Match claim = provider->match(request);
        if (claim > strongest) {
            strongest = claim;
            best = provider.get();
        }
    }
    return *best;
}

const Provider& ProviderRegistry::get(ProviderId id) const
{
    for (const auto& provider : providers_)
        if (provider->id() == id) return *provider;
    std::abort(); // an id comes from the registry or was checked where it came in
}

const Provider* ProviderRegistry::find(std::string_view name) const noexcept
{
    for (const auto& provider : providers_)
        if (provider->name() == name) return provider.get();
    return nullptr;
}

} // namespace shared
