/// Takes out of a text what says whose pool it is: names, e-mails, addresses, paths with user names.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supervisor::shell {

class Redactor {
public:
    /// From now on `text` becomes `replacement`. Texts of fewer than two characters are left alone.
    void hide(std::string_view text, std::string_view replacement);

    /// Also hides what looks like an e-mail, an IP address other than a loopback one, or the home of a user.
    [[nodiscard]] std::string redacted(std::string text) const;

private:
    std::vector<std::pair<std::string, std::string>> known_; ///< the longest first
};

} // namespace supervisor::shell
