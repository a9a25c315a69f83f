#include "shared/config/config.hpp"
#include "shared/config/config_keys.hpp"
#include "shared/config/nearest_name.hpp"
#include "tests/support/as_nobody.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

namespace shared {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class ConfigTest : public ::testing::Test {
protected:
    ConfigLoad load() { return load_config(registry_, flags_, environment_, dir_.path(), 2); }

    ConfigLoad load(std::string_view file)
    {
        dir_.write("config.toml", file);
        return load();
    }

    static std::vector<std::string> texts(const std::vector<Problem>& problems)
    {
        std::vector<std::string> out;
        for (const Problem& problem : problems)
            out.push_back(problem.text());
        return out;
    }

    /// The configuration, or a failure that says why there is none.
    Config good(std::string_view file)
    {
        ConfigLoad loaded = load(file);
        EXPECT_THAT(texts(loaded.problems), IsEmpty());
        return loaded.config.value_or(Config{});
    }

    std::vector<std::string> problems_of(std::string_view file)
    {
        return texts(load(file).problems);
    }

    tests::TempDir dir_;
    ProviderRegistry registry_;
    ConfigFlags flags_;
    Environment environment_;
};

TEST_F(ConfigTest, DefaultsWithoutAnything)
{
    const ConfigLoad loaded = load();
    ASSERT_THAT(texts(loaded.problems), IsEmpty());
    const Config& config = *loaded.config;
    EXPECT_EQ(config.listen.text(), "127.0.0.1:8989");
    EXPECT_EQ(config.pool_dir, dir_.path() / "pool");
    EXPECT_EQ(config.db_path, dir_.path() / "data/proxy.db");
    EXPECT_EQ(config.users_path, dir_.path() / "data/pool_users.json");
    EXPECT_EQ(config.workers, 2U);
    EXPECT_FALSE(config.shared_mode);
    EXPECT_TRUE(config.source.empty());
    EXPECT_THAT(config.warnings, IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(dir_.path() / "data"));
}

TEST_F(ConfigTest, TableAgreesWithTheDefaultsOfTheStruct)
{
    const Config config;
    for (const Setting& setting : settings()) {
        if (const auto* small = std::get_if<std::uint32_t Config::*>(&setting.field)) {
            EXPECT_EQ(std::to_string(config.**small), setting.default_text) << setting.key;
            EXPECT_LE(setting.max, 0xFFFFFFFFULL) << setting.key;
        }
        if (const auto* large = std::get_if<std::uint64_t Config::*>(&setting.field)) {
            EXPECT_EQ(std::to_string(config.**large), setting.default_text) << setting.key;
        }
        if (const auto* flag = std::get_if<bool Config::*>(&setting.field)) {
            EXPECT_EQ(config.**flag ? "true" : "false", setting.default_text) << setting.key;
        }
        EXPECT_FALSE(setting.doc.empty()) << setting.key;
        EXPECT_FALSE(setting.environment.empty()) << setting.key;
    }
}

TEST_F(ConfigTest, WorkersFollowTheCores)
{
    for (const auto& [cores, workers] : {std::pair{1U, 1U}, {3U, 3U}, {64U, 4U}, {0U, 1U}}) {
        const ConfigLoad loaded = load_config(registry_, {}, {}, dir_.path(), cores);
        EXPECT_EQ(loaded.config->workers, workers);
    }
    EXPECT_EQ(good("workers = 7\n").workers, 7U);
}

TEST_F(ConfigTest, ReadsTheReadmesFile)
{
    const Config config = good(R"(
# Server settings
listen_addr = "127.0.0.1:8989"
pool_dir = "pool"
db_path = "./data/proxy.db"
debug = true

friend_code = "your-secret-code"
friend_name = "YourName"
friend_tagline = "For the few who know, the pool awaits."

[pool_users]
admin_password = "admin-password"
jwt_secret = "32-character-secret-for-jwt-tokens"
storage_path = "./data/pool_users.json"
)");
    EXPECT_TRUE(config.debug);
    EXPECT_TRUE(config.friend_code.matches("your-secret-code"));
    EXPECT_EQ(config.friend_name, "YourName");
    EXPECT_TRUE(config.admin_password.matches("admin-password"));
    EXPECT_TRUE(config.shared_mode);
    EXPECT_THAT(config.warnings, IsEmpty());
    EXPECT_EQ(config.source, dir_.path() / "config.toml");
}

TEST_F(ConfigTest, FlagBeatsEnvironmentBeatsFile)
{
    dir_.write("config.toml", "listen_addr = \"127.0.0.1:1\"\nworkers = 1\nmax_attempts = 9\n");
    environment_ = {
        {"PROXY_LISTEN_ADDR", "127.0.0.1:2"}, {"PROXY_WORKERS", "2"}, {"PROXY_DEBUG", "1"}};
    flags_.listen = "[::1]:3";
    flags_.debug = false;
    const Config config = *load().config;
    EXPECT_EQ(config.listen.text(), "[::1]:3");
    EXPECT_EQ(config.workers, 2U);
    EXPECT_EQ(config.max_attempts, 9U);
    EXPECT_FALSE(config.debug);
}

TEST_F(ConfigTest, EveryVariableReachesItsSetting)
{
    for (const Setting& setting : settings()) {
        SCOPED_TRACE(setting.key);
        std::string value = "some text";
        if (setting.max > 0)
            value = std::to_string(setting.max);
        else if (std::holds_alternative<bool Config::*>(setting.field))
            value = "true";
        else if (std::holds_alternative<ListenAddress Config::*>(setting.field))
            value = "127.0.0.9:9";
        else if (std::holds_alternative<std::filesystem::path Config::*>(setting.field))
            value = "x/y";
        else if (std::holds_alternative<Strategy Config::*>(setting.field))
            value = "fill_first";
        else if (setting.rule == TextRule::webhook_url)
            value = "https://hooks.example.com/x?y=1";
        else if (setting.rule == TextRule::webhook_format)
            value = "telegram";
        else if (setting.rule == TextRule::log_format)
            value = "json";
        else if (setting.rule == TextRule::networks)
            value = "10.0.0.0/8, ::1";
        else if (setting.rule == TextRule::user_list)
            value = "claude, codex";
        else if (setting.rule != TextRule::any)
            value = "http://pool.example.com:80";
        const ConfigLoad plain = load_config(registry_, {}, {}, dir_.path(), 2);
        Environment one{{std::string(setting.environment), value}};
        // One without the other is a mistake.
        if (setting.key == "tls_cert") one.emplace("PROXY_TLS_KEY", "k.pem");
        if (setting.key == "tls_key") one.emplace("PROXY_TLS_CERT", "c.pem");
        const ConfigLoad loaded = load_config(registry_, {}, one, dir_.path(), 2);
        ASSERT_THAT(texts(loaded.problems), IsEmpty());
        EXPECT_NE(to_toml(*loaded.config), to_toml(*plain.config));
        EXPECT_THAT(to_toml(*loaded.config), HasSubstr(value));
    }
}

TEST_F(ConfigTest, TrustedProxiesAreAddressesAndNetworks)
{
    environment_ = {{"PROXY_TRUSTED_PROXIES", "127.0.0.1, proxy.example.com"}};
    EXPECT_THAT(
        texts(load().problems),
        ElementsAre(AllOf(HasSubstr("PROXY_TRUSTED_PROXIES"), HasSubstr("proxy.example.com"))));
}

TEST_F(ConfigTest, ACertificateNeedsItsKey)
{
    environment_ = {{"PROXY_TLS_CERT", "cert.pem"}};
    EXPECT_THAT(
        texts(load().problems),
        ElementsAre(AllOf(HasSubstr("PROXY_TLS_CERT"), HasSubstr("tls_key is not"))));
    environment_.emplace("PROXY_TLS_KEY", "key.pem");
    EXPECT_EQ(load().config->tls_cert, dir_.path() / "cert.pem");
}

TEST_F(ConfigTest, ChildrenGetTheCertificateAsText)
{
    Config config = *load().config;
    config.tls_cert_pem = "-----BEGIN\nA\n";
    config.tls_key_pem = Secret("-----BEGIN\nB\n");
    const auto copy = from_toml(registry_, to_toml(config));
    ASSERT_TRUE(copy.has_value());
    EXPECT_EQ(copy->tls_cert_pem, config.tls_cert_pem);
    EXPECT_TRUE(copy->tls_key_pem.same_as(config.tls_key_pem));
    flags_.config_path = dir_.write("own.toml", "tls_key_pem = \"x\"\n").string();
    EXPECT_FALSE(load().config) << "not from a file of the owner's";
}

TEST_F(ConfigTest, PathsAreRelativeToWhereTheyWereSaid)
{
    dir_.write("etc/pool.toml", "pool_dir = \"../accounts/\"\ndb_path = \"/var/x/proxy.db\"\n");
    flags_.config_path = "etc/pool.toml";
    environment_ = {{"POOL_USERS_PATH", "users.json"}};
    Config config = *load().config;
    EXPECT_EQ(config.pool_dir, dir_.path() / "accounts");
    EXPECT_EQ(config.db_path, "/var/x/proxy.db");
    EXPECT_EQ(config.users_path, dir_.path() / "users.json");

    flags_.pool_dir = "mine";
    flags_.db_path = "./here.db";
    config = *load().config;
    EXPECT_EQ(config.pool_dir, dir_.path() / "mine");
    EXPECT_EQ(config.db_path, dir_.path() / "here.db");
}

TEST_F(ConfigTest, DefaultPathsLieBesideTheFile)
{
    dir_.write("etc/pool.toml", "");
    environment_ = {{"CONFIG_PATH", "etc/pool.toml"}};
    const Config config = *load().config;
    EXPECT_EQ(config.pool_dir, dir_.path() / "etc/pool");
    EXPECT_EQ(config.source, dir_.path() / "etc/pool.toml");
}

TEST_F(ConfigTest, TheFileItself)
{
    flags_.config_path = "none.toml";
    EXPECT_THAT(
        texts(load().problems), ElementsAre(AllOf(HasSubstr("--config"), HasSubstr("none.toml"))));
    flags_.config_path.reset();
    environment_ = {{"CONFIG_PATH", "none.toml"}};
    EXPECT_THAT(texts(load().problems), ElementsAre(HasSubstr("CONFIG_PATH")));
    environment_.clear();

    std::filesystem::create_directory(dir_.path() / "config.toml");
    EXPECT_THAT(texts(load().problems), ElementsAre(HasSubstr("is a directory")));
    std::filesystem::remove(dir_.path() / "config.toml");

    ASSERT_EQ(::mkfifo((dir_.path() / "config.toml").c_str(), 0600), 0);
    EXPECT_THAT(texts(load().problems), ElementsAre(HasSubstr("is a named pipe")));
    std::filesystem::remove(dir_.path() / "config.toml");

    std::filesystem::create_symlink("nowhere", dir_.path() / "config.toml");
    EXPECT_THAT(texts(load().problems), ElementsAre(HasSubstr("symbolic link")));
    std::filesystem::remove(dir_.path() / "config.toml");

    EXPECT_THAT(problems_of(std::string(2U << 20U, ' ')), ElementsAre(HasSubstr("larger than")));
    EXPECT_THAT(problems_of(""), IsEmpty());
    EXPECT_THAT(problems_of("# nothing\n"), IsEmpty());
}

TEST_F(ConfigTest, UnreadableFile)
{
    dir_.write("config.toml", "debug = true\n", 0000);
    ::chmod(dir_.path().c_str(), 0755);
    const tests::AsNobody nobody;
    EXPECT_THAT(texts(load().problems), ElementsAre(HasSubstr("permission denied")));
}

TEST_F(ConfigTest, AWebhooksAddressIsKeptAndNeverRepeated)
{
    const Config config = good("[notify]\nwebhook_url = \"https://h.example/bot1:a/x?chat_id=2\"\n"
                               "webhook_format = \"telegram\"\npool_low_percent = 0\n");
    EXPECT_EQ(config.webhook_url.reveal(), "https://h.example/bot1:a/x?chat_id=2");
    EXPECT_EQ(config.webhook_format, "telegram");
    EXPECT_EQ(config.pool_low_percent, 0U);
    const auto child = from_toml(ProviderRegistry(), to_toml(config));
    ASSERT_TRUE(child.has_value()) << child.error().text();
    EXPECT_TRUE(child->webhook_url.same_as(config.webhook_url));
    for (const std::string& problem :
         problems_of("[notify]\nwebhook_url = \"http://h.example/topsecret\"\n"))
        EXPECT_THAT(problem, Not(HasSubstr("topsecret")));
}

struct BadCase {
    const char* name;
    std::string file;
    std::vector<std::string> expected; ///< parts of the one problem's text
};

class BadConfig : public ConfigTest, public ::testing::WithParamInterface<BadCase> {};

TEST_P(BadConfig, IsNamedWithItsPlace)
{
    const auto found = problems_of(GetParam().file);
    ASSERT_THAT(found, SizeIs(1));
    for (const std::string& part : GetParam().expected)
        EXPECT_THAT(found.front(), HasSubstr(part));
    EXPECT_THAT(found.front(), HasSubstr("config.toml:"));
}

INSTANTIATE_TEST_SUITE_P(
    All,
    BadConfig,
    ::testing::Values(
        BadCase{
            "Unknown",
            "debug = true\n  lisen_addr = \"x\"\n",
            {":2:3", "lisen_addr", "listen_addr"}},
        BadCase{"Swapped", "dbeug = true\n", {":1:1", "did you mean debug?"}},
        BadCase{"Unlike", "zzzzzzzzzz = 1\n", {"unknown setting", "config.example.toml"}},
        BadCase{
            "WebhookWithoutTls",
            "[notify]\nwebhook_url = \"http://hooks.example/x\"\n",
            {":2:", "notify.webhook_url", "loopback"}},
        BadCase{
            "WebhookFormat",
            "[notify]\nwebhook_format = \"pigeon\"\n",
            {":2:", "\"pigeon\"", "telegram"}},
        BadCase{"LogFormat", "log_format = \"xml\"\n", {":1:", "\"xml\"", "text or json"}},
        BadCase{"PoolLow", "[notify]\npool_low_percent = 101\n", {":2:", "between 0 and 100"}},
        BadCase{"WrongTable", "admin_password = \"x\"\n", {"admin_password in [pool_users]"}},
        BadCase{
            "WrongTable2",
            "[pool_users]\nfriend_code = \"x\"\n",
            {":2:1", "did you mean friend_code?"}},
        BadCase{
            "VariableName", "PROXY_LISTEN_ADDR = \"x\"\n", {"in the file its name is listen_addr"}},
        BadCase{
            "UnknownUpstream",
            "[upstream]\nclaud = \"https://x\"\n",
            {":2:1", "claude in [upstream]"}},
        BadCase{"NoStrategy", "strategy = \"best\"\n", {"\"best\" is no strategy", "balanced,"}},
        BadCase{"StrategyKind", "[strategies]\ncodex = 1\n", {":2:9", "strategies.codex"}},
        BadCase{
            "StrategyOfNobody",
            "[strategies]\ncodx = \"balanced\"\n",
            {":2:1", "codex in [strategies]"}},
        BadCase{
            "UnknownTable",
            "[pool_user]\nadmin_password = \"x\"\n",
            {":1:2", "unknown setting \"pool_user\"", "[pool_users]"}},
        BadCase{"ChildsOwnKey", "shared_mode = true\n", {"unknown setting"}},
        BadCase{
            "NumberForText",
            "friend_name = 5\n",
            {":1:15", "friend_name", "a whole number", "text in quotes"}},
        BadCase{
            "TextForNumber", "workers = \"2\"\n", {":1:11", "a text", "whole number of processes"}},
        BadCase{"NumberForFlag", "debug = 1\n", {":1:9", "true or false"}},
        BadCase{"Fraction", "max_attempts = 1.5\n", {"a number with a fraction"}},
        BadCase{"ArrayForPath", "pool_dir = [\"pool\"]\n", {"an array", "a path in quotes"}},
        BadCase{"TableForFlag", "[debug]\nx = 1\n", {"a table"}},
        BadCase{"DateForText", "friend_name = 2026-01-01\n", {"a date or time"}},
        BadCase{"TextForTable", "pool_users = \"x\"\n", {"pool_users must be a table"}},
        BadCase{"NumberForUpstream", "[upstream]\nclaude = 1\n", {":2:10", "an address in quotes"}},
        BadCase{"Negative", "workers = -1\n", {"-1 is out of range", "between 0 and 16"}},
        BadCase{"TooLarge", "workers = 17\n", {"17 is out of range"}},
        BadCase{"TooSmall", "max_attempts = 0\n", {"0 is out of range"}},
        BadCase{"BeyondInt64", "max_attempts = 99999999999999999999\n", {"not valid TOML"}},
        BadCase{
            "HttpUpstream",
            "[upstream]\nclaude = \"http://example.com\"\n",
            {":2:10", "upstream.claude"}},
        BadCase{"JunkUpstream", "[upstream]\nclaude = \"\"\n", {"upstream.claude"}},
        BadCase{"NoPort", "listen_addr = \"127.0.0.1\"\n", {"listen_addr", "host:port"}},
        BadCase{"JunkPort", "listen_addr = \"127.0.0.1:http\"\n", {"port between 0 and 65535"}},
        BadCase{"LargePort", "listen_addr = \"127.0.0.1:65536\"\n", {"port between 0 and 65535"}},
        BadCase{"HostName", "listen_addr = \"example.com:80\"\n", {"no numeric address"}},
        BadCase{"BareV6", "listen_addr = \"::1:8989\"\n", {"no numeric address", "[::1]"}},
        BadCase{"EmptyPath", "pool_dir = \"\"\n", {"the path is empty"}},
        BadCase{"Tilde", "pool_dir = \"~/pool\"\n", {"begins with ~"}},
        BadCase{"Newline", "friend_name = \"a\\nb\"\n", {"control characters"}},
        BadCase{
            "LongText", "friend_name = \"" + std::string(4097, 'x') + "\"\n", {"longer than 4096"}},
        BadCase{"PublicUrl", "public_url = \"pool.example.com\"\n", {"public_url", "http"}},
        BadCase{"PublicUrlQuote", "public_url = \"https://x/'; rm -rf\"\n", {"public_url"}},
        BadCase{"PublicUrlQuery", "public_url = \"https://x/?a=b\"\n", {"public_url"}},
        BadCase{"ProxyUrl", "refresh_proxy_url = \"socks5://h:1\"\n", {"refresh_proxy_url"}},
        BadCase{"Twice", "debug = true\ndebug = false\n", {":2:", "not valid TOML"}},
        BadCase{"NoQuotes", "friend_name = Bob\n", {":1:", "not valid TOML", "quotes"}},
        BadCase{"NoEnd", "friend_name = \"Bob\n", {":1:", "not valid TOML"}},
        BadCase{"NoUtf8", "friend_name = \"\xff\xfe\"\n", {":1:", "not valid TOML"}},
        BadCase{"Binary", std::string("\x7f\x45\x4c\x46\0\0\1", 7), {"not valid TOML"}},
        BadCase{"Json", "{\"debug\": true}\n", {":1:1", "not valid TOML"}},
        BadCase{"Nested", "x = " + std::string(100000, '['), {"not valid TOML"}}),
    [](const auto& test) { return std::string(test.param.name); });

TEST_F(ConfigTest, AllProblemsAtOnceInTheOrderOfLines)
{
    environment_ = {{"PROXY_DEBUG", "yes"}, {"PROXY_WORKERS", "two"}};
    flags_.listen = "nowhere";
    EXPECT_THAT(
        problems_of("zoo = 1\nworkers = \"x\"\nalpha = 2\n[upstream]\nclaude = 3\n"),
        ElementsAre(
            HasSubstr(":1:1: unknown setting \"zoo\""),
            HasSubstr(":2:11: workers"),
            HasSubstr(":3:1: unknown setting \"alpha\""),
            HasSubstr(":5:10: upstream.claude"),
            HasSubstr("PROXY_DEBUG: \"yes\" is neither"),
            HasSubstr("PROXY_WORKERS: \"two\" is not a whole number"),
            HasSubstr("--listen: \"nowhere\"")));
}

TEST_F(ConfigTest, ListsABoundedNumberOfProblems)
{
    std::string file;
    for (int i = 0; i < 200; ++i)
        file += "unknown_" + std::to_string(i) + " = 1\n";
    const auto found = problems_of(file);
    ASSERT_THAT(found, SizeIs(51));
    EXPECT_THAT(found.back(), HasSubstr("150 more problems"));
}

TEST_F(ConfigTest, BooleansOfTheEnvironment)
{
    for (const auto& [text, value] :
         {std::pair{"1", true}, {"true", true}, {"0", false}, {"false", false}}) {
        environment_ = {{"PROXY_DEBUG", text}};
        EXPECT_EQ(load().config->debug, value) << text;
    }
    for (const char* text : {"yes", "TRUE", "2", " 1", "on", "-1"}) {
        environment_ = {{"PROXY_DISABLE_REFRESH", text}};
        EXPECT_THAT(texts(load().problems), ElementsAre(HasSubstr("PROXY_DISABLE_REFRESH")))
            << text;
    }
    environment_ = {{"PROXY_DEBUG", ""}, {"PROXY_WORKERS", ""}};
    EXPECT_TRUE(load().config);
}

TEST_F(ConfigTest, NumbersOfTheEnvironment)
{
    for (const char* text :
         {"-1", "+1", " 1", "1 ", "0x1", "1e3", "99999999999999999999", "1.0", "a"}) {
        environment_ = {{"PROXY_MAX_ATTEMPTS", text}};
        EXPECT_THAT(texts(load().problems), ElementsAre(HasSubstr("PROXY_MAX_ATTEMPTS"))) << text;
    }
}

TEST_F(ConfigTest, UpstreamsFromFileAndEnvironment)
{
    environment_ = {{"UPSTREAM_CLAUDE_BASE", "http://127.0.0.1:9/claude/"}};
    const Config config = good("[upstream]\ncodex = \"https://example.com:8443/a\"\n");
    EXPECT_FALSE(config.upstreams.at("claude").tls);
    EXPECT_EQ(config.upstreams.at("claude").port, 9);
    EXPECT_EQ(config.upstreams.at("claude").prefix, "/claude");
    EXPECT_EQ(config.upstreams.at("codex").authority(), "example.com:8443");
    EXPECT_EQ(config.upstreams.at("gemini").host, "cloudcode-pa.googleapis.com");
    const Provider& claude = *registry_.find("claude");
    EXPECT_EQ(config.upstream(registry_, {claude.id(), 0}).port, 9);

    environment_ = {{"UPSTREAM_CLAUDE_BASE", "http://192.0.2.1"}};
    EXPECT_THAT(texts(load().problems), ElementsAre(HasSubstr("UPSTREAM_CLAUDE_BASE")));
}

TEST_F(ConfigTest, AStrategyForAllAndAnotherForOneProvider)
{
    const Provider& claude = *registry_.find("claude");
    const Provider& codex = *registry_.find("codex");
    EXPECT_EQ(good("").strategy_for(codex), Strategy::balanced);
    const Config config =
        good("strategy = \"round_robin\"\n[strategies]\ncodex = \"fill_first\"\n");
    EXPECT_EQ(config.strategy_for(claude), Strategy::round_robin);
    EXPECT_EQ(config.strategy_for(codex), Strategy::fill_first);
    const auto again = from_toml(registry_, to_toml(config));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->strategy_for(claude), Strategy::round_robin);
    EXPECT_EQ(again->strategy_for(codex), Strategy::fill_first);
}

