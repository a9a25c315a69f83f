#include "supervisor/data_folder.hpp"
#include "supervisor/usage_db.hpp"
#include "tests/support/temp_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sqlite3.h>

#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/shell/backup.hpp"
#include "supervisor/shell/backup_file.hpp"
#include "supervisor/shell/database_copy.hpp"
#include "supervisor/shell/restore_swap.hpp"

namespace supervisor::shell {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

std::string content(const fs::path& file)
{
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// A row of which only the id matters.
std::string insert_request(const std::string& id)
{
    std::string numbers;
    for (int i = 0; i < 11; ++i)
        numbers += ",0";
    return "INSERT INTO requests(request_id, started_at, finished_at, user, provider, account, "
           "model, "
           "path, status, attempts, outcome, websocket, input_tokens, cached_input_tokens, "
           "cache_creation_tokens, output_tokens, reasoning_tokens, duration_ms, first_byte_ms, "
           "own_us, request_bytes, response_bytes, upstream_request_id) VALUES('" +
           id + "',0,0,'','','','','',200,1,''" + numbers + ",'')";
}

struct Ran {
    int code = -1;
    std::string out;
    std::string err;
};

/// A data folder with one of everything.
class BackupTest : public testing::Test {
protected:
    BackupTest()
    {
        for (const char* folder : {"home", "home/pool", "home/pool/claude", "home/data", "out"}) {
            fs::create_directories(dir_.path() / folder);
            ::chmod((dir_.path() / folder).c_str(), 0700);
        }
        dir_.write("home/config.toml", "debug = true\n");
        dir_.write("home/pool/personal.json", R"({"OPENAI_API_KEY": "sk-test"})");
        dir_.write("home/pool/claude/work.json", R"({"api_key": "sk-other"})");
        dir_.write("home/pool/notes.txt", "not a credential");
        dir_.write("home/data/pool_users.json", "[users]");
        dir_.write("home/data/jwt_secret", std::string(64, 'k'));
        dir_.write("home/data/account_settings.json", "{settings}");
        dir_.write("home/data/pins.bin", "pins");
        auto database = supervisor::UsageDb::open(home() / "data/proxy.db");
        EXPECT_TRUE(database.has_value());
        execute(insert_request("first"));
        inputs_.options.file = dir_.path() / "out/pool.backup";
        inputs_.working_directory = home();
        inputs_.now = {1'763'800'000'000}; // 2025-11-22T08:26:40Z
    }

    [[nodiscard]] fs::path home() const { return dir_.path() / "home"; }

    void execute(const std::string& sql) const
    {
        sqlite3* database = nullptr;
        sqlite3_open((home() / "data/proxy.db").c_str(), &database);
        char* error = nullptr;
        sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error);
        EXPECT_EQ(error, nullptr) << error << sql;
        sqlite3_close(database);
    }

    [[nodiscard]] std::string first_request() const
    {
        sqlite3* database = nullptr;
        sqlite3_open((home() / "data/proxy.db").c_str(), &database);
        sqlite3_stmt* statement = nullptr;
        sqlite3_prepare_v2(
            database, "SELECT group_concat(request_id) FROM requests", -1, &statement, nullptr);
        std::string text;
        if (sqlite3_step(statement) == SQLITE_ROW)
            text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
        sqlite3_finalize(statement);
        sqlite3_close(database);
        return text;
    }

    Ran run(int (*command)(
        const shared::ProviderRegistry&, const BackupInputs&, std::ostream&, std::ostream&))
    {
        std::ostringstream out;
        std::ostringstream err;
        Ran ran;
        ran.code = command(registry_, inputs_, out, err);
        ran.out = out.str();
        ran.err = err.str();
        return ran;
    }

    /// Every file below home, by its name, but for those of SQLite's own.
    [[nodiscard]] std::map<std::string, std::string> everything() const
    {
        std::map<std::string, std::string> files;
        for (const auto& entry : fs::recursive_directory_iterator(home())) {
            const std::string name = entry.path().lexically_relative(home()).string();
            const bool log =
                name.ends_with("-wal") || name.ends_with("-shm") || name.ends_with("/lock");
            if (entry.is_regular_file() && !log) files[name] = content(entry.path());
        }
        return files;
    }

    /// Everything is another than in the backup.
    void change_everything()
    {
        dir_.write("home/config.toml", "debug = false\n");
        dir_.write("home/pool/personal.json", R"({"OPENAI_API_KEY": "sk-later"})");
        dir_.write("home/pool/new.json", R"({"OPENAI_API_KEY": "sk-new"})");
        fs::remove(home() / "pool/claude/work.json");
        dir_.write("home/data/pool_users.json", "[later]");
        fs::remove(home() / "data/pins.bin");
        execute(insert_request("second"));
    }

    tests::TempDir dir_;
    shared::ProviderRegistry registry_;
    BackupInputs inputs_;
};

TEST_F(BackupTest, BringsEverythingBackAndKeepsWhatWasThere)
{
    const Ran made = run(run_backup);
    ASSERT_EQ(made.code, 0) << made.err;
    EXPECT_THAT(made.out, HasSubstr("8 files"));
    EXPECT_THAT(made.err, HasSubstr("credentials that anybody can read"));

    struct stat status {};

    ASSERT_EQ(::stat(inputs_.options.file.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    EXPECT_EQ(
        std::distance(fs::directory_iterator(dir_.path() / "out"), fs::directory_iterator()), 1)
        << "nothing else is left";

    const auto before = everything();
    change_everything();
    const Ran restored = run(run_restore);
    ASSERT_EQ(restored.code, 0) << restored.err;
    EXPECT_EQ(content(home() / "config.toml"), "debug = true\n");
    EXPECT_EQ(content(home() / "data/pool_users.json"), "[users]");
    EXPECT_EQ(content(home() / "data/pins.bin"), "pins");
    EXPECT_EQ(content(home() / "pool/personal.json"), before.at("pool/personal.json"));
    EXPECT_EQ(content(home() / "pool/claude/work.json"), before.at("pool/claude/work.json"));
    EXPECT_FALSE(fs::exists(home() / "pool/new.json"));
    EXPECT_EQ(first_request(), "first");
    ASSERT_EQ(::stat((home() / "pool/claude").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0700U);
    ASSERT_EQ(::stat((home() / "data/jwt_secret").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);

    const std::string suffix = ".before-restore-20251122T082640Z";
    EXPECT_THAT(restored.out, HasSubstr("kept: " + (home() / "pool").string() + suffix));
    EXPECT_EQ(content(home() / ("pool" + suffix) / "new.json"), R"({"OPENAI_API_KEY": "sk-new"})");
    EXPECT_EQ(content(home() / ("pool" + suffix) / "notes.txt"), "not a credential");
    EXPECT_EQ(content(home() / ("config.toml" + suffix)), "debug = false\n");
    EXPECT_EQ(content(home() / "data" / ("pool_users.json" + suffix)), "[later]");
    EXPECT_TRUE(check_database(home() / "data" / ("proxy.db" + suffix)).has_value());
    for (const auto& [name, text] : everything())
        EXPECT_THAT(name, Not(HasSubstr(".restoring")));
}

TEST_F(BackupTest, EncryptedItHoldsNothingThatCanBeRead)
{
    inputs_.environment = {{kPassphraseVariable, "correct horse"}};
    inputs_.json = true;
    const Ran made = run(run_backup);
    ASSERT_EQ(made.code, 0) << made.err;
    EXPECT_EQ(nlohmann::json::parse(made.out)["encrypted"], true);
    const std::string bytes = content(inputs_.options.file);
    for (const char* part : {"sk-test", "pool/", "SQLite", "manifest", "kkkkkkkk"})
        EXPECT_EQ(bytes.find(part), std::string::npos) << part;

    const auto before = everything();
    inputs_.environment = {{kPassphraseVariable, "battery staple"}};
    Ran refused = run(run_restore);
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("another passphrase"));
    inputs_.environment.clear();
    refused = run(run_restore);
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("is encrypted"));
    EXPECT_THAT(refused.err, HasSubstr("--passphrase-file"));
    EXPECT_EQ(everything(), before);

    dir_.write("passphrase", "correct horse\nsecond line\n");
    inputs_.options.passphrase_file = dir_.path() / "passphrase";
    EXPECT_EQ(run(run_restore).code, 0);
}

TEST_F(BackupTest, APassphraseIsAskedForTwiceAndForARestoreOnce)
{
    inputs_.options.encrypt = true;
    EXPECT_THAT(run(run_backup).err, HasSubstr("no terminal to ask on"));
    int asked = 0;
    inputs_.ask = [&](const std::string&) {
        return shared::Secret("typo " + std::to_string(asked++));
    };
    EXPECT_THAT(run(run_backup).err, HasSubstr("differ"));
    inputs_.ask = [](const std::string&) { return shared::Secret("short"); };
    EXPECT_THAT(run(run_backup).err, HasSubstr("fewer than 8"));
    EXPECT_FALSE(fs::exists(inputs_.options.file));
    inputs_.ask = [&](const std::string&) {
        ++asked;
        return shared::Secret("long enough");
    };
    ASSERT_EQ(run(run_backup).code, 0);
    asked = 0;
    EXPECT_EQ(run(run_restore).code, 0);
    EXPECT_EQ(asked, 1);
}

TEST_F(BackupTest, NeverOverwritesAFile)
{
    dir_.write("out/pool.backup", "precious");
    const Ran refused = run(run_backup);
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("exists"));
    EXPECT_EQ(content(inputs_.options.file), "precious");
}

TEST_F(BackupTest, IsNotRestoredWhileAPoolRunsThere)
{
    ASSERT_EQ(run(run_backup).code, 0);
    const auto lock = supervisor::lock_data_folder(home() / "data");
    ASSERT_TRUE(lock.has_value());
    const auto before = everything();
    const Ran refused = run(run_restore);
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("pid " + std::to_string(::getpid())));
    EXPECT_EQ(everything(), before);
}

TEST_F(BackupTest, ADamagedOrShortFileIsRefusedWhereverItIsSoAndNothingChanges)
{
    for (const bool sealed : {false, true}) {
        if (sealed) inputs_.environment = {{kPassphraseVariable, "correct horse"}};
        inputs_.options.file = dir_.path() / (sealed ? "out/sealed" : "out/open");
        ASSERT_EQ(run(run_backup).code, 0);
        const std::string good = content(inputs_.options.file);
        const auto before = everything();
        const auto refused = [&](const std::string& bytes, const std::string& what) {
            std::ofstream(inputs_.options.file, std::ios::binary | std::ios::trunc) << bytes;
            const Ran ran = run(run_restore);
            EXPECT_EQ(ran.code, 1) << what;
            EXPECT_THAT(ran.err, HasSubstr(inputs_.options.file.string())) << what;
            EXPECT_EQ(everything(), before) << what;
        };
        // A key takes its time; so fewer places where there is one.
        for (std::size_t at = 0; at < good.size(); at += good.size() / (sealed ? 5 : 40)) {
            std::string bad = good;
            bad[at] = static_cast<char>(bad[at] ^ 0x20);
            refused(bad, "byte " + std::to_string(at));
        }
        for (const std::size_t size :
             {std::size_t{0}, std::size_t{5}, std::size_t{12}, good.size() / 2, good.size() - 1})
            refused(good.substr(0, size), "cut at " + std::to_string(size));
        refused(good + "x", "something behind it");
    }
}

TEST_F(BackupTest, OtherFilesAndNewerOnesAreNamedAsSuch)
{
    dir_.write("out/pool.backup", "PK\x03\x04 something else altogether");
    EXPECT_THAT(run(run_restore).err, HasSubstr("is no backup of codex-pool"));
    dir_.write("out/pool.backup", std::string("cpoolbak\x09\x00", 10) + "whatever");
    EXPECT_THAT(run(run_restore).err, HasSubstr("of version 9"));
    inputs_.options.file = dir_.path() / "out/nothing";
    EXPECT_THAT(run(run_restore).err, HasSubstr("No such file"));
    inputs_.options.file = dir_.path() / "out";
    EXPECT_THAT(run(run_restore).err, HasSubstr("is no file"));
}

TEST_F(BackupTest, WhatANewerVersionWroteIsRefused)
{
    execute("PRAGMA user_version = 99");
    ASSERT_EQ(run(run_backup).code, 0);
    execute("PRAGMA user_version = 3");
    const auto before = everything();
    const Ran refused = run(run_restore);
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("has version 99"));
    EXPECT_EQ(everything(), before);
}

