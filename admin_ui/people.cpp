#include "admin_ui/people.hpp"

#include "shared/base/clock.hpp"
#include "shared/base/hash.hpp"
#include "shared/base/log.hpp"
#include "shared/config/config.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace admin_ui {
namespace {

using shared::UnixMillis;

/// Nobody guesses so many bytes.
constexpr std::size_t kTokenBytes = 16;

bool is_open(const SetupToken& token, UnixMillis now) noexcept
{
    return now < token.expires_at;
}

void add_token(User& user, SetupToken token, UnixMillis now)
{
    auto& tokens = user.setup_tokens;
    std::erase_if(tokens, [now](const SetupToken& old) { return !is_open(old, now); });
    if (tokens.size() >= kSetupTokensMax) tokens.erase(tokens.begin());
    tokens.push_back(std::move(token));
}

} // namespace

std::vector<const shared::Provider*> providers_in_order(const shared::ProviderRegistry& registry)
{
    std::vector<const shared::Provider*> all;
    for (const auto& provider : registry.all())
        all.push_back(provider.get());
    std::sort(all.begin(), all.end(), [](const shared::Provider* a, const shared::Provider* b) {
        return a->id() < b->id();
    });
    return all;
}

PeopleSettings people_settings(const shared::Config& config)
{
    PeopleSettings settings;
    settings.shared_mode = config.shared_mode;
    settings.users_file = config.users_path;
    settings.database = config.db_path;
    settings.friend_code = config.friend_code;
    settings.admin_password = config.admin_password;
    settings.jwt_secret = config.jwt_secret;
    settings.setup_token_hours = config.setup_token_hours;
    settings.limits.requests_per_minute = config.user_requests_per_minute;
    settings.limits.tokens_per_day = config.user_tokens_per_day;
    settings.limits.tokens_per_week = config.user_tokens_per_week;
    settings.limits.share_percent = config.user_share_percent;
    settings.limits.concurrency = config.user_concurrency;
    settings.limits.models = config.user_models;
    settings.limits.providers = config.user_providers;
    return settings;
}

People::People(
    shared::Segment& segment, const shared::ProviderRegistry& registry, PeopleSettings settings)
    : segment_(segment),
      registry_(registry),
      settings_(std::move(settings)),
      store_(settings_.users_file),
      publisher_(segment, registry, settings_.limits, settings_.database),
      key_(settings_.jwt_secret),
      local_key_(shared::Secret("nobody checks what this signs"))
{}

void People::refresh(UnixMillis now)
{
    if (!store_.refresh()) return;
    for (const shared::Problem& problem : store_.problems())
        shared::log::error("event=users_file_problem {}", problem.text());
    publisher_.publish(store_, now);
    shared::log::info("event=users_published count={}", store_.users().size());
}

StoreResult People::create(User user, std::string_view by, UnixMillis now)
{
    refresh(now);
    user.created_at = now;
    StoreResult result = store_.add(std::move(user));
    published(result, "user_created", by);
    return result;
}

StoreResult People::change(
    std::string_view id,
    std::optional<std::uint64_t> version,
    const std::function<void(User&)>& edit,
    std::string_view event,
    std::string_view by)
{
    refresh(shared::now_unix());
    StoreResult result = store_.change(id, version, edit);
    published(result, event, by);
    return result;
}

StoreResult
People::remove(std::string_view id, std::optional<std::uint64_t> version, std::string_view by)
{
    refresh(shared::now_unix());
    StoreResult result = store_.remove(id, version);
    published(result, "user_deleted", by);
    return result;
}

Invitation People::invite(std::string_view id, std::string_view by, UnixMillis now)
{
    refresh(now);
    Invitation made;
    const UnixMillis end = now.plus(std::chrono::hours(settings_.setup_token_hours));
    for (const shared::Provider* provider : providers_in_order(registry_))
        made.links.push_back({provider, shared::random_hex(kTokenBytes)});
    made.result = store_.change_links(id, [&](User& user) {
        user.invited_at = now;
        for (const SetupLink& link : made.links) {
            const std::string cli(link.provider->name());
            add_token(user, {cli, token_hash(link.token), end}, now);
        }
    });
    published(made.result, "user_invited", by);
    return made;
}

std::optional<User>
People::holder(std::string_view cli, std::string_view token, UnixMillis now) const
{
    if (token.size() != 2 * kTokenBytes) return std::nullopt;
    const std::string hash = token_hash(token);
    for (const User* user : store_.users()) {
        for (const SetupToken& open : user->setup_tokens) {
            if (open.hash != hash || open.cli != cli) continue;
            const UnixMillis end = user->limits.expires_at;
            const bool may_call = !user->disabled && (!end.is_set() || now < end);
            return is_open(open, now) && may_call ? std::optional(*user) : std::nullopt;
        }
    }
    return std::nullopt;
}

bool People::spend(const User& user, std::string_view token)
{
    refresh(shared::now_unix());
    const std::string hash = token_hash(token);
    bool found = false;
    const StoreResult result = store_.change_links(user.id, [&](User& holder) {
        found = std::erase_if(holder.setup_tokens, [&](const SetupToken& open) {
                    return open.hash == hash;
                }) > 0;
    });
    published(result, "user_set_up", user.id);
    return result.done() && found;
}

shared::ClientSetup People::client_setup(
    const shared::Provider& provider,
    const User* user,
    std::string_view base_url,
    UnixMillis now) const
{
    shared::ClientSetupFacts facts;
    facts.base_url = base_url;
    facts.now = now;
    facts.local = user == nullptr;
    facts.user = "local";
    if (user != nullptr) {
        facts.user = user->id;
        facts.generation = user->generation;
        facts.email = user->email;
        facts.plan = user->plan;
    }
    return provider.client_setup(facts, user == nullptr ? local_key_ : key_);
}

std::string People::user_session(const User& user, UnixMillis now) const
{
    return key_.issue(shared::kSessionPrefix, user.id, user.generation, now);
}

std::string People::owner_session(UnixMillis now) const
{
    return key_.issue(
        shared::kSessionPrefix,
        shared::kOwnerUser,
        key_.owner_generation(settings_.admin_password),
        now);
}

std::string People::csrf_token(std::string_view caller) const
{
    return key_.derive(std::string("csrf:").append(caller));
}

void People::published(const StoreResult& result, std::string_view event, std::string_view by)
{
    if (result.refusal == StoreRefusal::unwritable)
        shared::log::error("event=users_file_unwritable {}", result.sentence);
    if (!result.done()) return;
    publisher_.publish(store_, shared::now_unix());
    shared::log::info("event={} user={} by={}", event, result.user->id, by);
}

} // namespace admin_ui
