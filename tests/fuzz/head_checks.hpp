/// What must hold of every head that was accepted, request or response.
#pragma once

#include "shared/http/head.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <string>

namespace fuzz {

inline void check_text(std::string_view text, std::string_view forbidden)
{
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        FUZZ_CHECK((byte >= 0x20 || byte == '\t') && byte != 0x7F);
        FUZZ_CHECK(forbidden.find(c) == std::string_view::npos);
    }
}

/// Nothing in a field can end its line or its name, and writing the fields out again gives the same.
inline void check_fields(const shared::http::Fields& fields)
{
    FUZZ_CHECK(fields.list.size() <= shared::http::kFieldsMax);
    for (const shared::http::Field& field : fields.list) {
        FUZZ_CHECK(!field.name.empty());
        check_text(field.name, " \t:\"(),/;<=>?@[\\]{}");
        check_text(field.value, "");
        FUZZ_CHECK(field.value.data() != nullptr);
        FUZZ_CHECK(
            field.value.empty() || (field.value.front() != ' ' && field.value.back() != ' '));
        FUZZ_CHECK(fields.has(field.name));
        static_cast<void>(shared::http::is_hop_by_hop(field.name, fields));
    }
}

/// Whatever one reader takes for the length of the body, every other must too.
inline void check_framing(const shared::http::Fields& fields)
{
    const std::size_t lengths = fields.count("content-length");
    const std::size_t codings = fields.count("transfer-encoding");
    FUZZ_CHECK(lengths + codings <= 1);
    const std::string_view length = fields.find("content-length");
    FUZZ_CHECK(length.find_first_not_of("0123456789") == std::string_view::npos);
    FUZZ_CHECK(lengths == 0 || !length.empty());
    if (codings == 1) {
        FUZZ_CHECK(shared::http::iequals(fields.find("transfer-encoding"), "chunked"));
    }
}

inline void append_fields(const shared::http::Fields& fields, std::string& out)
{
    for (const shared::http::Field& field : fields.list) {
        out += field.name;
        out += ": ";
        out += field.value;
        out += "\r\n";
    }
    out += "\r\n";
}

inline void check_same_fields(const shared::http::Fields& a, const shared::http::Fields& b)
{
    FUZZ_CHECK(a.list.size() == b.list.size());
    for (std::size_t i = 0; i < a.list.size(); ++i) {
        FUZZ_CHECK(a.list[i].name == b.list[i].name);
        FUZZ_CHECK(a.list[i].value == b.list[i].value);
    }
}

} // namespace fuzz
