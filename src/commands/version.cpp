#include "commands/version.h"

#include <cstdio>

#include "common/spool/segment_format.h"
#include "common/spool/segment_settings.h"

namespace sluice {

int version_command() {
  std::printf("sluice %s (spool format %u, converter %u)\n", SLUICE_VERSION, kSegmentVersion,
              kConverterVersion);
  return 0;
}

}  // namespace sluice
