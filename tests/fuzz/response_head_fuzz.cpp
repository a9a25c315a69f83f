#include "tests/fuzz/head_checks.hpp"

#include <array>

using namespace shared::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static constexpr std::array<std::string_view, 4> kMethods = {"GET", "HEAD", "POST", "CONNECT"};
    fuzz::Input input(data, size);
    const std::string_view method = kMethods[input.choice() % kMethods.size()];
    const std::string_view bytes = input.rest();
    ResponseHead head;
    const ParseStatus status = parse_response(bytes, method, head);

    for (const std::size_t cut : {bytes.size() / 3, bytes.size() / 2}) {
        ResponseHead part;
        const ParseStatus early = parse_response(bytes.substr(0, cut), method, part);
        FUZZ_CHECK(early == ParseStatus::incomplete || early == status);
    }
    if (status != ParseStatus::complete) return 0;

    FUZZ_CHECK(head.head_bytes <= bytes.size() && head.head_bytes <= kHeadBytesMax);
    FUZZ_CHECK(head.status >= 100 && head.status <= 599);
    fuzz::check_text(head.reason, "");
    fuzz::check_fields(head.fields);
    fuzz::check_framing(head.fields);
    FUZZ_CHECK(head.body != BodyKind::until_close || !head.keep_alive);
    if (method == "HEAD" || head.status < 200 || head.status == 204 || head.status == 304) {
        FUZZ_CHECK(head.body == BodyKind::none);
    }

    std::string again = head.minor_version == 0 ? "HTTP/1.0 " : "HTTP/1.1 ";
    again += std::to_string(head.status);
    again += " ";
    again += head.reason;
    again += "\r\n";
    fuzz::append_fields(head.fields, again);
    if (again.size() > kHeadBytesMax) return 0;
    ResponseHead second;
    FUZZ_CHECK(parse_response(again, method, second) == ParseStatus::complete);
    fuzz::check_same_fields(head.fields, second.fields);
    FUZZ_CHECK(second.body == head.body && second.keep_alive == head.keep_alive);
    return 0;
}
