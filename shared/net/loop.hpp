/// The event loop's types, spelled once: concrete executor, no strands, no type-erased executors.
///
/// A process has one loop on one thread. What costs and what does not: docs/architecture.md.
#pragma once

#include <boost/asio/io_context.hpp>

namespace shared::net {

using Loop = boost::asio::io_context;
using Executor = Loop::executor_type;

} // namespace shared::net