TEST_F(ConfigTest, IgnoredSettingsAreNamed)
{
    environment_ = {
        {"PROXY_LOG_BODIES", "1"},
        {"PROXY_CLAUDE_TRACE_DIR", "/tmp"},
        {"UPSTREAM_KIMI_BASE", "https://example.com"},
        {"UPSTREAM_REALTIME_BASE", "https://example.com"},
        {"TIER_THRESHOLD", "0.5"},
        {"PROXY_FLUSH_INTERVAL_MS", "200"},
        {"PROXY_MAX_ATEMPTS", "4"},
        {"PROXY_SOMETHING_ELSE", "4"},
        {"HOME", "/root"}};
    const Config config = good("tier_threshold = 0.4\n[model_aliases]\na = \"b\"\n");
    EXPECT_THAT(config.warnings, SizeIs(9));
    for (const char* name :
         {"config.toml:1:1: tier_threshold",
          "model_aliases",
          "PROXY_LOG_BODIES",
          "PROXY_CLAUDE_TRACE_DIR",
          "UPSTREAM_KIMI_BASE",
          "realtime",
          "TIER_THRESHOLD",
          "PROXY_FLUSH_INTERVAL_MS",
          "did you mean PROXY_MAX_ATTEMPTS?"})
        EXPECT_THAT(config.warnings, Contains(HasSubstr(name)));
}

