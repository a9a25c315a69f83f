#include "supervisor/damaged_file.hpp"

#include <system_error>

namespace supervisor {

std::string keep_damaged_aside(const std::filesystem::path& file)
{
    const std::string aside = file.string() + ".damaged";
    std::error_code refused;
    std::filesystem::rename(file, aside, refused);
    return refused ? std::string() : "; the file is kept as " + aside;
}

} // namespace supervisor
