#include "shared/fake_providers/token_families.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace shared::fake_providers {

namespace {

using Json = nlohmann::json;

struct Endpoint {
    std::string_view path;
    Vendor vendor;
};

constexpr std::array<Endpoint, 3> kEndpoints{
    {{"/oauth/token", Vendor::codex},
     {"/v1/oauth/token", Vendor::claude},
     {"/token", Vendor::gemini}}};

/// A field of a form body, unescaped.
std::string form_field(const std::string& form, const std::string& name)
{
    const std::string all = "&" + form;
    const std::size_t at = all.find("&" + name + "=");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + name.size() + 2;
    const std::string raw = all.substr(begin, all.find('&', begin) - begin);
    std::string out;
    for (std::size_t i = 0; i < raw.size(); ++i) {
        if (raw[i] == '%' && i + 2 < raw.size()) {
            out += static_cast<char>(std::stoi(raw.substr(i + 1, 2), nullptr, 16));
            i += 2;
        } else {
            out += raw[i];
        }
    }
    return out;
}

struct Fields {
    std::string grant_type;
    std::string refresh_token;
    std::string client_id;
    std::string client_secret;
};

Fields fields_of(const Call& call, Vendor vendor)
{
    Fields out;
    if (vendor == Vendor::gemini) {
        out.grant_type = form_field(call.body, "grant_type");
        out.refresh_token = form_field(call.body, "refresh_token");
        out.client_id = form_field(call.body, "client_id");
        out.client_secret = form_field(call.body, "client_secret");
        return out;
    }
    const Json body = Json::parse(call.body, nullptr, false);
    if (!body.is_object()) return out;
    out.grant_type = body.value("grant_type", "");
    out.refresh_token = body.value("refresh_token", "");
    out.client_id = body.value("client_id", "");
    return out;
}

std::string fault_of(const Fields& fields, Vendor vendor)
{
    if (fields.grant_type != "refresh_token") return "grant_type is " + fields.grant_type;
    if (fields.client_id.empty()) return "no client_id";
    if (vendor == Vendor::gemini && fields.client_secret.empty()) return "no client_secret";
    return {};
}

Answer refusal(Vendor vendor, const std::string& code, const std::string& text)
{
    Answer out;
    out.headers = {{"Content-Type", "application/json"}};
    if (vendor == Vendor::codex) {
        out.status = 401;
        out.body =
            Json{{"error", {{"message", text}, {"type", "invalid_request_error"}, {"code", code}}}}
                .dump();
    } else {
        out.status = 400;
        out.body = Json{{"error", "invalid_grant"}, {"error_description", text}}.dump();
    }
    return out;
}

Answer tokens_answer(const Account& account)
{
    Json body = {
        {"access_token", account.token},
        {"refresh_token", account.refresh_token},
        {"token_type", "Bearer"},
        {"expires_in", account.expires_in}};
    if (account.vendor == Vendor::codex) body["id_token"] = account.token;
    if (account.vendor == Vendor::claude) body["scope"] = "user:inference user:profile";
    Answer out;
    out.headers = {{"Content-Type", "application/json"}};
    out.body = body.dump();
    return out;
}

} // namespace

void TokenFamilies::set_lifetime(long seconds)
{
    const std::lock_guard lock(mutex_);
    lifetime_ = seconds;
}

void TokenFamilies::sign_in(const Account& account)
{
    if (account.refresh_token.empty()) return;
    const std::lock_guard lock(mutex_);
    const std::size_t number = families_[account.name].sign_in + 1;
    families_[account.name] = {account, account.refresh_token, 0, number};
    owners_[account.refresh_token] = {account.name, number};
}

TokenFamilies::Outcome TokenFamilies::use(const Call& call)
{
    Outcome out;
    const auto* endpoint = std::ranges::find(kEndpoints, call.path, &Endpoint::path);
    if (endpoint == kEndpoints.end() || call.method != "POST") {
        out.answer = error_answer(Vendor::codex, 404, "not_found", "no such path: " + call.path);
        return out;
    }
    const Fields fields = fields_of(call, endpoint->vendor);
    out.violation = fault_of(fields, endpoint->vendor);
    const std::lock_guard lock(mutex_);
    ++uses_[fields.refresh_token];
    changed_.notify_all();
    const auto owner = owners_.find(fields.refresh_token);
    if (owner == owners_.end() || !out.violation.empty()) {
        out.answer = refusal(endpoint->vendor, "refresh_token_expired", "Unknown refresh token.");
        return out;
    }
    Family& family = families_[owner->second.account];
    if (family.current == fields.refresh_token) {
        Outcome renewed = renew(family);
        renewed.violation = out.violation;
        return renewed;
    }
    // A token of an earlier sign-in has no family any more.
    if (family.sign_in == owner->second.sign_in && !family.current.empty()) {
        family.current.clear();
        out.revoked = owner->second.account;
    }
    out.answer = refusal(
        endpoint->vendor, "refresh_token_reused", "Refresh token not found, reused or revoked.");
    return out;
}

TokenFamilies::Outcome TokenFamilies::renew(Family& family)
{
    Outcome out;
    ++renewals_;
    const std::string number = family.current + "/" + std::to_string(++family.rotations);
    family.account = with_tokens(family.account, number, lifetime_);
    family.current = family.account.refresh_token;
    owners_[family.current] = {family.account.name, family.sign_in};
    out.answer = tokens_answer(family.account);
    out.renewed = family.account;
    return out;
}

std::string TokenFamilies::current(const std::string& account) const
{
    const std::lock_guard lock(mutex_);
    const auto found = families_.find(account);
    return found == families_.end() ? std::string() : found->second.current;
}

bool TokenFamilies::alive(const std::string& account) const
{
    return !current(account).empty();
}

std::size_t TokenFamilies::uses(const std::string& account) const
{
    const std::lock_guard lock(mutex_);
    std::size_t sum = 0;
    for (const auto& [token, count] : uses_) {
        const auto owner = owners_.find(token);
        if (owner != owners_.end() && owner->second.account == account) sum += count;
    }
    return sum;
}

std::size_t TokenFamilies::most_uses_of_one_token() const
{
    const std::lock_guard lock(mutex_);
    std::size_t most = 0;
    for (const auto& [token, count] : uses_)
        most = std::max(most, count);
    return most;
}

std::size_t TokenFamilies::uses_of_token(const std::string& token) const
{
    const std::lock_guard lock(mutex_);
    const auto found = uses_.find(token);
    return found == uses_.end() ? 0 : found->second;
}

std::size_t TokenFamilies::renewals() const
{
    const std::lock_guard lock(mutex_);
    return renewals_;
}

bool TokenFamilies::wait(const std::function<bool()>& done, std::chrono::milliseconds timeout) const
{
    const auto end = std::chrono::steady_clock::now() + timeout;
    while (!done()) { // it may lock by itself
        std::unique_lock lock(mutex_);
        if (std::chrono::steady_clock::now() > end) return false;
        changed_.wait_for(lock, std::chrono::milliseconds(20));
    }
    return true;
}

} // namespace shared::fake_providers