TEST_F(ConfigTest, BeyondLoopbackNeedsProtection)
{
    for (const char* address :
         {"0.0.0.0:8989", ":8989", "[::]:8989", "192.0.2.7:1", "[::ffff:192.0.2.7]:1"}) {
        const auto found = problems_of("listen_addr = \"" + std::string(address) + "\"\n");
        ASSERT_THAT(found, SizeIs(1)) << address;
        EXPECT_THAT(
            found.front(),
            AllOf(
                HasSubstr("config.toml:1:15"),
                HasSubstr("FRIEND_CODE"),
                HasSubstr("POOL_ADMIN_PASSWORD")));
    }
    const std::string open = "listen_addr = \":8989\"\n";
    EXPECT_TRUE(good(open + "friend_code = \"x\"\n").shared_mode);
    EXPECT_TRUE(good(open + "[pool_users]\nadmin_password = \"x\"\n").shared_mode);
    // An owner's token protects the owner's pages, not the pool.
    EXPECT_THAT(problems_of(open + "admin_token = \"x\"\n"), SizeIs(1));
    dir_.write("data/pool_users.json", R"({"users":[{"id":"a"}]})");
    EXPECT_TRUE(good(open).shared_mode);
    EXPECT_EQ(good(open).listen.host, "0.0.0.0");
}

