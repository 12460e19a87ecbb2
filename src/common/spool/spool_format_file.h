// FORMAT: the spool's version, uuid, secret and instance id as a line of JSON with a CRC.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/spool/spool_directory.h"

namespace sluice {

inline constexpr std::uint32_t kSpoolVersion = 1;

std::string encode_spool_format(const SpoolFormat& format);
// Rejected where it does not verify; Error::code is EPROTO where it is of a newer version.
Result<SpoolFormat> decode_spool_format(std::string_view content);
// Of a spool that may be in use: FORMAT, or else FORMAT.bak. Changes nothing.
Result<SpoolFormat> read_spool_format(Filesystem& filesystem, const Path& spool_dir);

}  // namespace sluice
