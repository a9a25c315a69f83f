#include "admin_ui/html.hpp"

#include <gtest/gtest.h>

namespace {

using admin_ui::escape_html;
using admin_ui::Html;
using admin_ui::render;

TEST(Html, EscapesEverythingThatCouldLeaveItsPlace)
{
    EXPECT_EQ(
        escape_html("<script>alert('x') & \"y\"</script>"),
        "&lt;script&gt;alert(&#39;x&#39;) &amp; &quot;y&quot;&lt;/script&gt;");
    EXPECT_EQ(escape_html("plain ünïcode"), "plain ünïcode");
    EXPECT_EQ(
        escape_html(std::string_view("a\0b\x1b[31m\x7f", 9)),
        "a\xEF\xBF\xBD"
        "b\xEF\xBF\xBD[31m\xEF\xBF\xBD");
    EXPECT_EQ(escape_html("line\nline"), "line\nline");
}

TEST(Html, TemplatesEscapeUnlessToldOtherwise)
{
    EXPECT_EQ(render("a {{x}} b {{{x}}} c", {{"x", "<i>"}}), "a &lt;i&gt; b <i> c");
    EXPECT_EQ(render("{{x}}{{y}}{{x}}", {{"x", "1"}, {"y", "2"}}), "121");
    EXPECT_EQ(render("{{unknown}}.", {{"x", "1"}}), ".");
    EXPECT_EQ(render("no end {{x", {{"x", "1"}}), "no end {{x");
    EXPECT_EQ(render("", {}), "");
}

TEST(Html, AValueThatLooksLikeATemplateIsNotExpanded)
{
    EXPECT_EQ(render("{{x}}|{{y}}", {{"x", "{{y}}"}, {"y", "secret"}}), "{{y}}|secret");
}

TEST(Html, PiecesAreEscapedAsTheyAreAdded)
{
    Html inner;
    inner.raw("<b>").text("a<b").raw("</b>");
    Html outer;
    outer.raw("<p>").add(inner).number(-5).raw("</p>");
    EXPECT_EQ(outer.str(), "<p><b>a&lt;b</b>-5</p>");
}

} // namespace
