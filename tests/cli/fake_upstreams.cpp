/// The fake upstreams as a program, for tests that are scripts: `fake_upstreams FOLDER [option]...` makes fake
/// accounts, writes FOLDER/pool/*.json, FOLDER/upstream.toml and FOLDER/url, and serves until it is killed.
#include "shared/fake_providers/server.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <sys/prctl.h>
#include <unistd.h>

namespace fake = shared::fake_providers;

namespace {

std::vector<fake::Account> make_accounts(const std::string& kind, int count)
{
    static constexpr struct {
        std::string_view name;
        fake::Vendor vendor;
        fake::Kind kind;
    } kKinds[] = {
        {"codex", fake::Vendor::codex, fake::Kind::oauth},
        {"codex_key", fake::Vendor::codex, fake::Kind::api_key},
        {"claude", fake::Vendor::claude, fake::Kind::oauth},
        {"claude_key", fake::Vendor::claude, fake::Kind::api_key},
        {"gemini", fake::Vendor::gemini, fake::Kind::oauth},
        {"gemini_key", fake::Vendor::gemini, fake::Kind::api_key},
    };

    std::vector<fake::Account> out;
    for (const auto& each : kKinds) {
        if (each.name != kind) continue;
        for (int i = 1; i <= count; ++i)
            out.push_back(
                fake::make_account(each.vendor, each.kind, kind + "_" + std::to_string(i)));
    }
    return out;
}

} // namespace

int main(int argc, char** argv)
{
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.empty()) {
        std::cerr << "usage: fake_upstreams FOLDER [codex=N codex_key=N claude=N claude_key=N "
                     "gemini=N gemini_key=N]\n"
                     "       [--strict] [--no-websockets] [--interval=MS] [--deltas=N] [--quotas] "
                     "[--record=FOLDER] [--port=N]\n";
        return 2;
    }
    (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
    fake::ServerOptions options;
    std::vector<fake::Account> accounts;
    bool quotas = false; // each account has used up more than the one before
    for (std::size_t i = 1; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        const std::size_t equals = argument.find('=');
        const std::string name = argument.substr(0, equals);
        const std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
        if (name == "--strict")
            options.strict_affinity = true;
        else if (name == "--no-websockets")
            options.websockets = false;
        else if (name == "--interval")
            options.interval = std::chrono::milliseconds(std::stoi(value));
        else if (name == "--deltas")
            options.deltas = std::stoul(value);
        else if (name == "--record")
            options.record_folder = value;
        else if (name == "--quotas")
            quotas = true;
        else if (name == "--port")
            options.port = static_cast<std::uint16_t>(std::stoul(value));
        else {
            const std::vector<fake::Account> made =
                make_accounts(name, value.empty() ? 0 : std::stoi(value));
            if (made.empty()) {
                std::cerr << "fake_upstreams: what is " << argument << "?\n";
                return 2;
            }
            accounts.insert(accounts.end(), made.begin(), made.end());
        }
    }
    const std::filesystem::path folder = arguments[0];
    std::filesystem::create_directories(folder / "pool");
    fake::Server server(options);
    double used = 6;
    for (const fake::Account& account : accounts) {
        server.add_account(account);
        if (quotas) {
            server.set_quota(
                account.name, {.short_used = used, .long_used = used * 0.7, .step = 0.2});
            used = used > 85 ? 12 : used + 19;
        }
        fake::write_credential(account, folder / "pool");
    }
    std::ofstream(folder / "upstream.toml") << server.upstream_toml();
    std::ofstream(folder / "client_auth.json")
        << fake::client_auth_json("c11e27ac-0000-4000-8000-00000000c0de");
    std::ofstream(folder / "url.new") << server.url();
    std::filesystem::rename(folder / "url.new", folder / "url");
    std::cout << server.url() << std::endl;
    for (;;)
        ::pause();
}
