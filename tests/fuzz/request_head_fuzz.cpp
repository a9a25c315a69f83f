#include "tests/fuzz/head_checks.hpp"

using namespace shared::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    RequestHead head;
    const ParseStatus status = parse_request(bytes, head);

    // A beginning is never judged otherwise than the whole.
    for (const std::size_t cut : {size / 3, size / 2, size - (size > 0 ? 1 : 0)}) {
        RequestHead part;
        const ParseStatus early = parse_request(bytes.substr(0, cut), part);
        if (early == ParseStatus::incomplete) continue;
        FUZZ_CHECK(early == status);
        FUZZ_CHECK(early != ParseStatus::complete || part.head_bytes == head.head_bytes);
    }
    if (status != ParseStatus::complete) return 0;

    FUZZ_CHECK(head.head_bytes <= size && head.head_bytes <= kHeadBytesMax);
    FUZZ_CHECK(bytes.substr(0, head.head_bytes).ends_with("\r\n\r\n"));
    FUZZ_CHECK(head.target.starts_with('/'));
    fuzz::check_text(head.method, " \t");
    fuzz::check_text(head.target, " \t#");
    FUZZ_CHECK(head.target.starts_with(head.path));
    FUZZ_CHECK(head.minor_version == 0 || head.fields.count("host") == 1);
    FUZZ_CHECK(head.fields.count("host") <= 1);
    fuzz::check_fields(head.fields);
    fuzz::check_framing(head.fields);
    static_cast<void>(head.query_parameter("key"));

    std::string again(head.method);
    again += " ";
    again += head.target;
    again += head.minor_version == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n";
    fuzz::append_fields(head.fields, again);
    RequestHead second;
    if (again.size() > kHeadBytesMax) return 0; // "a:b" has become "a: b"
    FUZZ_CHECK(parse_request(again, second) == ParseStatus::complete);
    fuzz::check_same_fields(head.fields, second.fields);
    FUZZ_CHECK(second.body == head.body && second.content_length == head.content_length);
    FUZZ_CHECK(second.keep_alive == head.keep_alive);
    FUZZ_CHECK(second.query == head.query && second.path == head.path);
    return 0;
}