TEST_F(ConfigTest, LoopbackStaysLocal)
{
    for (const char* address :
         {"127.0.0.1:1", "127.9.9.9:0", "[::1]:1", "localhost:1", "[::ffff:127.0.0.1]:1"})
        EXPECT_FALSE(good("listen_addr = \"" + std::string(address) + "\"\n").shared_mode)
            << address;
    EXPECT_TRUE(good("friend_code = \"x\"\n").shared_mode);
}

TEST_F(ConfigTest, UsersFile)
{
    for (const char* text : {"[]", R"({"users":[]})"}) {
        dir_.write("data/pool_users.json", text);
        EXPECT_FALSE(good("").shared_mode) << text;
    }
    for (const char* text : {R"([{"id":"a"}])", R"({"users":[{"id":"a"}]})"}) {
        dir_.write("data/pool_users.json", text);
        EXPECT_TRUE(good("").shared_mode) << text;
    }
    // Whoever is in there, nobody can tell: the pool is shared and lets none of them in.
    for (const char* text : {"", "junk", "3", "{}", R"({"users":3})", R"({"users":{"a":{}}})"}) {
        dir_.write("data/pool_users.json", text);
        const Config config = good("");
        EXPECT_TRUE(config.shared_mode) << text;
        EXPECT_THAT(
            config.warnings,
            ElementsAre(AllOf(HasSubstr("pool_users.json"), HasSubstr("lets none"))));
    }
}

