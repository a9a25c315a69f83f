#include "admin_ui/upload_form.hpp"

#include "admin_ui/multipart.hpp"
#include "admin_ui/page_parts.hpp"
#include "admin_ui/people.hpp"
#include "admin_ui/responses.hpp"
#include "shared/base/percent.hpp"
#include "shared/base/trim.hpp"

#include <vector>

namespace admin_ui {
namespace {

void read_parts(const std::vector<FormPart>& parts, UploadForm& form)
{
    std::string_view pasted;
    for (const FormPart& part : parts) {
        if (part.name == "file") form.file = part.content;
        if (part.name == "text") pasted = shared::trimmed(part.content);
        if (part.name == "csrf") form.csrf = part.content;
        if (part.name == "provider") form.wish.provider = shared::trimmed(part.content);
        if (part.name == "name") form.wish.name = shared::trimmed(part.content);
    }
    if (!form.file.empty() && !pasted.empty())
        form.problem = "Send a file or paste its text, not both.";
    else if (form.file.empty() && pasted.empty())
        form.problem = "Choose a credential file, or paste its text.";
    else if (form.file.empty())
        form.file = pasted;
}

} // namespace

bool takes_upload(std::string_view method, std::string_view path) noexcept
{
    if (path.ends_with('/')) path.remove_suffix(1);
    const RouteInfo* const route = method == "POST" ? find_route(path, method) : nullptr;
    return route != nullptr && (route->page == Page::admin_add || route->page == Page::own_add);
}

UploadForm read_upload_form(const PageRequest& request)
{
    UploadForm form;
    form.csrf = request.csrf_token;
    if (is_multipart(request.content_type)) {
        const auto parts = parse_multipart(request.content_type, request.body);
        if (parts.has_value())
            read_parts(*parts, form);
        else
            form.problem = parts.error().text() + ".";
        return form;
    }
    if (request.content_type.starts_with("application/x-www-form-urlencoded")) {
        form.problem = "Send the file as the body, or a form of type multipart/form-data.";
        return form;
    }
    form.wish.provider = shared::percent_decoded(parameter(request.query, "provider"));
    form.wish.name = shared::percent_decoded(parameter(request.query, "name"));
    form.file = request.body;
    if (form.file.empty()) form.problem = "The body is empty; it has to be the credential file.";
    return form;
}

Html upload_form(
    const shared::ProviderRegistry& registry,
    std::string_view action,
    std::string_view csrf,
    std::string_view label)
{
    Html html;
    html.raw("<form class=\"upload\" method=\"post\" enctype=\"multipart/form-data\" action=\"");
    html.text(action).raw("\">").add(hidden_field("csrf", csrf));
    html.raw("<p class=\"field\"><label for=\"upload-file\">Credential file</label>");
    html.raw("<input id=\"upload-file\" name=\"file\" type=\"file\"></p>\n");
    html.raw("<p class=\"field\"><label for=\"upload-text\">or its text</label>");
    html.raw("<textarea id=\"upload-text\" name=\"text\" rows=\"4\" autocomplete=\"off\" ");
    html.raw("spellcheck=\"false\"></textarea></p>\n<div class=\"fields\">");
    html.raw("<label>Provider<select name=\"provider\"><option value=\"\">find out</option>");
    for (const shared::Provider* provider : providers_in_order(registry)) {
        html.raw("<option value=\"").text(provider->name()).raw("\">");
        html.text(provider->display_name()).raw("</option>");
    }
    html.raw("</select></label><label>Name<input name=\"name\" maxlength=\"64\" ");
    html.raw("placeholder=\"made from the file\" autocomplete=\"off\"></label></div>\n<p><button>");
    return html.text(label).raw("</button></p></form>\n");
}

} // namespace admin_ui
