// `sluice sign`: prints what Signature Version 4 makes of a request in a file.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

struct SignOptions {
  std::string request_path;
  std::string region;
  std::string service;
  std::string time;  // ISO 8601; empty: now
  bool no_normalize = false;
  bool s3 = false;
  bool sign_body = false;
  bool omit_session_token = false;
  std::int64_t presign_seconds = 0;   // 0: not presigned
  std::size_t chunk_bytes = 0;        // 0: not in chunks
  std::vector<std::string> trailers;  // "name:value", behind the chunks
};

// Credentials come from the environment. Exits 2 where something is missing or wrong.
int sign_command(const SignOptions& options);

}  // namespace sluice
