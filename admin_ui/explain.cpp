#include "admin_ui/explain.hpp"

#include "admin_ui/explain_words.hpp"
#include "admin_ui/pool_view.hpp"
#include "shared/base/read_file.hpp"
#include "shared/segment/layout.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <vector>

#include <fmt/format.h>

namespace admin_ui {
namespace {

using shared::Decision;
using shared::DecisionCandidate;
using shared::DecisionEnding;
using shared::PassedOver;
using shared::PinFate;

/// Passed-over accounts get a line each up to here; more are grouped by reason.
constexpr std::size_t kPassedOverLinesMax = 6;

std::size_t columns(std::string_view text)
{
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

/// Lines of limited width: each has a lead, and what does not fit goes on below its text.
class Page {
public:
    void add(std::string_view lead, std::string_view text)
    {
        std::string line(lead);
        bool is_empty = true;
        while (!text.empty()) {
            const std::size_t end = std::min(text.find(' '), text.size());
            const std::string_view word = text.substr(0, end);
            text.remove_prefix(std::min(end + 1, text.size()));
            if (!is_empty && columns(line) + 1 + columns(word) > kExplanationColumnsMax) {
                lines_.push_back(std::move(line));
                line = std::string(columns(lead), ' ');
                is_empty = true;
            }
            if (!is_empty) line += ' ';
            line += word;
            is_empty = false;
        }
        lines_.push_back(std::move(line));
    }

    void add(const Page& other)
    {
        lines_.insert(lines_.end(), other.lines_.begin(), other.lines_.end());
    }

    [[nodiscard]] std::size_t size() const noexcept { return lines_.size(); }

    /// The lines, each cut at the width: a word may be longer than a line.
    [[nodiscard]] std::string text() const
    {
        std::string all;
        for (std::size_t i = 0; i < lines_.size() && i < kExplanationLinesMax; ++i) {
            std::string_view line = lines_[i];
            while (columns(line) > kExplanationColumnsMax)
                line.remove_suffix(1);
            all.append(line) += '\n';
        }
        return all;
    }

private:
    std::vector<std::string> lines_;
};

constexpr std::string_view kNoLead = "          ";

std::span<const DecisionCandidate> noted(const Decision& decision)
{
    return std::span(decision.candidates)
        .first(std::min<std::size_t>(decision.candidates_noted, decision.candidates.size()));
}

bool could_serve(PassedOver reason)
{
    return reason == PassedOver::picked || reason == PassedOver::lower_score ||
           reason == PassedOver::lower_priority || reason == PassedOver::pinned_elsewhere;
}

/// The next best of those that could serve; nullptr if there is none.
const DecisionCandidate* runner_up(const Decision& decision)
{
    const DecisionCandidate* best = nullptr;
    for (const DecisionCandidate& candidate : noted(decision)) {
        if (candidate.reason != PassedOver::lower_score) continue;
        if (best == nullptr || candidate.score > best->score) best = &candidate;
    }
    return best;
}

/// Whether `a` has at least as much left as `b` in every window that is known of both.
bool has_more_room(const DecisionCandidate& a, const DecisionCandidate& b)
{
    const auto at_least = [](shared::UsedShare mine, shared::UsedShare other) {
        return !mine.is_known() || !other.is_known() || mine.basis_points <= other.basis_points;
    };
    return at_least(a.long_used, b.long_used) && at_least(a.short_used, b.short_used);
}

std::string by_strategy(const ExplainContext& context, const DecisionCandidate& choice)
{
    const std::string& strategy = context.names.strategy;
    const std::string room = room_text(choice);
    if (strategy == "reset_soonest")
        return "what it has left would be lost soonest" + (room.empty() ? "" : ": " + room);
    if (strategy == "fill_first") return "the first in the pool's order that could serve";
    if (strategy == "round_robin") return "its turn";
    if (room.empty())
        return choice.is_api_key != 0 ? "best score; an API key has no windows"
                                      : "best score; its use is unknown, which counts as unused";
    if (strategy == "least_used") return "the least used: " + room;
    const DecisionCandidate* next = runner_up(context.decision);
    const bool most = next == nullptr || has_more_room(choice, *next);
    return most ? "most room left: " + room.substr(0, room.size() - 5)
                : "best score: " + room + ", weighed by plan, load and how soon it is lost";
}

std::string choice_text(const ExplainContext& context)
{
    const Decision& decision = context.decision;
    const auto candidates = noted(decision);
    const auto choice =
        std::find_if(candidates.begin(), candidates.end(), [](const DecisionCandidate& c) {
            return c.reason == PassedOver::picked;
        });
    if (choice == candidates.end()) {
        if (decision.candidates_total == 0)
            return "none: the pool has no account of " + context.names.provider;
        return fmt::format(
            "none of {} could serve",
            decision.candidates_total == 1 ? "1 account"
                                           : fmt::format("{} accounts", decision.candidates_total));
    }
    const std::string name = name_of(context, choice->account);
    if (choice->account == decision.pinned) return name + ", which the conversation belongs to";
    const auto able = std::count_if(
        candidates.begin(), candidates.end(), [](const auto& c) { return could_serve(c.reason); });
    std::string why = by_strategy(context, *choice);
    if (able == 1)
        why = decision.candidates_total == 1
                  ? "the only account"
                  : fmt::format("the only one of {} that could serve", decision.candidates_total);
    if (decision.probe != 0)
        why += "; its rest is over, and this request finds out whether it serves again";
    if (able == 1) return name + ", " + why;
    return fmt::format(
        "{}, {} ({}, score {:.2f})", name, why, context.names.strategy, choice->score);
}

std::string pin_text(const ExplainContext& context)
{
    const Decision& decision = context.decision;
    const std::string pinned = name_of(context, decision.pinned);
    switch (decision.pin) {
    case PinFate::no_conversation:
    case PinFate::unpinned:
    case PinFate::kept:
        return {};
    case PinFate::unusable:
        return pinned + " has the conversation, but accounts of its kind do not serve this path";
    case PinFate::moved:
        break;
    }
    std::string why = "it cannot serve";
    for (const DecisionCandidate& candidate : noted(decision)) {
        if (candidate.account == decision.pinned) why = reason_text(context, candidate);
    }
    for (std::size_t i = 0; i < decision.attempts_noted(); ++i) {
        if (decision.attempts[i].account == decision.pinned) why = "its try failed";
    }
    return "away from " + pinned + " and its prompt cache: " + why;
}

std::string wait_text(const Decision& decision)
{
    std::string text;
    const auto add = [&text](std::uint32_t ms, std::string_view what) {
        if (ms == 0) return;
        if (!text.empty()) text += ", ";
        text += milliseconds_text(ms) + std::string(what);
    };
    add(decision.queue_ms, " in the queue until an account had room");
    add(decision.pin_wait_ms, " for the conversation's own account");
    add(decision.refresh_wait_ms, " for a token that was being renewed");
    return text;
}

/// "codex:a, codex:b and 3 more"
std::string list_of(const ExplainContext& context, std::span<const DecisionCandidate* const> group)
{
    constexpr std::size_t kNamed = 3;
    std::string text;
    for (std::size_t i = 0; i < group.size() && i < kNamed; ++i)
        text += (i == 0 ? "" : ", ") + name_of(context, group[i]->account);
    if (group.size() > kNamed) text += fmt::format(" and {} more", group.size() - kNamed);
    return text;
}

void add_others(const ExplainContext& context, std::size_t lines_max, Page& page)
{
    const Decision& decision = context.decision;
    std::vector<const DecisionCandidate*> others;
    for (const DecisionCandidate& candidate : noted(decision)) {
        const bool told = decision.pin == PinFate::moved && candidate.account == decision.pinned;
        if (candidate.reason != PassedOver::picked && !told) others.push_back(&candidate);
    }
    std::stable_sort(others.begin(), others.end(), [](const auto* a, const auto* b) {
        if (could_serve(a->reason) != could_serve(b->reason)) return could_serve(a->reason);
        return a->score > b->score;
    });
    std::string_view lead = "Others    ";
    const auto add = [&](const std::string& text) {
        page.add(lead, text);
        lead = kNoLead;
    };
    if (others.size() <= lines_max) {
        for (const DecisionCandidate* other : others)
            add(name_of(context, other->account) + ": " + reason_text(context, *other));
    } else {
        std::map<PassedOver, std::vector<const DecisionCandidate*>> groups;
        for (const DecisionCandidate* other : others)
            groups[other->reason].push_back(other);
        for (const auto& [reason, group] : groups)
            add(fmt::format(
                "{} {}: {}", group.size(), group_text(reason), list_of(context, group)));
    }
    const std::size_t rest = decision.candidates_total > decision.candidates_noted
                                 ? decision.candidates_total - decision.candidates_noted
                                 : 0U;
    if (rest > 0) add(fmt::format("and {} more that are not noted one by one", rest));
}

/// One line or two each; what is beyond `lines_max` is only counted.
void add_attempts(const ExplainContext& context, std::size_t lines_max, Page& page)
{
    const Decision& decision = context.decision;
    const std::size_t end = page.size() + lines_max;
    std::size_t told = 0;
    for (; told < decision.attempts_noted(); ++told) {
        const shared::DecisionAttempt& attempt = decision.attempts[told];
        const std::string text = fmt::format(
            "{}. {}: {}",
            told + 1,
            name_of(context, attempt.account),
            attempt_text(context, attempt));
        Page lines;
        lines.add(told == 0 ? "Tries     " : kNoLead, text);
        const std::size_t rest = told + 1 < decision.attempts_total ? 1 : 0;
        if (page.size() + lines.size() + rest > end) break;
        page.add(lines);
    }
    if (decision.attempts_total > told)
        page.add(kNoLead, fmt::format("and {} more (--json)", decision.attempts_total - told));
}

std::string request_text(const ExplainContext& context)
{
    const Decision& decision = context.decision;
    const std::string_view id(decision.request_id.data(), decision.request_id.size());
    std::string text = "Request " + shared::printable(id) + " by " +
                       (decision.user.empty() ? "nobody" : shared::printable(decision.user.view()));
    text += " at " + clock_text(decision.started_at, context.now) + " UTC (" +
            relative_time(decision.started_at, context.now) + "): " + context.names.provider;
    if (!decision.model.empty()) text += ", " + shared::printable(decision.model.view());
    if (decision.parent_id[0] != '\0') {
        const std::string_view parent(decision.parent_id.data(), decision.parent_id.size());
        return text + ", a turn on the WebSocket of request " + shared::printable(parent);
    }
    text += ", " + shared::printable(decision.path.view());
    if (decision.websocket != 0) text += " as a WebSocket";
    return text;
}

} // namespace

std::string
explain(const shared::FoundDecision& found, const DecisionNames& names, shared::UnixMillis now)
{
    const ExplainContext context{found.decision, names, now, found.worker_lives};
    const Decision& decision = found.decision;
    Page page;
    page.add("", request_text(context));
    page.add("", ending_text(context));
    page.add("", "");
    const bool was_chosen = decision.ending != DecisionEnding::local;
    const bool is_turn = decision.parent_id[0] != '\0';
    if (was_chosen && !is_turn &&
        (decision.candidates_total > 0 || decision.attempts_total > 0 ||
         decision.ending == DecisionEnding::no_account))
        page.add("Account   ", choice_text(context));
    if (const std::string pin = pin_text(context); !pin.empty()) page.add("Moved     ", pin);
    if (const std::string wait = wait_text(decision); !wait.empty()) page.add("Waited    ", wait);
    if (decision.replayable == 0 && decision.attempts_total > 0)
        page.add(
            "Note      ",
            "its body was too large to be held (max_replay_bytes): it could be sent only once");
    // The tries say most: they get what the others leave, and the others at least what a summary takes.
    Page attempts;
    add_attempts(context, kExplanationLinesMax, attempts);
    const std::size_t room = kExplanationLinesMax - std::min(kExplanationLinesMax, page.size());
    const bool crowded = attempts.size() + kPassedOverLinesMax > room;
    add_others(context, crowded ? 0 : kPassedOverLinesMax, page);
    add_attempts(context, kExplanationLinesMax - std::min(kExplanationLinesMax, page.size()), page);
    return page.text();
}

} // namespace admin_ui
