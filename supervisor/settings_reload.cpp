#include "supervisor/settings_reload.hpp"

#include "shared/config/config_keys.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <variant>

namespace supervisor {
namespace {

constexpr std::array<std::string_view, 6> kNeedRestart{
    "listen_addr",
    "workers",
    "db_path",
    "usage_retention_days",
    "pin_ttl_hours",
    "pool_users.storage_path"};

bool equal(const shared::Secret& a, const shared::Secret& b)
{
    return a.same_as(b);
}

bool equal(const shared::ListenAddress& a, const shared::ListenAddress& b)
{
    return a.host == b.host && a.port == b.port;
}

template <class T>
bool equal(const T& a, const T& b)
{
    return a == b;
}

bool is_equal(const shared::Setting& setting, const shared::Config& a, const shared::Config& b)
{
    return std::visit([&](auto field) { return equal(a.*field, b.*field); }, setting.field);
}

void keep(const shared::Setting& setting, const shared::Config& from, shared::Config& to)
{
    std::visit([&](auto field) { to.*field = from.*field; }, setting.field);
}

} // namespace

SettingsChange compare_settings(const shared::Config& running, shared::Config loaded)
{
    SettingsChange change;
    // Made at the start where the configuration names none; port 0 became the port that was bound.
    if (loaded.jwt_secret.empty()) loaded.jwt_secret = running.jwt_secret;
    if (loaded.listen.port == 0 && loaded.listen.host == running.listen.host)
        loaded.listen.port = running.listen.port;
    for (const shared::Setting& setting : shared::settings()) {
        if (is_equal(setting, running, loaded)) continue;
        const bool stays =
            std::find(kNeedRestart.begin(), kNeedRestart.end(), setting.key) != kNeedRestart.end();
        (stays ? change.need_restart : change.changed).emplace_back(setting.key);
        if (stays) keep(setting, running, loaded);
    }
    if (running.tls_cert_pem != loaded.tls_cert_pem ||
        !running.tls_key_pem.same_as(loaded.tls_key_pem))
        change.changed.emplace_back("the certificate");
    if (running.strategies != loaded.strategies) change.changed.emplace_back("strategies");
    for (const auto& [key, base] : loaded.upstreams) {
        const auto before = running.upstreams.find(key);
        if (before == running.upstreams.end() || !(before->second == base))
            change.changed.push_back("upstream." + key);
    }
    // From a pool of its own machine to a shared one and back: users are known from the start only.
    if (running.shared_mode != loaded.shared_mode) {
        change.need_restart.emplace_back("shared mode");
        loaded.shared_mode = running.shared_mode;
    }
    change.config = std::move(loaded);
    return change;
}

std::string enumeration(const std::vector<std::string>& names)
{
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (i > 0) text += i + 1 == names.size() ? " and " : ", ";
        text += names[i];
    }
    return text;
}

} // namespace supervisor
