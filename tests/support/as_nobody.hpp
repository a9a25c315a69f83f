/// Takes root's power away for a scope, so that permission tests mean something where tests run as root (containers).
#pragma once

#include <unistd.h>

namespace tests {

class AsNobody {
public:
    AsNobody() noexcept
    {
        constexpr ::uid_t kNobody = 65534;
        if (::geteuid() == 0) changed_ = ::seteuid(kNobody) == 0;
    }

    AsNobody(const AsNobody&) = delete;
    AsNobody& operator=(const AsNobody&) = delete;

    ~AsNobody()
    {
        if (changed_ && ::seteuid(0) != 0) ::_exit(1);
    }

private:
    bool changed_ = false;
};

} // namespace tests
