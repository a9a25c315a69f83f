/// The body of a request that changes something: a JSON object or a form, as names and texts.
#pragma once

#include "admin_ui/routes.hpp"

#include <map>
#include <string>
#include <string_view>

namespace admin_ui {

class Fields {
public:
    /// By Content-Type; a body that begins with '{' is always JSON. Members of an object "limits" stand among the
    /// others. An empty body has no fields.
    explicit Fields(const PageRequest& request);

    /// What is wrong with the body; empty = nothing.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

    [[nodiscard]] bool has(std::string_view name) const { return values_.contains(name); }

    /// Without blanks around it; empty if absent or null.
    [[nodiscard]] std::string text(std::string_view name) const;

private:
    void read_json(std::string_view body);
    void read_form(std::string_view body);

    std::map<std::string, std::string, std::less<>> values_;
    std::string problem_;
};

} // namespace admin_ui
