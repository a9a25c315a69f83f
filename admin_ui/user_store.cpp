#include "admin_ui/user_store.hpp"

#include "admin_ui/user_entry.hpp"
#include "shared/base/clock.hpp"
#include "shared/base/hash.hpp"
#include "shared/base/read_file.hpp"
#include "shared/base/time_text.hpp"
#include "shared/base/write_file.hpp"
#include "shared/config/config_checks.hpp"
#include "shared/users/credential.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_set>
#include <utility>

#include <sys/stat.h>

namespace admin_ui {
namespace {

using Json = nlohmann::ordered_json;
using shared::Problem;

constexpr std::size_t kProblemsMax = 20;
constexpr std::size_t kNewIdBytes = 8;

char lower(char c) noexcept
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same_email(std::string_view a, std::string_view b) noexcept
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        return lower(x) == lower(y);
    });
}

StoreResult refused(StoreRefusal refusal, std::string sentence)
{
    StoreResult result;
    result.refusal = refusal;
    result.sentence = std::move(sentence);
    return result;
}

StoreResult not_found()
{
    return refused(StoreRefusal::not_found, "There is no such user.");
}

StoreResult stale()
{
    return refused(
        StoreRefusal::stale,
        "Somebody else has changed this user in the meantime; look at it again, then repeat.");
}

/// "20261122T170000Z", for a file's name.
std::string time_in_name()
{
    std::string text = shared::iso_time(shared::now_unix());
    std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
    return text;
}

} // namespace

const std::string& User::label() const noexcept
{
    if (!name.empty()) return name;
    return email.empty() ? id : email;
}

