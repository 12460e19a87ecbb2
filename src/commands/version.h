// `sluice version`.
#pragma once

namespace sluice {

int version_command();

}  // namespace sluice
