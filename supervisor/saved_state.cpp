#include "supervisor/saved_state.hpp"

#include "shared/base/log.hpp"

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

void SavedState::save(shared::UnixMillis now)
{
    pins_.save(now);
    evidence_.save(now);
}

} // namespace supervisor