TEST_F(ConfigTest, UserLimits)
{
    const Config config =
        good("[user_limits]\ntokens_per_day = 5\nmodels = \"a*\"\nproviders = \"claude, codex\"\n");
    EXPECT_EQ(config.user_tokens_per_day, 5U);
    EXPECT_EQ(config.user_providers, "claude, codex");
    EXPECT_THAT(
        problems_of("[user_limits]\nproviders = \"claude,cloud\"\n"),
        ElementsAre(AllOf(HasSubstr("\"cloud\""), HasSubstr("gemini"))));
    EXPECT_THAT(
        problems_of("[user_limits]\nmodels = \"" + std::string(241, 'm') + "\"\n"),
        ElementsAre(HasSubstr("240")));
    EXPECT_THAT(problems_of("[user_limits]\nshare_percent = 101\n"), SizeIs(1));
}

TEST_F(ConfigTest, UsersFileIsBounded)
{
    const auto file = dir_.write("data/pool_users.json", "[]");
    ASSERT_EQ(::truncate(file.c_str(), (64 << 20) + 1), 0);
    const Config config = good("");
    EXPECT_TRUE(config.shared_mode);
    EXPECT_THAT(config.warnings, ElementsAre(HasSubstr("larger than")));
}

TEST_F(ConfigTest, BoltDatabaseIsNamedAndLeftAlone)
{
    std::string page(4096, '\0');
    page[8] = 4; // flags: meta page
    page.replace(16, 4, "\xED\xDA\x0C\xED");
    const auto file = dir_.write("data/proxy.db", page);
    EXPECT_THAT(
        problems_of(""),
        ElementsAre(AllOf(HasSubstr("BoltDB"), HasSubstr("proxy.db"), HasSubstr("db_path"))));
    EXPECT_EQ(std::filesystem::file_size(file), 4096U);

    dir_.write("data/proxy.db", std::string("SQLite format 3\0", 16) + std::string(100, 'x'));
    EXPECT_THAT(problems_of(""), IsEmpty());
    dir_.write("data/proxy.db", "");
    EXPECT_THAT(problems_of(""), IsEmpty());
    EXPECT_THAT(problems_of("db_path = \"data\"\n"), ElementsAre(HasSubstr("no file")));
    EXPECT_THAT(
        problems_of("db_path = \"config.toml/x.db\"\n"),
        ElementsAre(HasSubstr("cannot be reached")));
}

