#include "admin_ui/fields.hpp"
#include "admin_ui/multipart.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <functional>
#include <string>

using namespace admin_ui;

// '0' multipart with a boundary of ours, '1' with the one in the body's first line, '2' a form, '3' JSON.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    fuzz::Input input(data, size);
    const unsigned kind = input.choice() % 4U;
    std::string_view body = input.rest();
    PageRequest request;
    request.method = "POST";
    request.content_type = "multipart/form-data; boundary=b";
    if (kind == 1) {
        const std::size_t line = body.find('\n');
        request.content_type = "multipart/form-data; " + std::string(body.substr(0, line));
        body.remove_prefix(line == std::string_view::npos ? body.size() : line + 1);
    }
    if (kind == 2) request.content_type = "application/x-www-form-urlencoded";
    if (kind == 3) request.content_type = "application/json";
    request.body = body;

    if (kind < 2 && is_multipart(request.content_type)) {
        const auto parts = parse_multipart(request.content_type, request.body);
        if (parts) {
            FUZZ_CHECK(parts->size() <= kFormPartsMax);
            const std::less_equal<const char*> before;
            const char* end = request.body.data();
            for (const FormPart& part : *parts) {
                FUZZ_CHECK(!part.name.empty());
                FUZZ_CHECK(before(end, part.content.data()));
                end = part.content.data() + part.content.size();
                FUZZ_CHECK(before(end, request.body.data() + request.body.size()));
            }
        }
    }
    const Fields fields(request);
    for (const char* name : {"name", "email", "models"}) {
        if (fields.text(name).empty()) continue;
        FUZZ_CHECK(fields.has(name));
    }
    return 0;
}
