/// How an expected failure travels: as a value that names the place and the remedy.
#pragma once

#include <boost/system/result.hpp>

#include <string>

namespace shared {

/// What is wrong, where, and what mends it. Never contains any part of a secret.
struct Problem {
    std::string where;  ///< file, file:line:column, environment variable, flag …; may be empty
    std::string what;   ///< the fault, in one clause
    std::string remedy; ///< what to do about it; may be empty

    /// "where: what; remedy", for logs and the terminal.
    [[nodiscard]] std::string text() const
    {
        std::string out = where.empty() ? what : where + ": " + what;
        if (!remedy.empty()) out += "; " + remedy;
        return out;
    }
};

/// A T or the Problem that prevented it. Test with has_value(), then use * or error().
template <class T>
using Result = boost::system::result<T, Problem>;

} // namespace shared