/// A file with this one piece besides the manifest.
void write_backup(const fs::path& file, const std::string& name, const std::string& text)
{
    const supervisor::OwnedFd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600));
    BackupWriter writer(fd.get(), *BackupSeal::make({}));
    ASSERT_TRUE(writer.piece("manifest.json", "{}").has_value());
    ASSERT_TRUE(writer.piece(name, text).has_value());
    ASSERT_TRUE(writer.finish().has_value());
}

TEST_F(BackupTest, NoPieceLeadsOutOfItsFolder)
{
    const auto before = everything();
    for (const char* name :
         {"pool/../../evil.json",
          "pool//etc/x.json",
          "/etc/x.json",
          "pool/.hidden.json",
          "pool/a/b/c.json",
          "pool/x.sh",
          "pool/",
          "secrets",
          "pool/a\nb.json"}) {
        write_backup(inputs_.options.file, name, "x");
        const Ran refused = run(run_restore);
        EXPECT_EQ(refused.code, 1) << name;
        EXPECT_THAT(refused.err, HasSubstr("does not know")) << name;
        EXPECT_EQ(everything(), before) << name;
    }
}

TEST_F(BackupTest, SettingsThatCannotBeUsedChangeNothing)
{
    write_backup(inputs_.options.file, "config.toml", "nonsense = 1\n");
    const auto before = everything();
    const Ran refused = run(run_restore);
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("nonsense"));
    EXPECT_THAT(refused.err, HasSubstr("nothing was changed"));
    EXPECT_EQ(everything(), before);
}

