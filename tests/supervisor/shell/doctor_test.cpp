#include "tests/supervisor/shell/snapshots.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/shell/doctor.hpp"
#include "supervisor/shell/doctor_checks.hpp"
#include "supervisor/shell/redact.hpp"

namespace supervisor::shell {
namespace {

using testing::HasSubstr;
using testing::Not;

class DoctorTest : public testing::Test {
protected:
    DoctorTest()
    {
        dir_.write("pool/personal.json", R"({"OPENAI_API_KEY": "sk-test"})");
        for (const char* folder : {"pool", "data"}) {
            std::filesystem::create_directories(dir_.path() / folder);
            ::chmod((dir_.path() / folder).c_str(), 0700);
        }
        ::chmod((dir_.path() / "pool/personal.json").c_str(), 0600);
        config_.pool_dir = dir_.path() / "pool";
        config_.db_path = dir_.path() / "data/proxy.db";
        config_.users_path = dir_.path() / "data/pool_users.json";
    }

    static Grade worst(const Findings& findings)
    {
        Grade grade = Grade::good;
        for (const Finding& finding : findings)
            grade = std::max(grade, finding.grade);
        return grade;
    }

    tests::TempDir dir_;
    shared::Config config_;
    shared::ProviderRegistry registry_;
};

TEST_F(DoctorTest, PermissionsNameThePathAndTheCommand)
{
    EXPECT_EQ(worst(check_permissions(config_)), Grade::good);
    ::chmod((dir_.path() / "pool/personal.json").c_str(), 0644);
    ::chmod((dir_.path() / "data").c_str(), 0755);
    const Findings findings = check_permissions(config_);
    ASSERT_EQ(findings.size(), 2U);
    EXPECT_THAT(findings[0].what, HasSubstr("the data folder"));
    EXPECT_THAT(findings[0].remedy, HasSubstr("chmod 700"));
    EXPECT_THAT(findings[1].what, HasSubstr("mode 0644"));
    EXPECT_THAT(findings[1].remedy, HasSubstr("chmod 600"));
    EXPECT_THAT(findings[1].remedy, HasSubstr("personal.json"));
}

TEST_F(DoctorTest, MeasuresTheDiskAndLeavesNothingBehind)
{
    EXPECT_THAT(check_disk(config_)[0].what, HasSubstr("MiB free"));
    EXPECT_THAT(check_fsync(config_)[0].what, HasSubstr("fsync takes"));
    EXPECT_TRUE(std::filesystem::is_empty(dir_.path() / "data"));
    config_.db_path = "/proc/self/nowhere/proxy.db";
    EXPECT_EQ(worst(check_fsync(config_)), Grade::bad);
}

TEST_F(DoctorTest, TellsAFreePortFromATakenOne)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(fd, 1), 0);
    ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    config_.listen.port = ntohs(address.sin_port);
    EXPECT_EQ(worst(check_port(config_, true)), Grade::good);
    const Findings taken = check_port(config_, false);
    EXPECT_EQ(worst(taken), Grade::bad);
    EXPECT_THAT(taken[0].remedy, HasSubstr("ss -ltnp"));
    ::close(fd);
    EXPECT_EQ(worst(check_port(config_, false)), Grade::good);
    EXPECT_EQ(worst(check_port(config_, true)), Grade::bad) << "it should answer";
    config_.listen.host = "no such host";
    EXPECT_EQ(worst(check_port(config_, false)), Grade::bad);
}

