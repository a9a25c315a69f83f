// docs/states.md, made from the table in account_state.cpp.
#include "shared/segment/account_state.hpp"

namespace shared {
namespace {

constexpr std::string_view kHead = R"(# States of an account

<!-- Made from the table in shared/segment/account_state.cpp; a test compares. To renew it:
     CODEX_POOL_WRITE_DOCS=1 ctest -R StatesPage -->

One vocabulary for the log, `/admin/accounts`, the status page (the sentences are its tooltips) and the label
`condition` of `codexpool_account_condition`. Each state comes with a reason, since when, until when (where that is
known; a time is never invented) and the source of the evidence. Nothing has to run for a state to end: evidence has an
end, and it is looked at when it is read. Of a rate limit and a used-up window the one that ends last is shown.

| state | concerns | what it means | what ends it |
|---|---|---|---|
)";

constexpr std::string_view kSources = R"(
`concerns`: *good* serves, *passing* ends by itself, *owner* waits for you, *off* is out of service on purpose.

| source | the fact came |
|---|---|
)";

constexpr std::string_view kWindows = R"(
## Quota windows

A window is known by its length (4 to 6 hours, 6 to 8 days), never by its place in an answer. It keeps its used share,
its reset, where that came from and when. What an answer does not mention stays as it was: absent is not zero. Older
evidence never replaces newer. A window whose reset has passed is unknown, not used up; one without a reset is forgotten
when it is older than the window is long.
)";

} // namespace

std::string states_markdown()
{
    std::string page(kHead);
    for (const StateInfo& row : state_table()) {
        if (row.condition == AccountCondition::removed) continue; // internal: no longer an account
        page += "| `" + std::string(row.name) + "` | " + std::string(to_string(row.severity)) +
                " | " + std::string(row.meaning) + " | " + std::string(row.ends) + " |\n";
    }
    page += kSources;
    for (auto i = static_cast<int>(EvidenceSource::file);
         i <= static_cast<int>(EvidenceSource::pool);
         ++i) {
        const auto source = static_cast<EvidenceSource>(i);
        page += "| `" + std::string(to_string(source)) + "` | " +
                std::string(source_in_words(source)) + " |\n";
    }
    page += kWindows;
    return page;
}

} // namespace shared
