#include "supervisor/pin_keeper.hpp"

#include "shared/base/hash.hpp"
#include "shared/base/log.hpp"
#include "shared/base/write_file.hpp"
#include "shared/segment/account_table.hpp"
#include "shared/segment/pin_table.hpp"
#include "supervisor/damaged_file.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace supervisor {

PinKeeper::PinKeeper(shared::Segment& segment, std::filesystem::path file, std::chrono::hours ttl)
    : segment_(segment), file_(std::move(file)), ttl_(ttl)
{}

bool PinKeeper::is_old(const SavedPin& pin, shared::UnixMillis now) const noexcept
{
    return now.since(pin.last_used) > ttl_ || pin.last_used > now.plus(std::chrono::hours(1));
}

void PinKeeper::load(shared::UnixMillis now)
{
    auto pins = load_pins(file_);
    if (!pins) {
        const std::string kept = keep_damaged_aside(file_);
        shared::log::warn(
            "event=pins_not_restored {}; conversations may change their account once{}",
            pins.error().text(),
            kept);
        return;
    }
    waiting_ = std::move(*pins);
    std::erase_if(waiting_, [&](const SavedPin& pin) { return is_old(pin, now); });
}

std::size_t PinKeeper::restore(shared::UnixMillis now)
{
    // Nothing new can be placed until the refresher has published something.
    const std::uint64_t roster = segment_.roster_version.load(std::memory_order_acquire);
    if (waiting_.empty() || roster == roster_seen_) return 0;
    roster_seen_ = roster;
    const auto slots = account_slots();
    // A conversation that was pinned anew in the meantime stays where it is now.
    std::set<shared::PinKey> pinned;
    for (const shared::Pin& pin : shared::all_pins(segment_))
        pinned.insert(pin.key);

    // Oldest first, so that the segment, where full, drops these.
    std::sort(waiting_.begin(), waiting_.end(), [](const SavedPin& a, const SavedPin& b) {
        return a.last_used < b.last_used;
    });
    std::size_t restored = 0;
    std::erase_if(waiting_, [&](const SavedPin& pin) {
        const auto slot = slots.find(pin.account);
        if (slot == slots.end()) return is_old(pin, now);
        if (!pinned.contains(pin.key) && !is_old(pin, now)) {
            shared::set_pin(segment_, pin.key, slot->second, pin.last_used);
            ++restored;
        }
        return true;
    });
    return restored;
}

std::map<std::string, shared::AccountSlot, std::less<>> PinKeeper::account_slots() const
{
    std::map<std::string, shared::AccountSlot, std::less<>> slots;
    for (const auto& account : shared::snapshot_accounts(segment_))
        slots.emplace(account.identity.id.view(), account.slot);
    return slots;
}

shared::Result<bool> PinKeeper::take(std::string_view bytes, shared::UnixMillis now)
{
    const auto pins = decode_pins(bytes);
    if (!pins) return pins.error();
    const auto slots = account_slots();
    std::map<shared::PinKey, shared::UnixMillis> known;
    for (const shared::Pin& pin : shared::all_pins(segment_))
        known.emplace(pin.key, pin.last_used);
    for (const SavedPin& pin : *pins) {
        const auto slot = slots.find(pin.account);
        const auto here = known.find(pin.key);
        const bool is_later = here == known.end() || here->second < pin.last_used;
        if (slot != slots.end() && is_later && !is_old(pin, now))
            shared::set_pin(segment_, pin.key, slot->second, pin.last_used);
    }
    return true;
}

std::string PinKeeper::copy(shared::UnixMillis now)
{
    (void)restore(now);
    std::map<std::uint16_t, std::string> ids;
    for (const auto& account : shared::snapshot_accounts(segment_))
        ids.emplace(account.slot.value, account.identity.id.view());
    std::vector<SavedPin> pins = waiting_;
    for (const shared::Pin& pin : shared::all_pins(segment_)) {
        const auto id = ids.find(pin.account.value);
        if (id != ids.end()) pins.push_back({pin.key, pin.last_used, id->second});
    }
    std::erase_if(pins, [&](const SavedPin& pin) { return is_old(pin, now); });

    return encode_pins(pins);
}

void PinKeeper::save(shared::UnixMillis now)
{
    const std::string bytes = copy(now);
    const std::string digest = bytes.substr(bytes.size() - 32);
    if (digest == saved_digest_) return;
    const auto saved = shared::replace_file(file_, bytes);
    if (saved) {
        saved_digest_ = digest;
        if (refused_) shared::log::warn("event=pins_saved_again");
    } else if (!refused_) {
        shared::log::error("event=pins_not_saved {}", saved.error().text());
    }
    refused_ = !saved;
}

} // namespace supervisor
