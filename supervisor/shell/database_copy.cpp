#include "supervisor/shell/database_copy.hpp"

#include "supervisor/usage_db.hpp"

#include <sqlite3.h>

#include <memory>
#include <string>

namespace supervisor::shell {
namespace {

using shared::Problem;
using shared::Result;

constexpr int kPagesAtOnce = 1024;
constexpr int kBusyMs = 10'000;

struct Closer {
    void operator()(sqlite3* database) const noexcept { sqlite3_close_v2(database); }

    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

using Database = std::unique_ptr<sqlite3, Closer>;
using Statement = std::unique_ptr<sqlite3_stmt, Closer>;

Result<Database> open(const std::filesystem::path& file, int flags)
{
    sqlite3* opened = nullptr;
    const int code = sqlite3_open_v2(file.c_str(), &opened, flags | SQLITE_OPEN_EXRESCODE, nullptr);
    Database database(opened);
    if (code != SQLITE_OK)
        return Problem{
            file.string(),
            std::string("cannot be opened: ") + sqlite3_errstr(code),
            "look at its permissions"};
    sqlite3_busy_timeout(opened, kBusyMs);
    return database;
}

/// The first column of the first row as text; empty if there is none.
std::string first_text(sqlite3* database, const char* query)
{
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(database, query, -1, &prepared, nullptr) != SQLITE_OK) return {};
    const Statement statement(prepared);
    if (sqlite3_step(prepared) != SQLITE_ROW) return {};
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(prepared, 0));
    return text == nullptr ? std::string() : text;
}

} // namespace

Result<void> copy_database(
    const std::filesystem::path& from,
    const std::filesystem::path& to,
    const std::function<void(std::uint64_t, std::uint64_t)>& progress)
{
    auto source = open(from, SQLITE_OPEN_READWRITE);
    if (!source) return source.error();
    auto target = open(to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (!target) return target.error();
    // One reading transaction over all steps: what is written meanwhile neither shows nor starts the copy anew.
    sqlite3_exec(source->get(), "BEGIN", nullptr, nullptr, nullptr);
    (void)first_text(source->get(), "SELECT count(*) FROM sqlite_schema");
    sqlite3_backup* copy = sqlite3_backup_init(target->get(), "main", source->get(), "main");
    int code = copy == nullptr ? sqlite3_errcode(target->get()) : SQLITE_OK;
    while (code == SQLITE_OK) {
        code = sqlite3_backup_step(copy, kPagesAtOnce);
        const int all = sqlite3_backup_pagecount(copy);
        progress(
            static_cast<std::uint64_t>(all - sqlite3_backup_remaining(copy)),
            static_cast<std::uint64_t>(all));
    }
    if (copy != nullptr) sqlite3_backup_finish(copy);
    sqlite3_exec(source->get(), "COMMIT", nullptr, nullptr, nullptr);
    if (code != SQLITE_DONE)
        return Problem{
            from.string(),
            std::string("cannot be copied: ") + sqlite3_errstr(code),
            "try again; codex-pool doctor looks at the disk"};
    // The copy is one file: nothing of it may stay in a log beside it.
    sqlite3_exec(target->get(), "PRAGMA journal_mode = DELETE", nullptr, nullptr, nullptr);
    return {};
}

Result<void> check_database(const std::filesystem::path& file)
{
    auto database = open(file, SQLITE_OPEN_READONLY);
    if (!database) return database.error();
    const std::string verdict = first_text(database->get(), "PRAGMA quick_check(1)");
    if (verdict != "ok")
        return Problem{
            "the database in it",
            "is damaged" + (verdict.empty() ? std::string() : ": " + verdict),
            "use another backup"};
    const std::string version = first_text(database->get(), "PRAGMA user_version");
    if (std::stoul("0" + version) > supervisor::usage_migrations().size())
        return Problem{
            "the database in it",
            "has version " + version + ", which this codex-pool does not know",
            "restore it with the codex-pool that wrote it, or a newer one"};
    return {};
}

} // namespace supervisor::shell
