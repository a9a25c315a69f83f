#include "shared/config/nearest_name.hpp"

#include <algorithm>
#include <cctype>
#include <limits>
#include <string>
#include <vector>

namespace shared {

namespace {

std::string lower(std::string_view text)
{
    std::string out(text);
    for (char& c : out)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

/// Edit distance with swaps of neighbours; `limit` or more is reported as `limit`.
std::size_t distance(std::string_view a, std::string_view b, std::size_t limit)
{
    if ((a.size() > b.size() ? a.size() - b.size() : b.size() - a.size()) >= limit) return limit;
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replace = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, replace});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, row);
    }
    return std::min(last[b.size()], limit);
}

} // namespace

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates)
{
    constexpr std::size_t kNameBytesMax = 64; // what is longer is no typing mistake
    if (name.size() > kNameBytesMax) return {};
    const std::string wanted = lower(name);
    const std::string wanted_key = wanted.substr(wanted.rfind('.') + 1);
    std::string_view best;
    std::size_t best_distance = std::numeric_limits<std::size_t>::max();
    for (const std::string_view candidate : candidates) {
        const std::string whole = lower(candidate);
        const std::string_view key = std::string_view(whole).substr(whole.rfind('.') + 1);
        const std::size_t limit = 2 + key.size() / 5;
        // The same name in another table is one mistake, not as many as the table's name has letters.
        const std::size_t found =
            std::min(distance(wanted, whole, limit), distance(wanted_key, key, limit - 1) + 1);
        if (found < limit && found < best_distance) {
            best = candidate;
            best_distance = found;
        }
    }
    return best;
}

} // namespace shared