TEST_F(BackupTest, CheckOnlyLooks)
{
    ASSERT_EQ(run(run_backup).code, 0);
    change_everything();
    const auto before = everything();
    inputs_.options.check = true;
    const Ran checked = run(run_restore);
    EXPECT_EQ(checked.code, 0) << checked.err;
    EXPECT_THAT(checked.out, HasSubstr("whole, made 2025-11-22T08:26:40Z, 8 files"));
    EXPECT_EQ(everything(), before);
}

TEST_F(BackupTest, AFreshMachineGetsEverything)
{
    ASSERT_EQ(run(run_backup).code, 0);
    const auto before = everything();
    fs::remove_all(home());
    fs::create_directory(home());
    const Ran restored = run(run_restore);
    ASSERT_EQ(restored.code, 0) << restored.err;
    EXPECT_EQ(first_request(), "first");
    auto after = everything();
    after["pool/notes.txt"] = before.at("pool/notes.txt"); // never was in it
    for (const auto& [name, text] : before) {
        if (name != "data/proxy.db") {
            EXPECT_EQ(after[name], text) << name;
        }
    }
}

TEST_F(BackupTest, TheDatabaseIsCopiedWhileItIsWritten)
{
    sqlite3* writer = nullptr;
    sqlite3_open((home() / "data/proxy.db").c_str(), &writer);
    sqlite3_exec(
        writer, ("BEGIN IMMEDIATE;" + insert_request("half")).c_str(), nullptr, nullptr, nullptr);
    const Ran made = run(run_backup);
    EXPECT_EQ(made.code, 0) << made.err;
    sqlite3_exec(writer, "COMMIT", nullptr, nullptr, nullptr);
    sqlite3_close(writer);
    EXPECT_EQ(first_request(), "first,half");
    ASSERT_EQ(run(run_restore).code, 0);
    EXPECT_EQ(first_request(), "first") << "what was not committed then is not in it";
}

