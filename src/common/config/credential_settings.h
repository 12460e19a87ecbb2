// The part of the table of settings that says where credentials come from.
#pragma once

#include <span>

#include "common/config/settings.h"

namespace sluice {

std::span<const Setting> credential_settings();

}  // namespace sluice
