/// docs/openapi.json describes exactly the routes there are. Whether real answers are as it says is tested with the
/// running pool (tests/integration/pages_test.cpp).
#include "admin_ui/assets.hpp"
#include "admin_ui/people_routes.hpp"
#include "admin_ui/route_table.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

namespace {

using namespace admin_ui;
using nlohmann::json;

std::string lower(std::string_view text)
{
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    return out;
}

TEST(OpenApi, DescribesEveryRouteAndNoOther)
{
    const json document = json::parse(embedded_file("openapi.json"));
    EXPECT_EQ(document["openapi"], "3.1.0");
    std::set<std::string> described;
    for (const auto& [path, methods] : document["paths"].items()) {
        for (const auto& [method, operation] : methods.items()) {
            described.insert(method + " " + path);
            EXPECT_FALSE(operation.value("summary", "").empty()) << path;
            EXPECT_TRUE(operation["responses"].contains("200")) << path;
            const std::set<std::string> levels{"open", "user", "owner"};
            EXPECT_TRUE(levels.contains(operation.value("x-access", ""))) << path;
        }
    }
    std::set<std::string> routes{"get /healthz"}; // the worker's own
    for (const RouteInfo& route : route_table())
        routes.insert(lower(route.method) + " " + std::string(route.path));
    for (const PeoplePath& route : people_paths())
        routes.insert(lower(route.method) + " " + std::string(route.path));
    EXPECT_EQ(described, routes);
}

void collect_references(const json& value, std::set<std::string>& into)
{
    if (value.is_object() && value.contains("$ref")) into.insert(value["$ref"]);
    if (!value.is_structured()) return;
    for (const json& inner : value)
        collect_references(inner, into);
}

TEST(OpenApi, EverySchemaIsUsedAndEveryReferenceLeadsToOne)
{
    const json document = json::parse(embedded_file("openapi.json"));
    std::set<std::string> references;
    collect_references(document, references);
    std::set<std::string> schemas;
    for (const auto& [name, schema] : document["components"]["schemas"].items())
        schemas.insert("#/components/schemas/" + name);
    EXPECT_EQ(references, schemas);
}

TEST(RouteTable, FindsRoutesAndNothingElse)
{
    EXPECT_EQ(find_route("/admin/accounts/codex:a/test")->page, Page::admin_action);
    EXPECT_EQ(find_route("/static/0123/live.js")->page, Page::file);
    EXPECT_EQ(find_route("/api/pool/users/ann/hourly")->page, Page::stats_user_hourly);
    EXPECT_EQ(find_route("/status/usage")->page, Page::usage);
    for (const char* path :
         {"/admin",
          "/admin/accounts/a",
          "/admin/accounts//test",
          "/admin/accounts/a/b/c",
          "/static",
          "/api/pool/users/ann",
          "/api/pool/users/a/b/daily",
          "/api",
          "",
          "status",
          "/{id}"})
        EXPECT_EQ(find_route(path), nullptr) << path;
}

} // namespace
