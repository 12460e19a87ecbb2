// Rules of single text settings. Each gives what is wrong as "must …", or nothing. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

std::string protocols_complaint(std::string_view text);
std::string host_complaint(std::string_view text);
std::string prefix_complaint(std::string_view text);
std::string instance_complaint(std::string_view text);
std::string bucket_complaint(std::string_view text);
std::string region_complaint(std::string_view text);
// http(s)://host[:port][/path]
std::string endpoint_complaint(std::string_view text);

}  // namespace sluice