TEST_F(DoctorTest, AClockThatIsWrongIsBad)
{
    EXPECT_EQ(worst(check_clock(-86'400)), Grade::bad);
    EXPECT_THAT(check_clock(-86'400)[0].what, HasSubstr("86400 s behind"));
    EXPECT_NE(worst(check_clock(2)), Grade::bad);
}

TEST_F(DoctorTest, AnUpstreamThatDoesNotAnswerIsNamedWithARemedy)
{
    const Reach nowhere{"upstream codex", *shared::http::parse_base_url("http://127.0.0.1:1"), {}};
    const NetworkReport report = check_network({nowhere}, {});
    ASSERT_EQ(report.findings.size(), 1U);
    EXPECT_EQ(report.findings[0].grade, Grade::bad);
    EXPECT_THAT(report.findings[0].what, HasSubstr("upstream codex: http://127.0.0.1:1: "));
    EXPECT_THAT(report.findings[0].remedy, HasSubstr("HTTPS_PROXY"));
    EXPECT_FALSE(report.clock_ahead);
}

TEST_F(DoctorTest, AsksOnlyWhereTheAccountsGoAndThroughTheirProxies)
{
    for (const auto& provider : registry_.all())
        for (const auto& spec : provider->upstreams())
            config_.upstreams.emplace(spec.key, *shared::http::parse_base_url(spec.default_url));
    const std::size_t all = reaches(registry_, config_, {}).size();
    auto load = shared::load_pool(registry_, config_.pool_dir);
    ASSERT_EQ(load.accounts.size(), 1U);
    const std::size_t some = reaches(registry_, config_, load.accounts).size();
    EXPECT_LT(some, all);
    load.accounts[0].credential.options.proxy_url = "socks5://user:secret@proxy.example:1080";
    const auto with_proxy = reaches(registry_, config_, load.accounts);
    EXPECT_EQ(with_proxy.size(), 2 * some);
    EXPECT_TRUE(std::any_of(with_proxy.begin(), with_proxy.end(), [](const Reach& to) {
        return to.proxy && to.proxy->address.host == "proxy.example";
    }));
}

TEST_F(DoctorTest, JudgesTheUnitBySystemdsOwnWords)
{
    EXPECT_EQ(worst(judge_unit("LoadState=not-found\n")), Grade::note);
    const std::string good =
        "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nNRestarts=0\n"
        "NoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\nPrivateDevices=yes\n"
        "MemoryDenyWriteExecute=yes\nCapabilityBoundingSet=\nLimitCORE=0\nLimitNOFILE=524288\n";
    EXPECT_EQ(worst(judge_unit(good)), Grade::good);
    const std::string bad =
        "LoadState=loaded\nActiveState=failed\nNRestarts=7\nProtectSystem=no\nLimitNOFILE=1024\n";
    const Findings findings = judge_unit(bad);
    EXPECT_EQ(worst(findings), Grade::bad);
    EXPECT_THAT(doctor_text(findings, {}), HasSubstr("ProtectSystem=no"));
    EXPECT_THAT(doctor_text(findings, {}), HasSubstr("restarted 7 times"));
    EXPECT_THAT(doctor_text(findings, {}), HasSubstr("only 1024 files"));
}

TEST_F(DoctorTest, EachAccountHasItsNextStep)
{
    dir_.write("pool/broken.json", "{");
    const auto files = shared::load_pool(registry_, config_.pool_dir);
    const std::string text =
        doctor_text(check_running_accounts(tests::snapshot_of_two(), registry_, files), {});
    EXPECT_THAT(
        text, HasSubstr("failed  accounts       codex:b is needs login: the vendor no longer"));
    EXPECT_THAT(text, HasSubstr("do: sign in again\n"));
    EXPECT_THAT(text, HasSubstr("broken.json"));
    EXPECT_THAT(text, HasSubstr("ok      accounts       codex:a is ready\n"));
    EXPECT_THAT(text, HasSubstr("2 failed, 0 warnings\n"));
    EXPECT_EQ(worst(check_account_files(files, registry_, tests::kAt)), Grade::bad);
}

TEST_F(DoctorTest, TheWholeReportExitsWith1IfAnythingIsBad)
{
    DoctorInputs inputs;
    inputs.working_directory = dir_.path();
    inputs.environment = {{"NO_PROXY", "*"}};
    std::string config = "listen_addr = \"127.0.0.1:0\"\n[upstream]\n";
    for (const auto& provider : registry_.all())
        for (const auto& spec : provider->upstreams())
            config += std::string(spec.key) + " = \"http://127.0.0.1:1/x\"\n";
    dir_.write("config.toml", config);
    inputs.json = true;
    std::ostringstream out;
    std::ostringstream err;
    EXPECT_EQ(run_doctor(registry_, inputs, out, err), 1) << out.str();
    const auto report = nlohmann::json::parse(out.str());
    EXPECT_EQ(report["ok"], false);
    std::string bad;
    for (const auto& finding : report["findings"])
        if (finding["result"] == "failed") bad += finding["area"].get<std::string>() + ' ';
    EXPECT_THAT(bad, HasSubstr("network "));
    EXPECT_THAT(bad, Not(HasSubstr("permissions")));
    EXPECT_EQ(err.str(), "");

    dir_.write("config.toml", "nonsense = 1\n");
    std::ostringstream refused;
    inputs.json = false;
    EXPECT_EQ(run_doctor(registry_, inputs, refused, err), 1);
    EXPECT_THAT(refused.str(), HasSubstr("failed  configuration"));
}

TEST(Redactor, LeavesNothingThatSaysWhoseItIs)
{
    Redactor redactor;
    redactor.hide("codex:ann", "codex:account-1");
    redactor.hide("ann", "account-1");
    redactor.hide("/srv/anns pool", "(pool folder)");
    redactor.hide("x", "never");
    const std::string text = redactor.redacted(
        "codex:ann in /srv/anns pool/ann.json of ann@example.com, /home/alice/x, annual, x; "
        "10.1.2.3:80 127.0.0.1:8989 0.0.0.0 [fd00::1:2]:443 fe80:0:0:0::1 at 12:30:05, version "
        "1.2.3");
    EXPECT_EQ(
        text,
        "codex:account-1 in (pool folder)/account-1.json of (e-mail), /home/(user)/x, annual, x; "
        "(address):80 127.0.0.1:8989 0.0.0.0 (address):443 (address) at 12:30:05, version 1.2.3");
}

} // namespace
} // namespace supervisor::shell
