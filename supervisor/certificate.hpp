/// The certificate that the pool serves https with.
#pragma once

#include "shared/base/result.hpp"
#include "shared/base/units.hpp"
#include "shared/config/config.hpp"

namespace supervisor {

/// Reads the files of tls_cert and tls_key into the configuration and tries them; adds a warning if the certificate
/// ends within two weeks, or the key can be read by others. Nothing to do
/// where they are not set. Problem: names the file.
[[nodiscard]] shared::Result<void> load_certificate(shared::Config& config, shared::UnixMillis now);

} // namespace supervisor