TEST_F(ConfigTest, WarnsOfAFileOthersCanRead)
{
    dir_.write("config.toml", "admin_token = \"s3cret\"\n", 0644);
    const Config config = *load().config;
    ASSERT_THAT(config.warnings, SizeIs(1));
    EXPECT_THAT(config.warnings.front(), AllOf(HasSubstr("0644"), HasSubstr("chmod 600 ")));
    dir_.write("config.toml", "debug = true\n", 0644);
    EXPECT_THAT(load().config->warnings, IsEmpty());
}

TEST_F(ConfigTest, WarnsOfSettingsThatContradict)
{
    EXPECT_THAT(good("max_body_bytes = 2048\n").warnings, IsEmpty());
    EXPECT_THAT(
        good("max_replay_bytes = 1000000000\n").warnings,
        ElementsAre(HasSubstr("max_replay_bytes")));
    EXPECT_THAT(
        good("first_byte_timeout_seconds = 301\n").warnings,
        ElementsAre(HasSubstr("all_attempts_timeout_seconds")));
    EXPECT_THAT(
        good("[pool_users]\njwt_secret = \"short\"\n").warnings, ElementsAre(HasSubstr("32")));
}

TEST_F(ConfigTest, SecretsNeverAppearInProblems)
{
    const std::string secret = "hunter2hunter2";
    const std::vector<std::string> files{
        "friend_code = \"" + secret + "\\u0007\"\n",
        "friend_code = " + secret + "\n",
        "friend_code = \"" + secret + "\n",
        "friend_code = \"ab\"" + secret + "\n",
        "friend_code = \"ab\\hunter\"\n",
        "friend_code = '" + secret + "' '" + secret + "'\n",
        "friend_code = [\"" + secret + "\"]\n",
        "friend_code = \"" + secret + "\"\nfriend_code = \"" + secret + "\"\n",
        "refresh_proxy_url = \"ftp://me:" + secret + "@proxy:1\"\n"};
    for (const std::string& file : files) {
        const auto found = problems_of(file);
        EXPECT_THAT(found, Not(IsEmpty())) << file;
        for (const std::string& text : found)
            EXPECT_THAT(
                text, AllOf(Not(HasSubstr("hunter")), Not(HasSubstr("'h")), Not(HasSubstr("\\h"))))
                << file;
    }
}

