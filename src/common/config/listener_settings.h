// The settings of what is listened on, who is let in, and of the logs protocol.
#pragma once

#include <span>

#include "common/config/settings.h"

namespace sluice {

std::span<const Setting> listener_settings();

}  // namespace sluice
