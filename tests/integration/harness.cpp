#include "tests/integration/harness.hpp"

#include <nlohmann/json.hpp>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tests {

using Json = nlohmann::json;

// ---- Process ----------------------------------------------------------------------------------------------

namespace {

/// In the forked child: puts the descriptors where systemd puts them, and its number into the last variable.
void pass(const std::vector<PassedFd>& passed, std::vector<std::string>& variables)
{
    if (passed.empty()) return;
    constexpr int kFirst = 3;
    constexpr int kAway = 500;
    int next = kAway;
    for (const PassedFd& each : passed)
        (void)::dup2(each.fd, next++);
    for (std::size_t i = 0; i < passed.size(); ++i)
        (void)::dup2(kAway + static_cast<int>(i), kFirst + static_cast<int>(i));
    for (int fd = kAway; fd < next; ++fd)
        (void)::close(fd);
    std::string& text = variables.back();
    std::size_t at = text.size();
    for (pid_t pid = ::getpid(); pid > 0; pid /= 10)
        text[--at] = static_cast<char>('0' + pid % 10);
}

} // namespace

Process::Process(
    const std::vector<std::string>& arguments,
    const std::map<std::string, std::string>& environment,
    const std::filesystem::path& working_directory,
    const std::filesystem::path& binary,
    const std::vector<PassedFd>& passed)
{
    std::vector<std::string> texts = {binary.string()};
    texts.insert(texts.end(), arguments.begin(), arguments.end());
    std::vector<std::string> variables;
    for (const auto& [name, value] : environment)
        variables.push_back(name + "=" + value);
    std::string names;
    for (const PassedFd& each : passed)
        names += (names.empty() ? "" : ":") + each.name;
    if (!passed.empty()) {
        variables.push_back("LISTEN_FDNAMES=" + names);
        variables.push_back("LISTEN_FDS=" + std::to_string(passed.size()));
        variables.emplace_back("LISTEN_PID=0000000000"); // filled in by the child
    }
    std::vector<char*> argv;
    std::vector<char*> envp;
    for (std::string& each : texts)
        argv.push_back(each.data());
    for (std::string& each : variables)
        envp.push_back(each.data());
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
        (void)::dup2(ends[1], STDOUT_FILENO);
        (void)::dup2(ends[1], STDERR_FILENO);
        pass(passed, variables);
        if (::chdir(working_directory.c_str()) == 0) ::execve(argv[0], argv.data(), envp.data());
        ::_exit(127);
    }
    ::close(ends[1]);
    reader_ = std::thread([this, fd = ends[0]] { read_loop(fd); });
}

Process::~Process()
{
    if (!code_) {
        signal(SIGKILL);
        (void)wait_exit();
    }
    reader_.join();
}