TEST(Swap, AllOrNothing)
{
    const tests::TempDir dir;
    for (const char* name : {"a", "b", "a.new", "b.new"})
        dir.write(name, name);
    Swap swap(".old");
    swap.add(dir.path() / "a", dir.path() / "a.new");
    swap.add(dir.path() / "gone", {});
    swap.add(dir.path() / "b", dir.path() / "missing.new");
    EXPECT_FALSE(swap.run().has_value());
    EXPECT_EQ(content(dir.path() / "a"), "a");
    EXPECT_EQ(content(dir.path() / "a.new"), "a.new");
    EXPECT_EQ(content(dir.path() / "b"), "b");
    EXPECT_TRUE(swap.kept().empty());
}

TEST(BackupFile, LargePiecesSpanBlocks)
{
    const tests::TempDir dir;
    std::string large(3 * kBackupBlockMax + 17, 'x');
    for (std::size_t i = 0; i < large.size(); ++i)
        large[i] = static_cast<char>(i * 31);
    const fs::path file = dir.path() / "f";
    write_backup(file, "database", large);
    auto reader = BackupReader::open(file, {});
    ASSERT_TRUE(reader.has_value());
    std::string found;
    for (auto piece = reader->next(); piece && *piece; piece = reader->next()) {
        found.clear();
        ASSERT_TRUE(reader
                        ->read(
                            **piece,
                            [&](std::string_view bytes) -> shared::Result<void> {
                                found += bytes;
                                return {};
                            })
                        .has_value());
    }
    EXPECT_EQ(found, large);
}

} // namespace
} // namespace supervisor::shell
