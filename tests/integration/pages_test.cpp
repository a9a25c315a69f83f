/// The pages and their JSON from the running pool: answers are as docs/openapi.json says, sums are the database's and
/// the upstreams' own, and what comes live comes.
#include "tests/integration/harness.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <string>
#include <vector>

namespace tests {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

/// As much of JSON Schema as docs/openapi.json uses.
class SchemaCheck {
public:
    explicit SchemaCheck(const Json& document) : document_(document) {}

    /// Every way in which the value is not as the schema says.
    [[nodiscard]] std::vector<std::string> check(const Json& value, const Json& schema)
    {
        problems_.clear();
        look("", value, schema);
        return problems_;
    }

private:
    void look(const std::string& where, const Json& value, const Json& schema)
    {
        if (schema.contains("$ref")) {
            const std::string name = schema["$ref"];
            look(where, value, document_[Json::json_pointer(name.substr(1))]);
            return;
        }
        if (schema.contains("type") && !is_of(value, schema["type"])) {
            problems_.push_back(where + " is " + value.dump().substr(0, 60));
            return;
        }
        if (schema.contains("enum") && !contains(schema["enum"], value))
            problems_.push_back(where + " is none of its words: " + value.dump());
        if (value.is_array() && schema.contains("items")) {
            for (const Json& item : value)
                look(where + "[]", item, schema["items"]);
        }
        if (!value.is_object()) return;
        for (const Json& name : schema.value("required", Json::array())) {
            if (!value.contains(name.get<std::string>()))
                problems_.push_back(where + "." + name.get<std::string>() + " is missing");
        }
        const Json properties = schema.value("properties", Json::object());
        for (const auto& [name, inner] : value.items()) {
            if (properties.contains(name))
                look(where + "." + name, inner, properties[name]);
            else if (schema.contains("additionalProperties"))
                look(where + "." + name, inner, schema["additionalProperties"]);
            else if (!properties.empty())
                problems_.push_back(where + "." + name + " is not described");
        }
    }

    static bool contains(const Json& list, const Json& value)
    {
        return std::find(list.begin(), list.end(), value) != list.end();
    }

    static bool is_of(const Json& value, const Json& type)
    {
        if (type.is_array()) {
            return std::any_of(
                type.begin(), type.end(), [&](const Json& one) { return is_of(value, one); });
        }
        if (type == "integer") return value.is_number_integer();
        if (type == "number") return value.is_number();
        if (type == "string") return value.is_string();
        if (type == "boolean") return value.is_boolean();
        if (type == "array") return value.is_array();
        if (type == "object") return value.is_object();
        return type == "null" && value.is_null();
    }

    const Json& document_;
    std::vector<std::string> problems_;
};

class Pages : public PoolTest {
protected:
    /// One turn of each CLI, counted.
    void use_it()
    {
        for (const Cli cli : {Cli::codex, Cli::claude, Cli::gemini}) {
            fake::Client client = this->client();
            EXPECT_EQ(make(client, turn_of(cli, "c")).status, 200U);
        }
        expect_usage_settles();
    }

    static Json openapi()
    {
        std::ifstream file(CODEX_POOL_SOURCE_DIR "/docs/openapi.json");
        return Json::parse(file);
    }

    Process& run(const std::vector<std::string>& arguments)
    {
        commands_.push_back(
            std::make_unique<Process>(arguments, std::map<std::string, std::string>(), folder()));
        code_ = commands_.back()->wait_exit();
        (void)commands_.back()->wait_line("(never said)");
        return *commands_.back();
    }