std::string token_hash(std::string_view token)
{
    const shared::Sha256Digest digest = shared::sha256(token);
    return shared::to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

UserStore::UserStore(std::filesystem::path file) : file_(std::move(file)) {}

bool UserStore::refresh()
{
    const FileStamp now = stamp_of(file_);
    if (known_ == now) return false;
    read();
    known_ = now;
    return true;
}

std::vector<const User*> UserStore::users() const
{
    std::vector<const User*> all;
    all.reserve(entries_.size());
    for (const Entry& entry : entries_)
        if (entry.user) all.push_back(&*entry.user);
    return all;
}

const User* UserStore::find(std::string_view id) const noexcept
{
    for (const Entry& entry : entries_)
        if (entry.user && entry.user->id == id) return &*entry.user;
    return nullptr;
}

const User* UserStore::find_email(std::string_view email) const noexcept
{
    if (email.empty()) return nullptr;
    for (const Entry& entry : entries_)
        if (entry.user && same_email(entry.user->email, email)) return &*entry.user;
    return nullptr;
}

StoreResult UserStore::add(User user)
{
    refresh();
    if (find_email(user.email) != nullptr)
        return refused(StoreRefusal::email_taken, "There is a user with this e-mail already.");
    if (entries_.size() >= shared::kUsersMax)
        return refused(
            StoreRefusal::full,
            "The pool has " + std::to_string(shared::kUsersMax) + " users; delete some first.");
    while (user.id.empty() || find(user.id) != nullptr)
        user.id = shared::random_hex(kNewIdBytes);
    std::vector<Entry> entries = entries_;
    Entry& entry = entries.emplace_back();
    entry.text = entry_text("{}", user);
    entry.user = user;
    StoreResult result = write(std::move(entries));
    if (result.done()) result.user = std::move(user);
    return result;
}

StoreResult UserStore::change(
    std::string_view id,
    std::optional<std::uint64_t> version,
    const std::function<void(User&)>& edit)
{
    refresh();
    const Entry* found = entry(id);
    if (found == nullptr) return not_found();
    if (version && *version != found->user->version) return stale();
    User user = *found->user;
    edit(user);
    user.id = found->user->id;
    const User* const same = find_email(user.email);
    if (same != nullptr && same->id != user.id)
        return refused(StoreRefusal::email_taken, "There is a user with this e-mail already.");
    ++user.version;
    return put(*found, std::move(user));
}

StoreResult UserStore::change_links(std::string_view id, const std::function<void(User&)>& edit)
{
    refresh();
    const Entry* found = entry(id);
    if (found == nullptr) return not_found();
    User user = *found->user;
    edit(user);
    return put(*found, std::move(user));
}

StoreResult UserStore::put(const Entry& found, User user)
{
    std::vector<Entry> entries = entries_;
    Entry& changed = entries[static_cast<std::size_t>(&found - entries_.data())];
    changed.text = entry_text(changed.text, user);
    changed.user = user;
    StoreResult result = write(std::move(entries));
    if (result.done()) result.user = std::move(user);
    return result;
}

StoreResult UserStore::remove(std::string_view id, std::optional<std::uint64_t> version)
{
    refresh();
    const Entry* found = entry(id);
    if (found == nullptr) return not_found();
    if (version && *version != found->user->version) return stale();
    User user = *found->user;
    std::vector<Entry> entries = entries_;
    entries.erase(entries.begin() + (found - entries_.data()));
    StoreResult result = write(std::move(entries));
    if (result.done()) result.user = std::move(user);
    return result;
}

void UserStore::read()
{
    entries_.clear();
    problems_.clear();
    around_.clear();
    wrapped_ = false;
    broken_ = true;
    const auto text = shared::read_file(file_, shared::kUsersBytesMax, "users file");
    if (!text.has_value()) {
        problems_.push_back(text.error());
        return;
    }
    broken_ = !text->missing && !shared::is_users_text(text->bytes);
    if (broken_) problems_.push_back(shared::no_users_list(file_));
    if (broken_ || text->missing) return;
    const Json document = Json::parse(text->bytes, nullptr, false);
    wrapped_ = document.is_object();
    if (!wrapped_) return read_list(document);
    for (const auto& [key, value] : document.items()) {
        if (key == "users") continue;
        around_ += Json(key).dump() + ": " + value.dump() + ",\n";
    }
    read_list(document["users"]);
}

void UserStore::read_list(const Json& list)
{
    std::unordered_set<std::string> ids;
    entries_.reserve(list.size());
    std::size_t place = 0;
    for (const Json& item : list) {
        ++place;
        Entry& entry = entries_.emplace_back();
        entry.text = item.dump();
        shared::Result<User> user = read_entry(item);
        if (!user.has_value()) {
            leave_out(place, user.error().what);
        } else if (!ids.insert(user->id).second) {
            leave_out(place, "another entry has the id " + user->id + " too");
        } else if (ids.size() > shared::kUsersMax) {
            leave_out(place, "there are more than " + std::to_string(shared::kUsersMax));
        } else {
            entry.user = std::move(*user);
        }
    }
}

void UserStore::leave_out(std::size_t place, const std::string& what)
{
    if (problems_.size() > kProblemsMax) return;
    if (problems_.size() == kProblemsMax) {
        problems_.push_back({shared::printable(file_.string()), "and so on", ""});
        return;
    }
    problems_.push_back(
        {shared::printable(file_.string()) + ", entry " + std::to_string(place),
         what,
         "mend it; until then this entry is kept, but nobody can call with it"});
}

UserStore::Entry* UserStore::entry(std::string_view id) noexcept
{
    for (Entry& each : entries_)
        if (each.user && each.user->id == id) return &each;
    return nullptr;
}

StoreResult UserStore::write(std::vector<Entry> entries)
{
    std::string text = wrapped_ ? "{\n" + around_ + "\"users\": [" : "[";
    for (std::size_t i = 0; i < entries.size(); ++i)
        text.append(i == 0 ? "\n" : ",\n").append(entries[i].text);
    text += wrapped_ ? "\n]\n}\n" : "\n]\n";
    if (broken_) {
        if (const auto aside = put_aside(); !aside.has_value())
            return refused(StoreRefusal::unwritable, aside.error().text());
    }
    const shared::Result<void> written = shared::replace_file(file_, text);
    if (!written.has_value()) return refused(StoreRefusal::unwritable, written.error().text());
    if (broken_) problems_.clear();
    broken_ = false;
    entries_ = std::move(entries);
    known_ = stamp_of(file_);
    return {};
}

/// Under a name that nothing has yet: nothing is ever overwritten.
shared::Result<void> UserStore::put_aside()
{
    const std::string base = file_.string() + ".broken-" + time_in_name();
    std::string name = base;
    for (int i = 2; std::filesystem::exists(name); ++i)
        name = base + '-' + std::to_string(i);
    if (::rename(file_.c_str(), name.c_str()) == 0) return {};
    return Problem{
        shared::printable(file_.string()),
        std::string("the broken users file cannot be put aside: ") + std::strerror(errno),
        "mend it, or move it away"};
}

} // namespace admin_ui
