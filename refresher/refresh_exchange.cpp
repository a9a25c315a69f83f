// g++ 12 warns of Asio's own headers once they are inlined here at -O2; neither warning is true.
#pragma GCC diagnostic ignored "-Wnull-dereference"
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
/// One refresh: what is made sure of before the token leaves, the exchange, and the way of the answer into the file.
#include "refresher/fault_point.hpp"
#include "refresher/refresh_engine.hpp"
#include "refresher/vendor_call.hpp"
#include "shared/base/log.hpp"
#include "shared/base/read_file.hpp"

#include <utility>

namespace refresher {
namespace {

namespace asio = boost::asio;
using shared::UnixMillis;

/// A new file is larger than the old one by new tokens at most.
constexpr std::size_t kGrowthMax = 64 * 1024;

} // namespace

asio::awaitable<RefreshEngine::End> RefreshEngine::refresh(Job& job)
{
    End end;
    if (const JournalEntry* entry = journal_->find(job.id); entry != nullptr && entry->answer) {
        // An answer waits for its file: no second one is asked for.
        const shared::CallReply reply = *entry->answer;
        co_return conclude(job, reply, entry->at, nullptr);
    }
    const auto file = read_token_file(*job.provider, job.file);
    if (!file.has_value()) {
        end.reason = "file_unreadable";
        end.detail = file.error().text();
        roster_.note_problem(job.id, end.detail);
        co_return end;
    }
    if (file->missing) {
        end.kind = End::Kind::gone;
        co_return end;
    }
    if (adopt_if_changed(job, file->credential)) {
        end.kind = End::Kind::adopted;
        co_return end;
    }
    auto replacement = FileReplacement::prepare(job.file, file->text.reveal().size() + kGrowthMax);
    const auto room = journal_->reserve();
    if (!replacement.has_value() || !room.has_value()) {
        end.reason = "not_writable";
        end.detail = (replacement.has_value() ? room.error() : replacement.error()).text();
        roster_.note_problem(job.id, end.detail);
        co_return end;
    }
    fault_point("prepared");
    co_return co_await exchange(job, *replacement);
}

asio::awaitable<RefreshEngine::End> RefreshEngine::exchange(Job& job, FileReplacement& replacement)
{
    End end;
    const auto call = job.provider->refresh_call(job.old, config_.oauth_client(job.provider->id()));
    if (!call) {
        end.reason = "nothing_to_refresh";
        co_return end;
    }
    shared::net::ClientRequest request =
        request_of(config_.upstream(registry_, call->upstream), *call, roster_.proxy_of(job.id));
    request.before_send = [this, &job] { return before_send(job); };
    request.after_send = [] { fault_point("sent"); };
    shared::Result<shared::net::ClientResponse> answer =
        co_await client_.send(std::move(request), timings_.deadline, kTokenAnswerBytesMax);
    fault_point("answer_here");
    if (!answer.has_value()) {
        end.reason = job.sent ? "answer_lost" : "not_reached";
        end.detail = answer.error().text();
        if (job.sent) journal_->lost(job.id);
        co_return end;
    }
    const shared::CallReply reply = reply_of(std::move(*answer));
    const UnixMillis now = wall_clock_();
    if (reply.status / 100 == 2) {
        const auto written = journal_->answered(job.id, reply, now);
        if (!written.has_value()) shared::log::error("event=journal {}", written.error().text());
    }
    co_return conclude(job, reply, now, &replacement);
}

/// The connection stands. From here on the endpoint may have heard of the token.
bool RefreshEngine::before_send(Job& job)
{
    if (draining_) return false;
    JournalEntry entry;
    entry.sent = digest_of(job.old.refresh_token);
    entry.old_access = digest_of(job.old.access_token);
    entry.old_expires_at = job.old.expires_at;
    entry.vendor_id = job.old.account_id;
    entry.at = wall_clock_();
    const auto written = journal_->intend(job.id, std::move(entry));
    if (!written.has_value()) {
        shared::log::error("event=journal {}", written.error().text());
        return false;
    }
    job.sent = true;
    return true;
}

RefreshEngine::End RefreshEngine::conclude(
    const Job& job, const shared::CallReply& reply, UnixMillis at, FileReplacement* replacement)
{
    const shared::RefreshOutcome outcome = job.provider->parse_refresh(reply, job.old, at);
    if (!outcome.tokens.empty()) return store(job, outcome, replacement);
    const JournalEntry* entry = journal_->find(job.id);
    const bool was_lost = entry != nullptr && entry->lost;
    if (outcome.kind == shared::RefreshOutcome::Kind::needs_login) {
        // The state before the record: killed in between, the token would be tried once more.
        const End end = refused(job, was_lost ? "refresh_answer_lost" : outcome.reason.view());
        journal_->close(job.id);
        return end;
    }
    // Something between here and the endpoint may have swallowed an answer that rotated the token.
    const bool doubtful = reply.status >= 500 || outcome.reason == "answer_not_usable";
    if (was_lost || doubtful)
        journal_->lost(job.id);
    else
        journal_->close(job.id);
    End end;
    end.reason = std::string(outcome.reason.view());
    end.retry_after = outcome.retry_after;
    return end;
}

RefreshEngine::End RefreshEngine::store(
    const Job& job, const shared::RefreshOutcome& outcome, FileReplacement* replacement)
{
    End end;
    const auto file = read_token_file(*job.provider, job.file);
    if (!file.has_value()) {
        // Never overwritten; the answer waits in the journal until it can be read again.
        end.reason = "file_unreadable";
        end.detail = file.error().text();
        roster_.note_problem(job.id, end.detail);
        return end;
    }
    if (file->missing) {
        end.kind = End::Kind::gone;
        shared::log::warn(
            "event=refresh_without_file account={} its new tokens are kept in the journal in case "
            "the "
            "file comes back",
            job.id);
        return end;
    }
    const JournalEntry* entry = journal_->find(job.id);
    switch (merge_of(file->credential, *entry, outcome.tokens)) {
    case TokenMerge::write:
        return put_into_file(job, *file, outcome, replacement);
    case TokenMerge::written: {
        const auto synced = sync_file(job.file);
        if (!synced.has_value()) {
            end.reason = "file_not_written";
            end.detail = synced.error().text();
            return end;
        }
        end.kind = End::Kind::renewed;
        break;
    }
    case TokenMerge::drop:
        shared::log::info("event=file_newer account={} the file's own login is used", job.id);
        end.kind = End::Kind::adopted;
        break;
    }
    publish(job, file->credential);
    journal_->close(job.id);
    return end;
}

RefreshEngine::End RefreshEngine::put_into_file(
    const Job& job,
    const TokenFile& before,
    const shared::RefreshOutcome& outcome,
    FileReplacement* replacement)
{
    End end;
    end.reason = "file_not_written";
    const auto text = job.provider->updated_file(
        before.text.reveal(), outcome.tokens, journal_->find(job.id)->at);
    auto credential = text.has_value() ? job.provider->parse_credential(text->reveal())
                                       : shared::Result<shared::Credential>(text.error());
    if (!credential.has_value()) {
        end.detail = credential.error().text();
        return end;
    }
    std::optional<FileReplacement> own;
    if (replacement == nullptr) {
        auto prepared = FileReplacement::prepare(job.file, text->reveal().size());
        if (prepared.has_value())
            replacement = &own.emplace(std::move(*prepared));
        else
            end.detail = prepared.error().text();
    }
    if (replacement != nullptr) {
        const auto written = replacement->commit(text->reveal());
        if (!written.has_value()) end.detail = written.error().text();
    }
    if (!end.detail.empty()) {
        roster_.note_problem(job.id, end.detail);
        return end;
    }
    publish(job, std::move(*credential));
    fault_point("published");
    journal_->close(job.id);
    end.reason = std::string(outcome.reason.view());
    if (outcome.kind == shared::RefreshOutcome::Kind::renewed) end.kind = End::Kind::renewed;
    return end;
}

/// The endpoint says that the token is dead. Perhaps the owner's own CLI has another one by now.
RefreshEngine::End RefreshEngine::refused(const Job& job, std::string_view reason)
{
    End end;
    const auto file = read_token_file(*job.provider, job.file);
    if (file.has_value() && !file->missing && adopt_if_changed(job, file->credential)) {
        end.kind = End::Kind::adopted;
        return end;
    }
    declare_dead(job, reason);
    end.kind = End::Kind::needs_login;
    end.reason = std::string(reason);
    return end;
}

bool RefreshEngine::adopt_if_changed(const Job& job, const shared::Credential& file)
{
    const bool same = file.refresh_token.same_as(job.old.refresh_token) &&
                      file.access_token.same_as(job.old.access_token);
    const bool both_empty = file.refresh_token.empty() && job.old.refresh_token.empty() &&
                            file.access_token.same_as(job.old.access_token);
    if (same || both_empty) return false;
    shared::log::info("event=file_changed account={} its new content is used", job.id);
    publish(job, file);
    return true;
}

void RefreshEngine::publish(const Job& job, shared::Credential credential)
{
    if (!roster_.held().contains(job.id)) return; // removed meanwhile
    shared::LoadedAccount account;
    account.id = job.id;
    account.provider = job.provider->id();
    account.warnings = credential.warnings;
    account.credential = std::move(credential);
    account.file = job.file;
    roster_.update(std::move(account), wall_clock_());
}

void RefreshEngine::declare_dead(const Job& job, std::string_view reason)
{
    const std::string remedy = job.provider->login_remedy(shared::printable(job.file.string()));
    work_[job.id].dead = digest_of(job.old.refresh_token);
    roster_.set_needs_login(job.id, reason, "sign in again: " + remedy, wall_clock_());
    shared::log::error(
        "event=needs_login account={} reason={} remedy=\"{}\"", job.id, reason, remedy);
}

} // namespace refresher
