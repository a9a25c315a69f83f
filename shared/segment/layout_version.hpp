/// What a segment of this build is known by from outside.
#pragma once

#include "shared/segment/layout.hpp"

namespace shared {

#ifdef CODEX_POOL_OTHER_LAYOUT // a build that tests upgrade to
inline constexpr std::uint32_t kBuildLayout = kLayoutVersion + 1000;
inline constexpr std::size_t kSegmentBytes = sizeof(Segment) + 4096;
#else
inline constexpr std::uint32_t kBuildLayout = kLayoutVersion;
inline constexpr std::size_t kSegmentBytes = sizeof(Segment);
#endif

} // namespace shared