TEST_F(ConfigTest, ChildrenReadTheSame)
{
    environment_ = {
        {"FRIEND_TAGLINE", "quote \" backslash \\ and \xC3\xA4"}, {"ADMIN_TOKEN", "\"\\"}};
    const Config config = good(
        "listen_addr = \"[::1]:5\"\nfriend_code = \"f\"\nworkers = 3\npublic_url = "
        "\"https://p.example/x//\"\n"
        "websocket_read_limit_bytes = 68719476736\n[upstream]\nclaude = \"http://[::1]:7/p\"\n");
    EXPECT_EQ(config.public_url, "https://p.example/x");
    const std::string text = to_toml(config);
    const auto copy = from_toml(registry_, text);
    ASSERT_TRUE(copy.has_value()) << copy.error().text();
    EXPECT_EQ(to_toml(*copy), text);
    EXPECT_TRUE(copy->shared_mode);
    EXPECT_EQ(copy->upstreams, config.upstreams);
    EXPECT_EQ(copy->friend_tagline, config.friend_tagline);
    EXPECT_TRUE(copy->admin_token.matches("\"\\"));

    EXPECT_FALSE(from_toml(registry_, "").has_value());
    EXPECT_FALSE(from_toml(registry_, "junk").has_value());
}

TEST(NearestName, FindsWhatWasMeant)
{
    constexpr std::array<std::string_view, 4> kNames{
        "listen_addr", "debug", "pool_users.admin_password", "PROXY_WORKERS"};
    for (const auto& [name, nearest] : std::vector<std::pair<std::string, std::string>>{
             {"listen_adr", "listen_addr"},
             {"Listen_Addr", "listen_addr"},
             {"listenaddr", "listen_addr"},
             {"dbeug", "debug"},
             {"proxy_worker", "PROXY_WORKERS"},
             {"admin_password", "pool_users.admin_password"},
             {"users.admin_pasword", "pool_users.admin_password"},
             {"", ""},
             {"x", ""},
             {"bug", "debug"},
             {"something", ""},
             {std::string(100000, 'a'), ""}})
        EXPECT_EQ(nearest_name(name, kNames), nearest) << name.substr(0, 40);
}

} // namespace
} // namespace shared
