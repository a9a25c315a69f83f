#include "shared/segment/segment.hpp"

#include "shared/segment/layout_version.hpp"

#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace shared {
namespace {

using boost::interprocess::mapped_region;

/// What mapped_region needs to map a plain descriptor.
class MappableFd {
public:
    explicit MappableFd(int fd) : fd_(fd) {}

    [[nodiscard]] boost::interprocess::mapping_handle_t get_mapping_handle() const noexcept
    {
        return boost::interprocess::mapping_handle_t{fd_, false};
    }

    [[nodiscard]] boost::interprocess::mode_t get_mode() const noexcept
    {
        return boost::interprocess::read_write;
    }

private:
    int fd_;
};

Problem system_problem(const char* what)
{
    return {
        "shared segment", std::string(what) + ": " + std::strerror(errno), "check memory limits"};
}

Result<mapped_region> map(int fd)
{
    try {
        return mapped_region(MappableFd(fd), boost::interprocess::read_write, 0, sizeof(Segment));
    } catch (const boost::interprocess::interprocess_exception& e) {
        return Problem{
            "shared segment", std::string("cannot map: ") + e.what(), "check memory limits"};
    }
}

// Constructing all of Segment would write, and so back with memory, a hundred megabytes of pages that
// are mostly never used. A fresh memfd is all zeroes, which is the empty state of every record; only the
// mutexes need construction.
static_assert(static_cast<int>(AccountState::empty) == 0);
static_assert(static_cast<int>(SlotState::free) == 0);
static_assert(static_cast<int>(RequestRow::State::free) == 0);
static_assert(static_cast<int>(Pin::State::free) == 0);
static_assert(static_cast<int>(UserState::free) == 0);

template <class T>
void construct(Guarded<T>& place)
{
    Guarded<T>::construct_in_zeroed(place);
}

void construct_segment(Segment& segment)
{
    construct(segment.info);
    construct(segment.events);
    for (auto& account : segment.accounts)
        construct(account);
    for (auto& token : segment.tokens)
        construct(token);
    for (auto& shard : segment.pins)
        construct(shard);
    construct(segment.owner_wish);
    construct(segment.supervisor_word);
    construct(segment.fair.queue);
    construct(segment.attempts);
    for (auto& shard : segment.users.shards)
        construct(shard);
}

} // namespace

Result<SegmentMapping> SegmentMapping::create(UnixMillis now)
{
    const int fd = memfd_create("codex-pool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return system_problem("memfd_create");
    if (ftruncate(fd, kSegmentBytes) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        Problem problem = system_problem("cannot size the memfd");
        close(fd);
        return problem;
    }
    Result<mapped_region> region = map(fd);
    if (!region) {
        close(fd);
        return region.error();
    }
    SegmentMapping mapping(fd, std::move(*region));
    construct_segment(*mapping.segment_);
    mapping->header.layout_version = kBuildLayout;
    mapping->header.size_bytes = kSegmentBytes;
    mapping->header.created_at = now;
    mapping->header.magic = kSegmentMagic;
    return mapping;
}

Result<SegmentMapping> SegmentMapping::attach(int fd)
{
    struct stat status {};

    if (fstat(fd, &status) != 0) return system_problem("no inherited segment");
    if (static_cast<std::uint64_t>(status.st_size) != kSegmentBytes) {
        return Problem{
            "shared segment", "has another size than this build's", "restart codex-pool"};
    }
    Result<mapped_region> region = map(fd);
    if (!region) return region.error();
    SegmentMapping mapping(fd, std::move(*region));
    const SegmentHeader& header = mapping->header;
    if (header.magic != kSegmentMagic || header.layout_version != kBuildLayout ||
        header.size_bytes != kSegmentBytes) {
        return Problem{
            "shared segment", "has another layout than this build's", "restart codex-pool"};
    }
    return mapping;
}

SegmentMapping::SegmentMapping(int fd, mapped_region region) noexcept
    : fd_(fd), region_(std::move(region)), segment_(static_cast<Segment*>(region_.get_address()))
{}

SegmentMapping::SegmentMapping(SegmentMapping&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      region_(std::move(other.region_)),
      segment_(std::exchange(other.segment_, nullptr))
{}

SegmentMapping::~SegmentMapping()
{
    if (fd_ >= 0) close(fd_);
}

} // namespace shared
