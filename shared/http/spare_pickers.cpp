#include "shared/http/spare_pickers.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace shared::http {
namespace {

struct Spare {
    const JsonPaths* paths = nullptr;
    std::size_t size = 0; ///< of *paths then: the same address may hold another list by now
    JsonMatch match = JsonMatch::last;
    std::unique_ptr<JsonPicker> picker;

    [[nodiscard]] bool fits(const JsonPaths& wanted, JsonMatch how) const noexcept
    {
        return picker && paths == &wanted && size == wanted.size() && match == how;
    }
};

/// A worker that serves all vendors uses a dozen lists.
struct Spares {
    std::array<Spare, 16> places;
    std::size_t next = 0; ///< gives way when all are taken
};

thread_local Spares spares;

} // namespace

std::unique_ptr<JsonPicker> take_picker(const JsonPaths& paths, JsonMatch match)
{
    for (Spare& spare : spares.places)
        if (spare.fits(paths, match)) return std::move(spare.picker);
    return std::make_unique<JsonPicker>(paths, match);
}

void give_back(const JsonPaths& paths, JsonMatch match, std::unique_ptr<JsonPicker> picker) noexcept
{
    if (!picker) return;
    auto* place = std::find_if(spares.places.begin(), spares.places.end(), [](const Spare& spare) {
        return !spare.picker;
    });
    if (place == spares.places.end()) place = &spares.places[spares.next++ % spares.places.size()];
    picker->reset();
    *place = {&paths, paths.size(), match, std::move(picker)};
}

} // namespace shared::http