void Process::read_loop(int fd)
{
    std::string held;
    std::array<char, 8192> buffer{};
    for (;;) {
        const ssize_t n = ::read(fd, buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        held.append(buffer.data(), static_cast<std::size_t>(n));
        const std::lock_guard lock(mutex_);
        for (std::size_t end = held.find('\n'); end != std::string::npos; end = held.find('\n')) {
            lines_.push_back(held.substr(0, end));
            held.erase(0, end + 1);
        }
        changed_.notify_all();
    }
    ::close(fd);
    const std::lock_guard lock(mutex_);
    if (!held.empty()) lines_.push_back(held);
    log_ended_ = true;
    changed_.notify_all();
}

void Process::signal(int number) const
{
    if (pid_ > 0 && !code_) (void)::kill(pid_, number);
}

std::optional<int> Process::wait_exit(std::chrono::milliseconds patience)
{
    bool ended_by_itself = false;
    (void)eventually(
        [&] {
            int status = 0;
            if (!code_ && ::waitpid(pid_, &status, WNOHANG) == pid_) {
                ended_by_itself = WIFEXITED(status);
                code_ = ended_by_itself ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            }
            return code_.has_value();
        },
        patience);
    // Its last words may still be on their way to the reader. A killed one's children may hold the pipe for long.
    if (ended_by_itself) {
        std::unique_lock lock(mutex_);
        (void)changed_.wait_for(lock, patience, [&] { return log_ended_; });
    }
    return code_;
}

std::optional<std::string>
Process::wait_line(std::string_view text, std::size_t from, std::chrono::milliseconds patience)
{
    std::optional<std::string> found;
    std::size_t next = from;
    std::unique_lock lock(mutex_);
    (void)changed_.wait_for(lock, patience, [&] {
        for (; next < lines_.size(); ++next) {
            if (lines_[next].find(text) == std::string::npos) continue;
            found = lines_[next];
            return true;
        }
        return log_ended_;
    });
    return found;
}

std::string Process::log() const
{
    const std::lock_guard lock(mutex_);
    std::string out;
    for (const std::string& line : lines_)
        out += line + "\n";
    return out;
}

std::size_t Process::line_count() const
{
    const std::lock_guard lock(mutex_);
    return lines_.size();
}

std::vector<pid_t> Process::children(std::string_view role) const
{
    std::vector<pid_t> out;
    std::ifstream list(
        "/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) + "/children");
    pid_t child = 0;
    while (list >> child) {
        std::ifstream file("/proc/" + std::to_string(child) + "/cmdline");
        const std::string line(
            (std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        if (line.find(role) != std::string::npos) out.push_back(child);
    }
    return out;
}

// ---- PoolTest -----------------------------------------------------------------------------------------------

PoolTest::PoolTest()
    : upstream_(std::make_unique<fake::Server>()),
      environment_{{"PATH", "/usr/bin:/bin"}, {"HOME", folder_.path().string()}}
{
    std::filesystem::create_directory(pool_folder());
    std::filesystem::permissions(pool_folder(), std::filesystem::perms::owner_all);
    for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS"}) {
        if (const char* value = std::getenv(name)) environment_[name] = value;
    }
    upstream_->forbid(std::string(kClientSecret));
}

PoolTest::~PoolTest() = default;

void PoolTest::TearDown()
{
    upstream_->release();
    if (pool_) {
        pool_->signal(SIGTERM);
        const std::optional<int> code = pool_->wait_exit(std::chrono::seconds(40));
        EXPECT_TRUE(code.has_value()) << "the pool does not stop";
        if (expected_exit_ && code) {
            EXPECT_EQ(*code, *expected_exit_);
        }
        EXPECT_EQ(pool_->log().find("ERROR: AddressSanitizer"), std::string::npos);
        EXPECT_EQ(pool_->log().find("runtime error:"), std::string::npos);
    }
    if (!violations_allowed_) {
        for (const std::string& each : upstream_->ledger().violations())
            ADD_FAILURE() << "an upstream saw: " << each;
    }
    if (HasFailure() && pool_) {
        const std::string log = pool_->log();
        std::cerr << "---- log of the pool (its end) ----\n"
                  << log.substr(log.size() > 12000 ? log.size() - 12000 : 0) << "----\n";
    }
    pool_.reset();
}

void PoolTest::use_upstream(const fake::ServerOptions& options)
{
    upstream_.reset();
    upstream_ = std::make_unique<fake::Server>(options);
    upstream_->forbid(std::string(kClientSecret));
}

fake::Account PoolTest::add(fake::Vendor vendor, fake::Kind kind, const std::string& name)
{
    fake::Account account = fake::make_account(vendor, kind, name);
    upstream_->add_account(account);
    fake::write_credential(account, pool_folder());
    ++accounts_;
    if (!account.project.empty()) needs_project_.push_back(name);
    return account;
}

void PoolTest::add_one_of_each()
{
    add(fake::Vendor::codex, fake::Kind::oauth, "codex_1");
    add(fake::Vendor::codex, fake::Kind::api_key, "codex_key");
    add(fake::Vendor::claude, fake::Kind::oauth, "claude_1");
    add(fake::Vendor::claude, fake::Kind::api_key, "claude_key");
    add(fake::Vendor::gemini, fake::Kind::oauth, "gemini_1");
    add(fake::Vendor::gemini, fake::Kind::api_key, "gemini_key");
}

void PoolTest::write_config() const
{
    std::ofstream file(folder() / "config.toml");
    if (settings_.find("listen_addr") == std::string::npos)
        file << "listen_addr = \"127.0.0.1:0\"\n";
    if (settings_.find("workers") == std::string::npos) file << "workers = 2\n";
    file << settings_ << "\n" << upstream_->upstream_toml();
}

Process& PoolTest::launch(const std::vector<std::string>& arguments)
{
    write_config();
    if (pool_) before_.push_back(std::move(pool_));
    pool_ = std::make_unique<Process>(arguments, environment_, folder(), binary_, passed_);
    return *pool_;
}

void PoolTest::start()
{
    Process& process = launch();
    const std::optional<std::string> line = process.wait_line("listening on http://");
    ASSERT_TRUE(line) << process.log();
    port_ =
        static_cast<std::uint16_t>(std::strtoul(line->c_str() + line->rfind(':') + 1, nullptr, 10));
    ASSERT_NE(port_, 0) << *line;
    ASSERT_TRUE(eventually([&] {
        const fake::Response response = get("/healthz");
        const Json health = Json::parse(response.body, nullptr, false);
        return response.status == 200 && health.is_object() &&
               health.value("accounts", 0U) == accounts_;
    })) << get("/healthz").body;
    // The last worker may come later than the first answers; until then a reload is put off.
    ASSERT_TRUE(process.wait_line("ready: ")) << process.log();
    for (const std::string& name : needs_project_) {
        const std::string id = "gemini:" + name.substr(std::string_view("gemini_").size());
        EXPECT_TRUE(process.wait_line("project_found account=" + id)) << "no project for " << name;
    }
}

fake::Response PoolTest::get(const std::string& target, const fake::Headers& headers) const
{
    fake::Client one = client();
    if (!one.connected()) return {};
    return one.request("GET", target, headers);
}

Json PoolTest::get_json(const std::string& target) const
{
    return Json::parse(get(target).body, nullptr, false);
}

std::vector<pid_t> PoolTest::processes(std::string_view role) const
{
    std::vector<pid_t> out;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        // They are known by the folder they work in.
        if (std::filesystem::read_symlink(entry.path() / "cwd", error) != folder()) continue;
        std::ifstream file(entry.path() / "cmdline");
        const std::string line(
            (std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        if (line.find(role) != std::string::npos)
            out.push_back(static_cast<pid_t>(std::strtol(name.c_str(), nullptr, 10)));
    }
    return out;
}

std::optional<int> PoolTest::stop()
{
    pool_->signal(SIGTERM);
    return pool_->wait_exit(std::chrono::seconds(40));
}

std::string short_name(const std::string& id)
{
    const std::size_t at = id.find(':');
    if (at == std::string::npos) return id;
    const std::string provider = id.substr(0, at);
    return provider == "codex" ? id.substr(at + 1) : provider + "_" + id.substr(at + 1);
}

namespace {

std::string describe(const Totals& totals)
{
    std::ostringstream out;
    for (const auto& [key, tokens] : totals)
        out << "  " << key.first << " " << key.second << ": in " << tokens.input << " cached "
            << tokens.cached << " created " << tokens.cache_creation << " out " << tokens.output
            << " reasoning " << tokens.reasoning << "\n";
    return out.str();
}

void drop_zeros(Totals& totals)
{
    std::erase_if(totals, [](const auto& each) { return each.second == fake::Tokens{}; });
}

class Database {
public:
    explicit Database(const std::filesystem::path& file)
    {
        (void)::sqlite3_open_v2(file.c_str(), &handle_, SQLITE_OPEN_READONLY, nullptr);
        (void)::sqlite3_busy_timeout(handle_, 5000);
    }

    ~Database() { (void)::sqlite3_close(handle_); }

    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    void rows(const std::string& query, const std::function<void(sqlite3_stmt*)>& each) const
    {
        sqlite3_stmt* statement = nullptr;
        if (::sqlite3_prepare_v2(handle_, query.c_str(), -1, &statement, nullptr) != SQLITE_OK)
            return;
        while (::sqlite3_step(statement) == SQLITE_ROW)
            each(statement);
        (void)::sqlite3_finalize(statement);
    }

private:
    sqlite3* handle_ = nullptr;
};

std::string text_column(sqlite3_stmt* row, int column)
{
    const auto* text = reinterpret_cast<const char*>(::sqlite3_column_text(row, column));
    return text == nullptr ? "" : text;
}

} // namespace

Totals PoolTest::admin_totals() const
{
    Totals out;
    const Json accounts = get_json("/admin/accounts");
    for (const Json& account : accounts) {
        if (!account.is_object() || !account.contains("models")) continue;
        for (const Json& model : account["models"]) {
            fake::Tokens tokens;
            tokens.input = model.value("total_input_tokens", 0ULL);
            tokens.cached = model.value("total_cached_tokens", 0ULL);
            tokens.cache_creation = model.value("total_cache_creation_tokens", 0ULL);
            tokens.output = model.value("total_output_tokens", 0ULL);
            tokens.reasoning = model.value("total_reasoning_tokens", 0ULL);
            out[{short_name(account.value("id", "")), model.value("model", "")}] += tokens;
        }
    }
    drop_zeros(out);
    return out;
}

Totals PoolTest::database_totals(const std::string& table) const
{
    Totals out;
    const Database database(folder() / "data" / "proxy.db");
    database.rows(
        "SELECT account, model, SUM(input_tokens), SUM(cached_input_tokens), "
        "SUM(cache_creation_tokens), "
        "SUM(output_tokens), SUM(reasoning_tokens) FROM " +
            table + " GROUP BY account, model",
        [&](sqlite3_stmt* row) {
            const auto number = [&](int column) {
                return static_cast<std::uint64_t>(::sqlite3_column_int64(row, column));
            };
            out[{short_name(text_column(row, 0)), text_column(row, 1)}] +=
                fake::Tokens{number(2), number(3), number(4), number(5), number(6)};
        });
    drop_zeros(out);
    return out;
}

std::int64_t PoolTest::database_number(const std::string& query) const
{
    std::int64_t out = -1;
    const Database database(folder() / "data" / "proxy.db");
    database.rows(query, [&](sqlite3_stmt* row) { out = ::sqlite3_column_int64(row, 0); });
    return out;
}

void PoolTest::expect_usage_settles()
{
    Totals said;
    const bool settled = eventually([&] {
        said = upstream_->ledger().totals();
        drop_zeros(said);
        return database_totals() == said && database_totals("requests") == said &&
               admin_totals() == said;
    });
    EXPECT_TRUE(settled) << "the upstreams say\n"
                         << describe(said) << "usage_hourly says\n"
                         << describe(database_totals()) << "requests say\n"
                         << describe(database_totals("requests")) << "/admin/accounts says\n"
                         << describe(admin_totals());
}

void PoolTest::expect_idle()
{
    Json health;
    EXPECT_TRUE(eventually([&] {
        health = get_json("/healthz");
        for (const char* name : {"inflight", "in_flight"}) {
            if (health.is_object() && health.contains(name)) return health[name] == 0;
        }
        return false;
    })) << "in flight does not return to 0: "
        << health.dump();
}

std::string PoolTest::account_of(const std::string& conversation)
{
    const auto all = upstream_->ledger().conversations();
    const auto found = all.find(conversation);
    return found == all.end() ? "" : found->second;
}

} // namespace tests