    std::vector<std::unique_ptr<Process>> commands_;
    std::optional<int> code_;
};

TEST_F(Pages, AnswersAreAsTheDescriptionSays)
{
    add_one_of_each();
    start();
    use_it();
    const Json document = openapi();
    SchemaCheck check(document);
    const std::string id = get_json("/admin/requests")[0]["request_id"];
    std::size_t checked = 0;
    for (const auto& [path, methods] : document["paths"].items()) {
        if (!methods.contains("get")) continue;
        const Json content = methods["get"]["responses"]["200"].value("content", Json::object());
        if (!content.contains("application/json")) continue;
        std::string target = path;
        if (const std::size_t at = target.find("{id}"); at != std::string::npos)
            target.replace(at, 4, "local");
        if (path == "/admin/why") target += "?id=" + id;
        if (path == "/admin/live") target += "?once=1";
        if (path == "/admin/usage") target += "?group=model";
        const fake::Response answer = get(target, {{"Accept", "application/json"}});
        EXPECT_EQ(answer.status, 200U) << path;
        EXPECT_THAT(answer.value("content-type"), HasSubstr("application/json")) << path;
        const Json value = Json::parse(answer.body, nullptr, false);
        ASSERT_FALSE(value.is_discarded()) << path << answer.body;
        EXPECT_THAT(check.check(value, content["application/json"]["schema"]), ::testing::IsEmpty())
            << path;
        ++checked;
    }
    EXPECT_GE(checked, 14U);

    fake::Client watcher = client();
    ASSERT_TRUE(watcher.send("GET", "/admin/live"));
    EXPECT_EQ(watcher.read_head().value("content-type"), "text/event-stream");
    std::string first = watcher.read_until("\n\n");
    ASSERT_THAT(first, ::testing::StartsWith("event: snapshot\ndata: "));
    first = first.substr(22, first.find("\n\n") - 22);
    EXPECT_THAT(
        check.check(Json::parse(first), document["components"]["schemas"]["Live"]),
        ::testing::IsEmpty());

    const fake::Response reloaded =
        client().request("POST", "/admin/reload", {{"Accept", "application/json"}});
    EXPECT_THAT(
        check.check(Json::parse(reloaded.body), document["components"]["schemas"]["Reloaded"]),
        ::testing::IsEmpty());
    const std::string account = get_json("/admin/accounts")[0]["id"];
    const fake::Response cleared = client().request(
        "POST", "/admin/accounts/" + account + "/clear", {{"Accept", "application/json"}});
    EXPECT_THAT(
        check.check(Json::parse(cleared.body), document["components"]["schemas"]["Action"]),
        ::testing::IsEmpty());
}

TEST_F(Pages, UsageSumsAreTheDatabasesAndTheUpstreamsOwn)
{
    add_one_of_each();
    start();
    use_it();
    const auto database = [this](const std::string& column) {
        return database_number("SELECT sum(" + column + ") FROM requests");
    };
    for (const char* query :
         {"group=model", "group=account", "group=user", "group=provider", "by=hour&last=24h"}) {
        const Json usage = get_json("/admin/usage?" + std::string(query));
        for (const char* column :
             {"input_tokens",
              "cached_input_tokens",
              "cache_creation_tokens",
              "output_tokens",
              "reasoning_tokens"}) {
            EXPECT_EQ(usage["totals"][column], database(column)) << query << ' ' << column;
            std::int64_t steps = 0;
            for (const Json& step : usage["steps"])
                steps += step[column].get<std::int64_t>();
            EXPECT_EQ(steps, database(column)) << query << ' ' << column;
            std::int64_t groups = 0;
            for (const Json& group : usage["groups"])
                groups += group[column].get<std::int64_t>();
            if (!usage["groups"].empty()) {
                EXPECT_EQ(groups, database(column)) << query;
            }
        }
        EXPECT_EQ(usage["totals"]["requests"], database_number("SELECT count(*) FROM requests"));
    }
    fake::Tokens ledger;
    for (const auto& [key, tokens] : upstream().ledger().totals())
        ledger += tokens;
    EXPECT_EQ(
        get_json("/admin/usage")["totals"]["input_tokens"].get<std::uint64_t>(), ledger.input);
    EXPECT_EQ(
        get_json("/admin/usage")["totals"]["output_tokens"].get<std::uint64_t>(), ledger.output);
}

TEST_F(Pages, EveryPageIsThereAndSillyQuestionsAreNot)
{
    add_one_of_each();
    start();
    use_it();
    for (const char* page :
         {"/status",
          "/status/usage",
          "/status/usage?group=user&last=30d&cost=list",
          "/status/requests",
          "/status/requests?status=failed&model=x",
          "/status/events"}) {
        const fake::Response html = get(page, {{"Accept", "text/html"}});
        EXPECT_EQ(html.status, 200U) << page;
        EXPECT_THAT(html.body, HasSubstr("<h1")) << page;
        EXPECT_THAT(html.value("content-security-policy"), HasSubstr("default-src 'none'")) << page;
        EXPECT_THAT(html.body, Not(HasSubstr("{{"))) << page;
    }
    for (const char* silly :
         {"/admin/usage?last=forever",
          "/admin/usage?by=hour&last=90d",
          "/admin/requests?limit=-1",
          "/admin/requests?status=banana",
          "/status/usage?group=%3Cscript%3E",
          "/api/pool/hourly?hours=9999",
          "/api/pool/daily-breakdown?days=0",
          "/admin/live?format=x",
          "/admin/usage?from=%f"}) {
        const fake::Response refused = get(silly, {{"Accept", "application/json"}});
        EXPECT_EQ(refused.status, 400U) << silly;
        EXPECT_THAT(Json::parse(refused.body)["error"].get<std::string>(), HasSubstr(".")) << silly;
    }
    const std::string page = get("/status", {{"Accept", "text/html"}}).body;
    const std::size_t at = page.find("/static/");
    const std::string style = page.substr(at, page.find('"', at) - at);
    const fake::Response file = get(style, {{"Accept-Encoding", "gzip"}});
    EXPECT_EQ(file.value("content-encoding"), "gzip");
    EXPECT_EQ(file.value("cache-control"), "public, max-age=31536000, immutable");
    EXPECT_EQ(get(style, {{"If-None-Match", file.value("etag")}}).status, 304U);
}

TEST_F(Pages, ARequestsClockAndFilterComeFromTheHistory)
{
    add_one_of_each();
    start();
    use_it();
    const Json all = get_json("/admin/requests");
    ASSERT_EQ(all.size(), 3U);
    const Json first = get_json("/admin/requests?limit=1");
    EXPECT_EQ(first[0]["row"], all[0]["row"]);
    const std::string next = get("/admin/requests?limit=1").value("x-next-before");
    EXPECT_EQ(get_json("/admin/requests?limit=1&before=" + next)[0]["row"], all[1]["row"]);
    const std::string account = all[0]["account"];
    const Json of_account = get_json("/admin/requests?account=" + account);
    ASSERT_EQ(of_account.size(), 1U);
    EXPECT_GE(all[0]["first_byte_ms"].get<int>(), all[0]["connect_ms"].get<int>());
    const std::string id = all[0]["request_id"];
    const std::string page = get("/status/why?id=" + id, {{"Accept", "text/html"}}).body;
    EXPECT_THAT(page, HasSubstr("Where its time went"));
    EXPECT_THAT(page, HasSubstr("until the first byte"));
    EXPECT_THAT(page, HasSubstr(account));
}

TEST_F(Pages, TheShellSeesTheSame)
{
    add_one_of_each();
    start();
    use_it();
    std::string said = run({"usage", "--group", "provider", "--last", "24h"}).log();
    EXPECT_EQ(code_, 0) << said;
    EXPECT_THAT(said, HasSubstr("PROVIDER"));
    EXPECT_THAT(said, HasSubstr("claude"));
    EXPECT_THAT(said, Not(HasSubstr("\x1b"))) << "no colours into a pipe";
    said = run({"usage", "--json"}).log();
    EXPECT_EQ(Json::parse(said)["totals"], get_json("/admin/usage")["totals"]);
    said = run({"requests", "--limit", "2"}).log();
    EXPECT_EQ(code_, 0) << said;
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 3) << said;
    EXPECT_EQ(Json::parse(run({"requests", "--json"}).log()).size(), 3U);
    said = run({"requests", "--status", "nonsense"}).log();
    EXPECT_EQ(code_, 1);
    EXPECT_THAT(said, HasSubstr("status must be one like 429"));
    said = run({"usage", "--last", "1y"}).log();
    EXPECT_EQ(code_, 1);
    EXPECT_THAT(said, HasSubstr("last must be a span like 7d"));
}

} // namespace
} // namespace tests
