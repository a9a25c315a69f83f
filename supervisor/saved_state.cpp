#include "supervisor/saved_state.hpp"

#include "shared/base/log.hpp"

#include <charconv>
#include <cstddef>
#include <system_error>

namespace supervisor {

SavedState::SavedState(
    shared::Segment& segment, const std::filesystem::path& folder, std::chrono::hours pin_ttl)
    : pins_(segment, folder / "pins.bin", pin_ttl), evidence_(segment, folder / "evidence.json")
{}

void SavedState::load(shared::UnixMillis now)
{
    pins_.load(now);
    evidence_.load();
}

void SavedState::restore(shared::UnixMillis now)
{
    const std::size_t pins = pins_.restore(now);
    const std::size_t accounts = evidence_.restore(now);
    if (pins > 0) shared::log::info("event=pins_restored pins={}", pins);
    if (accounts > 0) shared::log::info("event=evidence_restored accounts={}", accounts);
}

std::string SavedState::copy(shared::UnixMillis now)
{
    const std::string pins = pins_.copy(now);
    return std::to_string(pins.size()) + "\n" + pins + evidence_.copy(now);
}

shared::Result<bool> SavedState::take(std::string_view copy, shared::UnixMillis now)
{
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(copy.data(), copy.data() + copy.size(), size);
    const std::size_t begin = static_cast<std::size_t>(end - copy.data()) + 1;
    if (error != std::errc() || begin > copy.size() || size > copy.size() - begin)
        return shared::Problem{"pins and evidence", "of the program before are cut off", ""};
    auto pins = pins_.take(copy.substr(begin, size), now);
    if (!pins) return pins;
    return evidence_.take(copy.substr(begin + size), now);
}

void SavedState::save(shared::UnixMillis now)
{
    pins_.save(now);
    evidence_.save(now);
}

} // namespace supervisor
