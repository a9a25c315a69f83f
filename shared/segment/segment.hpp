/// Creates the segment (supervisor) or maps an inherited one (children).
#pragma once

#include "shared/base/result.hpp"
#include "shared/segment/layout.hpp"

#include <boost/interprocess/mapped_region.hpp>

namespace shared {

/// Owns the mapping (and in the supervisor the descriptor) of the one segment of this process.
class SegmentMapping {
public:
    /// memfd_create, ftruncate, seal (grow, shrink, seal), map, construct. The descriptor is close-on-exec;
    /// supervisor/spawn hands it to children.
    [[nodiscard]] static Result<SegmentMapping> create(UnixMillis now);
    /// Maps the inherited descriptor and checks magic, layout version and size.
    [[nodiscard]] static Result<SegmentMapping> attach(int fd);

    SegmentMapping(SegmentMapping&&) noexcept;
    SegmentMapping& operator=(SegmentMapping&&) = delete;
    SegmentMapping(const SegmentMapping&) = delete;
    SegmentMapping& operator=(const SegmentMapping&) = delete;
    ~SegmentMapping(); ///< unmaps and closes

    [[nodiscard]] Segment& operator*() const noexcept { return *segment_; }

    [[nodiscard]] Segment* operator->() const noexcept { return segment_; }

    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    SegmentMapping(int fd, boost::interprocess::mapped_region region) noexcept;

    int fd_ = -1;
    boost::interprocess::mapped_region region_;
    Segment* segment_ = nullptr;
};

} // namespace shared
