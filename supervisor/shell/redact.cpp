#include "supervisor/shell/redact.hpp"

#include <algorithm>
#include <cctype>
#include <regex>

namespace supervisor::shell {
namespace {

bool is_word(char c)
{
    return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

/// Replaces `known` where it stands as a word of its own: "bob" goes, "bobbin" stays.
void replace_words(std::string& text, const std::string& known, const std::string& replacement)
{
    std::size_t at = 0;
    while ((at = text.find(known, at)) != std::string::npos) {
        const std::size_t end = at + known.size();
        const bool inside = (at > 0 && is_word(text[at - 1]) && is_word(known.front())) ||
                            (end < text.size() && is_word(text[end]) && is_word(known.back()));
        if (inside) {
            at = end;
            continue;
        }
        text.replace(at, known.size(), replacement);
        at += replacement.size();
    }
}

/// Loopback and "every" address say nothing about anybody.
std::string hide_addresses(const std::string& text)
{
    static const std::regex kV4(R"((^|[^0-9.])((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![0-9.]*[0-9]))");
    std::string out;
    std::size_t from = 0;
    for (std::sregex_iterator i(text.begin(), text.end(), kV4), end; i != end; ++i) {
        const std::string address = (*i)[2];
        const auto at = static_cast<std::size_t>(i->position(2));
        const bool harmless = address.starts_with("127.") || address == "0.0.0.0";
        out += text.substr(from, at - from) + (harmless ? address : "(address)");
        from = at + address.size();
    }
    return out + text.substr(from);
}

} // namespace

void Redactor::hide(std::string_view text, std::string_view replacement)
{
    if (text.size() < 2) return;
    for (const auto& [known, ignored] : known_)
        if (known == text) return;
    known_.emplace_back(text, replacement);
    std::stable_sort(known_.begin(), known_.end(), [](const auto& a, const auto& b) {
        return a.first.size() > b.first.size();
    });
}

std::string Redactor::redacted(std::string text) const
{
    static const std::regex kEmail(R"([A-Za-z0-9._%+*-]+@[A-Za-z0-9.-]+)");
    static const std::regex kHome(R"((/home/|/Users/)[^/ ,;:"']+)");
    static const std::regex kV6(
        R"(\[?\b[0-9a-fA-F]{1,4}:(?:[0-9a-fA-F]{0,4}:){2,}[0-9a-fA-F]{0,4}\b\]?)");
    for (const auto& [known, replacement] : known_)
        replace_words(text, known, replacement);
    text = std::regex_replace(text, kEmail, "(e-mail)");
    text = std::regex_replace(text, kHome, "$1(user)");
    text = std::regex_replace(text, kV6, "(address)");
    return hide_addresses(text);
}

} // namespace supervisor::shell
