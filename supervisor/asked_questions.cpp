#include "supervisor/asked_questions.hpp"

namespace supervisor {

using shared::Message;
using shared::MessageType;

bool AskedQuestions::note(const Message& question)
{
    if (open_.size() >= kOpenMax) return false;
    open_[question.request] = question;
    return true;
}

std::optional<Message> AskedQuestions::take(std::uint64_t request)
{
    const auto found = open_.find(request);
    if (found == open_.end()) return std::nullopt;
    const Message question = found->second;
    open_.erase(found);
    return question;
}

std::vector<Message> AskedQuestions::take_all(MessageType type)
{
    std::vector<Message> out;
    for (auto it = open_.begin(); it != open_.end();) {
        if (it->second.type == type) {
            out.push_back(it->second);
            it = open_.erase(it);
        } else {
            ++it;
        }
    }
    return out;
}

Message answer_to(const Message& question, shared::ActionResult result) noexcept
{
    Message answer = question;
    answer.type = question.type == MessageType::reload    ? MessageType::reloaded
                  : question.type == MessageType::upgrade ? MessageType::upgraded
                                                          : MessageType::account_action_done;
    answer.result = result;
    return answer;
}

} // namespace supervisor
