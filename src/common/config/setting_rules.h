// Rules of single text settings. Each gives what is wrong as "must …", or nothing. Pure.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

std::string protocols_complaint(std::string_view text);
std::string host_complaint(std::string_view text);
// What listen_all() takes, as far as that can be told without the network.
std::string hosts_complaint(std::string_view text);
std::string allow_list_complaint(std::string_view text);
std::string file_name_complaint(std::string_view text);
std::string prefix_complaint(std::string_view text);
std::string instance_complaint(std::string_view text);
std::string bucket_complaint(std::string_view text);
std::string region_complaint(std::string_view text);
std::string role_complaint(std::string_view text);
std::string session_name_complaint(std::string_view text);
// http(s)://host[:port][/path]
std::string endpoint_complaint(std::string_view text);
// http(s)://[user:password@]host[:port]; never quotes the text
std::string proxy_complaint(std::string_view text);
// What goes into a header as it is.
std::string header_complaint(std::string_view text);
std::string user_agent_complaint(std::string_view text);
std::string kms_context_complaint(std::string_view text);
std::string storage_class_complaint(std::string_view text);
std::string acl_complaint(std::string_view text);
// AWS's limits: ten tags, keys of 128 and values of 256 characters
std::string tags_complaint(std::string_view text);
std::string account_complaint(std::string_view text);
std::string payer_complaint(std::string_view text);

}  // namespace sluice
